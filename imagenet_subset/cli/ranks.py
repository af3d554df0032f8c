"""The command line on every rank of an MPI job: rank 0 reads it, the others work for it."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterator, Sequence

from imagenet_subset.errors import EngineError
from imagenet_subset.execution.engines import MPI, hush

_FLAG = "--executor"


def asks_for_ranks(words: Sequence[str]) -> bool:
    """Whether a command line has ``--executor mpi``, at a glance: ranks that don't lead read none.

    Examples
    --------
    >>> asks_for_ranks(["--executor", "mpi"]), asks_for_ranks(["--executor=mpi", "--quiet"])
    (True, True)
    >>> asks_for_ranks(["--executor", "local"]), asks_for_ranks(["--", "--executor=mpi"])
    (False, False)
    """
    words = list(words[: words.index("--")] if "--" in words else words)
    return f"{_FLAG}={MPI}" in words or (_FLAG, MPI) in itertools.pairwise(words)


@contextlib.contextmanager
def ranks(words: Sequence[str]) -> Iterator[bool]:
    """Join the job that a command line asks for, if it does.

    Yields
    ------
    bool
        Whether this process reads the command line. Others come here when all is done.

    Raises
    ------
    imagenet_subset.errors.EngineError
        There is no job to join; on rank 0 only, the others end.
    """
    if not asks_for_ranks(words):
        yield True
        return
    from imagenet_subset.execution.mpi import joined, told_rank

    hush(MPI)
    names_gpus = any(word.partition("=")[0] == "--gpu" for word in words)
    with contextlib.ExitStack() as job:
        try:
            leads = job.enter_context(joined(share_gpus=not names_gpus))
        except EngineError:
            if told_rank():
                sys.exit(1)
            raise
        yield leads
