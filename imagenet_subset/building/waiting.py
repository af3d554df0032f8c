"""What waits in a worker for the run's next shard, since opening it takes long.

Nothing outlives a build: `release` closes them when it is over.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from imagenet_subset.building.proof import check_code_and_versions, check_photos, this_process
from imagenet_subset.building.tasks import Job
from imagenet_subset.sources.base import PhotoReader
from pipelines.base import Pipeline

_RELEASE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Equipment:
    """What one shard at a time is worked on with."""

    reader: PhotoReader
    pipeline: Pipeline

    def close(self) -> None:
        """Close both."""
        try:
            self.reader.close()
        finally:
            self.pipeline.close()


_lock = threading.Lock()
_idle: dict[bytes, list[Equipment]] = {}
"""What waits for the next shard, by the token of its run, which was proven here."""


def prove(job: Job) -> None:
    """See that this process fits the job, once in a run."""
    with _lock:
        if job.proof.token in _idle:
            return
    check_code_and_versions(job.proof, job.config.versions())
    if job.proof.photos:
        check_photos(job.proof, job.store)
    with _lock:
        _idle.setdefault(job.proof.token, [])


@contextlib.contextmanager
def equipment_of(job: Job) -> Iterator[Equipment]:
    """Equipment of the run that nobody else uses, newly opened if need be."""
    with _lock:
        waiting = _idle.get(job.proof.token)
        equipment = waiting.pop() if waiting else None
    if equipment is None:
        equipment = Equipment(job.store.open(), job.config.open())
    try:
        yield equipment
    except BaseException:
        equipment.close()
        raise
    with _lock:
        waiting = _idle.get(job.proof.token)
        if waiting is not None:
            waiting.append(equipment)
            return
    equipment.close()  # the run has ended meanwhile


def release(token: bytes, _number: int = 0) -> tuple[str, int]:
    """Close what is idle in this process of a run that has ended; host and process id.

    As a task of an executor it takes a moment, so that other workers get their share of such tasks,
    which their number tells apart.
    """
    with _lock:
        idle = _idle.pop(token, [])
    for equipment in idle:
        equipment.close()
    time.sleep(_RELEASE_SECONDS)
    return this_process()
