"""What the worker processes of builds import before it is known what they will decode, and how."""

from __future__ import annotations

from imagenet_subset.execution.processes import Workers, begin_workers

MODULES = ("imagenet_subset.building.ready",)


def begin_workers_of_builds() -> Workers:
    """Have the process that will fork the workers of a build start, and import what all need.

    Raises
    ------
    imagenet_subset.errors.WorkerStartError
        The system refuses another process.
    """
    return begin_workers(MODULES)
