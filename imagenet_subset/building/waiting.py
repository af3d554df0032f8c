"""Pipelines that wait in a worker for the run's next shard, since opening one takes long.

Nothing outlives a build: `release` closes them when it is over.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from imagenet_subset.building.proof import check_code_and_versions, check_photos, this_process
from imagenet_subset.building.tasks import Job
from pipelines.base import Pipeline

_RELEASE_SECONDS = 0.02
_lock = threading.Lock()
_idle: dict[bytes, list[Pipeline]] = {}
"""Pipelines that wait for the next shard, by the token of their run, which was proven here."""


def prove(job: Job) -> None:
    """See that this process fits the job, once in a run."""
    with _lock:
        if job.proof.token in _idle:
            return
    check_code_and_versions(job.proof, job.config.versions())
    check_photos(job.proof)
    with _lock:
        _idle.setdefault(job.proof.token, [])


@contextlib.contextmanager
def pipeline_of(job: Job) -> Iterator[Pipeline]:
    """A pipeline of the run that nobody else uses, a new one if need be."""
    with _lock:
        waiting = _idle.get(job.proof.token)
        pipeline = waiting.pop() if waiting else None
    if pipeline is None:
        pipeline = job.config.open()
    try:
        yield pipeline
    except BaseException:
        pipeline.close()
        raise
    with _lock:
        waiting = _idle.get(job.proof.token)
        if waiting is not None:
            waiting.append(pipeline)
            return
    pipeline.close()  # the run has ended meanwhile


def release(token: bytes, _number: int = 0) -> tuple[str, int]:
    """Close this process's idle pipelines of a run that has ended; host and process id.

    As a task of an executor it takes a moment, so that other workers get their share of such tasks,
    which their number tells apart.
    """
    with _lock:
        pipelines = _idle.pop(token, [])
    for pipeline in pipelines:
        pipeline.close()
    time.sleep(_RELEASE_SECONDS)
    return this_process()
