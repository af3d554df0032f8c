"""The unit of work: read, decode and write one shard of rows, in whichever process.

Pixels never travel between processes: a shard goes in as a list of records, its rows go straight
into the NPZ at their offsets, and one CRC-32 a row comes back.

Nothing outlives a build. The file is opened for each shard; pipelines, which are dear, wait for the
run's next shard in `_idle` until `release` ends them.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.building.proof import (
    Proof,
    check_code_and_versions,
    check_photos,
    open_same_file,
    this_process,
    worker_name,
)
from imagenet_subset.errors import SourceError, WorkerMemoryError
from imagenet_subset.execution.context import current
from imagenet_subset.npz.crc import crc32
from imagenet_subset.npz.layout import ROW_NBYTES
from imagenet_subset.records import Record, Split
from imagenet_subset.sources.base import Source
from imagenet_subset.system.files import pread_into, pwrite_all, writing
from imagenet_subset.system.text import printable
from pipelines.base import Pipeline
from pipelines.choice import PipelineConfig

UNREADABLE = "can't be read: "
"""Prefix of the reason when a file can't be read."""
_RELEASE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Job:
    """What every shard of a build has in common; small, since it travels with each shard."""

    source: Source
    config: PipelineConfig
    partial: str
    """Path of the unfinished NPZ."""
    train_offset: int
    """Start of row 0 of ``X_train`` in the file, in bytes."""
    val_offset: int
    proof: Proof
    """What a worker must have in common with the build, and the token of this run."""

    def row_offset(self, split: Split, row: int) -> int:
        """Start of a row in the file, in bytes."""
        return (self.train_offset if split == "train" else self.val_offset) + row * ROW_NBYTES


@dataclass(frozen=True, slots=True)
class Shard:
    """A run of neighbouring rows of one split."""

    first: int
    """Index of the first row in the journal."""
    records: list[Record]
    crcs: list[int | None]
    """For each record the CRC-32 that the journal has for its row, or None."""


