"""What runs the work, by its name: processes of this machine, a Dask cluster, or MPI."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import TypeAlias

from imagenet_subset.execution.borrowed import Borrowed
from imagenet_subset.execution.runner import nothing

LOCAL, MPI = "local", "mpi"
_DASK = "dask:"

Engine: TypeAlias = Executor | Borrowed | str
"""An executor of somebody else, or the name of an engine: see `wrong_with`."""


def wrong_with(name: str) -> str:
    """Why this names no engine; empty if it does.

    Examples
    --------
    >>> wrong_with("local"), wrong_with("mpi"), wrong_with("dask:tcp://10.0.0.1:8786")
    ('', '', '')
    >>> wrong_with("slurm")
    "'slurm' isn't local, dask:ADDRESS, dask:FILE or mpi"
    """
    if name in (LOCAL, MPI) or (name.startswith(_DASK) and len(name) > len(_DASK)):
        return ""
    return f"{name!r} isn't local, dask:ADDRESS, dask:FILE or mpi"


def check_engine(engine: Engine, *, workers: int | None, gpus: object) -> None:
    """Refuse what is for the processes of one machine where others run the work.

    Parameters
    ----------
    workers
        How many were asked for, if any were.
    gpus
        Index of the GPU that was asked for, several, or ``"all"``; None if none was.

    Raises
    ------
    ValueError
        It is asked for, or this is no engine.
    """
    if isinstance(engine, str):
        if wrong := wrong_with(engine):
            raise ValueError(f"executor: {wrong}")
        if engine == LOCAL:
            return
        if workers is not None:
            raise ValueError(
                f"--workers {workers} goes with --executor local alone; another engine has the "
                "workers that were started for it"
            )
    if gpus == "all" or (isinstance(gpus, Sequence) and len(gpus) > 1):
        asked = gpus if isinstance(gpus, str) else ",".join(map(str, gpus))
        raise ValueError(
            f"--gpu {asked} is for the processes of one machine; with an executor each worker has "
            "one GPU: name one at most"
        )


@contextlib.contextmanager
def opened(engine: Engine, tell: Callable[[str], None] = nothing) -> Iterator[Borrowed | None]:
    """Get hold of the workers of an engine.

    Parameters
    ----------
    tell
        Called with lines for the user.

    Yields
    ------
    Borrowed or None
        None for this machine's own processes.

    Raises
    ------
    imagenet_subset.errors.EngineError
        They can't be had.
    ValueError
        It is no executor.
    """
    if isinstance(engine, Borrowed):
        yield engine
    elif not isinstance(engine, str):
        yield _borrowed(engine)
    elif engine == LOCAL:
        yield None
    elif engine == MPI:
        from imagenet_subset.execution import mpi

        runner = mpi.leading()
        if runner is None:
            tell(
                "--executor mpi: there is one rank, so nothing is distributed, and processes of "
                "this machine decode; start the command by srun or mpiexec"
            )
        yield runner
    else:
        from imagenet_subset.execution.dask import connected

        with connected(engine.removeprefix(_DASK), tell) as cluster:
            yield cluster


def _borrowed(executor: Executor) -> Borrowed:
    if type(executor).__module__.startswith("distributed."):
        from imagenet_subset.execution.dask import DaskRunner

        client = getattr(executor, "_client", None)
        if client is not None and client.scheduler is not None:  # which a closed one hasn't
            return DaskRunner(client, client.scheduler.address)
    return Borrowed(executor)


def hush(engine: Engine) -> None:
    """Keep an engine's library from printing in this process, which is the program's own."""
    if engine == MPI:
        # What `mpi.joined` says of ranks that aren't connected says more.
        warnings.filterwarnings("ignore", "suspicious MPI execution environment")
    elif isinstance(engine, str) and engine.startswith(_DASK):
        from imagenet_subset.execution import scheduler

        scheduler.hush()
