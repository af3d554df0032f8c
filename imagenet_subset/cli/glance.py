"""A build's worker processes, begun at a glance at the command line.

They and this process import for a tenth of a second and more, so that neither should wait for the
other. Of what they import this module has little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from imagenet_subset.execution.processes import Workers

_SUBSET = ("--subset_name", "--subset-name")
_NO_BUILD = ("-h", "--help", "--version", "--executor")


def looks_like_build(words: Sequence[str]) -> bool:
    """Whether a command line will as a rule have processes of this machine decode photos.

    Examples
    --------
    >>> looks_like_build(["--subset_name", "imagenet30"]), looks_like_build(["demo"])
    (True, True)
    >>> looks_like_build(["verify", "a.npz"]), looks_like_build(["build", "--executor=mpi"])
    (False, False)
    """
    names = {word.partition("=")[0] for word in words}
    builds = words[:1] == ["demo"] or not names.isdisjoint(_SUBSET)
    return builds and names.isdisjoint(_NO_BUILD)


def begin_workers_of(words: Sequence[str]) -> Workers | None:
    """Begin what starts the workers, if the command line looks like that of a build.

    None where the system refuses it, which is reported when workers are needed.
    """
    if not looks_like_build(words):
        return None
    from imagenet_subset.building.ahead import begin_workers_of_builds
    from imagenet_subset.errors import WorkerStartError
    from imagenet_subset.system.shadowed import check_pipelines

    try:
        check_pipelines()
        return begin_workers_of_builds()
    except (ImportError, WorkerStartError):
        return None