@dataclass(slots=True)
class ShardResult:
    """What became of a shard."""

    crcs: list[int | None]
    """For each record the CRC-32 of its row in the file, or None where there is none."""
    kept: int = 0
    """Rows that were done already and still have the journal's CRC-32."""
    failures: list[tuple[Record, str]] = field(default_factory=list)
    """Images that can't be decoded, each with the reason."""
    unreadable: list[tuple[Record, str]] = field(default_factory=list)
    """Images whose files can't be read, each with the reason."""
    fallbacks: list[tuple[Record, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    """Lines for the user to read: what the pipeline logged, which photos look damaged."""
    process: tuple[str, int] | None = None
    """Host and process id of the worker."""


class _Notices(logging.Handler):
    """Collects what the thread that made it logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.messages.append(record.getMessage())


_lock = threading.Lock()
_idle: dict[bytes, list[Pipeline]] = {}
"""Pipelines that wait for the next shard, by the token of their run, which was proven here."""


def run_shard(job: Job, shard: Shard) -> ShardResult:
    """Bring every row of the shard into the file; fewer when the build is told to stop.

    Raises
    ------
    OutputError
        The NPZ can't be written.
    SourceError
        No photo of the shard can be read.
    UnfitWorkerError
        This process sees other files than the build, or might make other pixels.
    WorkerMemoryError
        An image takes more memory than there is.
    pipelines.base.PipelineUnavailableError
        The pipeline can't be opened here.
    """
    notices, logger = _Notices(), logging.getLogger("pipelines")
    logger.addHandler(notices)
    try:
        with open_same_file(job.partial, job.proof) as fd:
            _prove(job)
            result = _Work(job, shard, fd).run()
    finally:
        logger.removeHandler(notices)
        current().now_at(-1)
    result.notices += notices.messages
    result.process = this_process()
    return result


def _prove(job: Job) -> None:
    """See that this process fits the job, once in a run."""
    with _lock:
        if job.proof.token in _idle:
            return
    check_code_and_versions(job.proof, job.config.versions())
    check_photos(job.proof)
    with _lock:
        _idle.setdefault(job.proof.token, [])


@contextlib.contextmanager
def _pipeline(job: Job) -> Iterator[Pipeline]:
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


class _Work:
    """One shard at work."""

    def __init__(self, job: Job, shard: Shard, fd: int) -> None:
        self._job, self._shard, self._fd = job, shard, fd
        self._result = ShardResult([None] * len(shard.records))
        self._in_hand = shard.records[0]

    def run(self) -> ShardResult:
        """See `run_shard`."""
        self._check()
        # Places in the shard are the pipeline's keys.
        pending = [i for i, crc in enumerate(self._result.crcs) if crc is None]
        if pending and not current().should_stop():
            try:
                self._decode(pending)
            except MemoryError as error:
                raise self._out_of_memory() from error
            self._check_that_some_could_be_read(len(pending))
        return self._result

    def _check(self) -> None:
        """Read back the rows that the journal calls done; those that differ are pending."""
        buffer = memoryview(bytearray(ROW_NBYTES))
        for i, crc in enumerate(self._shard.crcs):
            if crc is None:
                continue
            if current().should_stop() or self._holds(self._shard.records[i], crc, buffer):
                self._result.crcs[i] = crc
                self._result.kept += 1

    def _holds(self, record: Record, crc: int, buffer: memoryview) -> bool:
        """Whether the record's row in the file has this CRC-32."""
        try:
            n = pread_into(self._fd, buffer, self._job.row_offset(record.split, record.row))
        except OSError:  # a bad block, which is replaced when it is written to
            return False
        return n == ROW_NBYTES and crc32(buffer) == crc

    def _decode(self, pending: list[int]) -> None:
        records, result = self._shard.records, self._result
        with _pipeline(self._job) as pipeline:
            for batch in pipeline.run(self._read(pending)):
                for i, image in zip(batch.keys, batch.images, strict=True):
                    result.crcs[i] = self._write(records[i], image)
                result.failures += [(records[i], reason) for i, reason in batch.failures]
                result.fallbacks += [(records[i], reason) for i, reason in batch.fallbacks]
                result.notices += [self._doubt(records[i], what) for i, what in batch.doubts]

    def _doubt(self, record: Record, what: str) -> str:
        path = printable(self._job.source.path(record))
        return f"{path} looks damaged ({what}), but Pillow decodes it: see whether it is whole"

    def _read(self, pending: list[int]) -> Iterator[tuple[int, bytes]]:
        records = [self._shard.records[i] for i in pending]
        places = {record.row: i for i, record in zip(pending, records, strict=True)}
        for record, data in self._job.source.read(records):
            if current().should_stop():
                return
            i = places[record.row]
            self._in_hand = record
            current().now_at(self._shard.first + i)
            if not isinstance(data, OSError):
                yield i, data
            elif data.errno == errno.EFBIG:
                self._result.failures.append((record, str(data.strerror)))
            else:
                reason = f"{UNREADABLE}{data.strerror or data}"
                self._result.unreadable.append((record, reason))

    def _write(self, record: Record, image: NDArray[np.uint8]) -> int:
        row = memoryview(image.data).cast("B")
        with writing(self._job.partial, kept=True):
            pwrite_all(self._fd, row, self._job.row_offset(record.split, record.row))
        return crc32(row)

    def _check_that_some_could_be_read(self, pending: int) -> None:
        """A disk that has gone isn't so many bad photos. Of a single one it can't be known."""
        unreadable = self._result.unreadable
        if len(unreadable) < max(pending, 2):
            return
        record, reason = unreadable[0]
        raise SourceError(
            f"none of {pending} photos could be read by worker {worker_name()}, the first "
            f"{printable(self._job.source.path(record))} ({reason.removeprefix(UNREADABLE)}); put "
            "that right; "
            "what is done is kept: run the same command again to go on"
        )

    def _out_of_memory(self) -> WorkerMemoryError:
        path = printable(self._job.source.path(self._in_hand))
        if self._job.config.kind.reads_ahead:
            path = f"the photos up to {path}"
        return WorkerMemoryError(
            f"out of memory while a worker had {path} in hand; try fewer --workers; what is done "
            "is kept: run the same command again to go on"
        )
