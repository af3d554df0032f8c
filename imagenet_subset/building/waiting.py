"""What a worker keeps for the run's next shard: a reader and a pipeline, which take long to open.

Nothing outlives a build: `release` closes all when it is over.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from imagenet_subset.building.proof import (
    check_code_and_pipeline,
    check_photos,
    this_process,
    worker_name,
)
from imagenet_subset.building.resolution import resolve_alone
from imagenet_subset.building.tasks import Job
from imagenet_subset.errors import SourceError, UnfitWorkerError
from imagenet_subset.execution.context import current
from imagenet_subset.sources.base import PhotoReader
from imagenet_subset.sources.patience import closing
from imagenet_subset.system.text import printable
from pipelines.base import Pipeline, PipelineUnavailableError
from pipelines.choice import PipelineConfig

_RELEASE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Equipment:
    """What one shard at a time is worked on with."""

    reader: PhotoReader
    pipeline: Pipeline

    @classmethod
    def of(cls, job: Job, config: PipelineConfig) -> Equipment:
        """Open both.

        Raises
        ------
        SourceError
            The store can't be opened here.
        pipelines.base.PipelineUnavailableError
            The pipeline can't.
        """
        try:
            reader = job.store.open()
        except OSError as error:
            raise SourceError(
                f"worker {worker_name()} can't open {printable(job.store.root)}: "
                f"{error.strerror or error}; put that right; what is done is kept: run the same "
                "command again to go on"
            ) from error
        try:
            return cls(reader, opened(config))
        except BaseException:
            with closing(reader):
                raise

    def close(self) -> None:
        """Close both."""
        with closing(self.reader):
            self.pipeline.close()


@dataclass(slots=True)
class _Kept:
    """What this process keeps for a run that it fits."""

    config: PipelineConfig
    """As resolved here."""
    idle: list[Equipment] = field(default_factory=list)
    """What waits for the next shard."""


_lock = threading.Lock()
_proving = threading.Lock()
"""Held while this process proves itself, so that each run's first thread does it for all."""
_kept: dict[bytes, _Kept] = {}
"""By the token of the run."""
_ahead: dict[PipelineConfig, Pipeline] = {}
"""What was opened before the first shard that needs it."""


def open_ahead(config: PipelineConfig) -> None:
    """Open a pipeline that the first shard will need, in a process that ends with the build.

    Raises
    ------
    pipelines.base.PipelineUnavailableError
        It won't start.
    """
    pipeline = opened(config)
    with _lock:
        _ahead[config] = pipeline


def opened(config: PipelineConfig) -> Pipeline:
    """The pipeline, opened now or ahead."""
    with _lock:
        ahead = _ahead.pop(config, None)
    return ahead or config.open(current().slot)


def prove(job: Job) -> None:
    """See that this process fits the job, once in a run.

    Raises
    ------
    UnfitWorkerError
        It doesn't.
    """
    with _proving:
        if job.proof.token in _kept:
            return
        config = _resolved(job)
        check_code_and_pipeline(job.proof, planned=job.config, here=config)
        check_photos(job.proof, job.store)
        with _lock:
            _kept[job.proof.token] = _Kept(config)


def _resolved(job: Job) -> PipelineConfig:
    """The job's pipeline in this process."""
    if job.request is None:
        return job.config
    try:
        return resolve_alone(job.request, job.workers)
    except PipelineUnavailableError as error:
        raise UnfitWorkerError(
            f"worker {worker_name()} can't decode as planned: {job.config.title} where the build "
            f"was planned; there {error}"
        ) from error


@contextlib.contextmanager
def equipment_of(job: Job) -> Iterator[Equipment]:
    """Equipment of the run that nobody else uses, newly opened if need be."""
    with _lock:
        kept = _kept.get(job.proof.token)
        equipment = kept.idle.pop() if kept and kept.idle else None
    if equipment is None:
        equipment = Equipment.of(job, kept.config if kept else _resolved(job))
    try:
        yield equipment
    except BaseException:
        equipment.close()
        raise
    with _lock:
        if kept and _kept.get(job.proof.token) is kept:
            kept.idle.append(equipment)
            return
    equipment.close()  # the run has ended meanwhile


def let_go(token: bytes) -> None:
    """Close what is idle in this process of a run that has ended, or that ends by an error."""
    with _lock:
        kept = _kept.pop(token, None)
        idle = kept.idle if kept else []
    for equipment in idle:
        equipment.close()


def release(token: bytes, _number: int = 0) -> tuple[str, int]:
    """`let_go` as a task of an executor; host and process id.

    It takes a moment, so that other workers get their share of such tasks, which their number tells
    apart.
    """
    let_go(token)
    time.sleep(_RELEASE_SECONDS)
    return this_process()
