"""The unit of work: read, decode and write one shard of rows, in whichever process.

Pixels never travel between processes: a shard goes in as a list of records, its rows go straight
into the NPZ at their offsets, and one CRC-32 a row comes back.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.crc import crc32
from imagenet_subset.errors import printable, writing
from imagenet_subset.fileio import open_for_update, pread_into, pwrite_all
from imagenet_subset.npz import ROW_NBYTES
from imagenet_subset.records import Record, Split
from imagenet_subset.sources import Source
from pipelines.base import Pipeline
from pipelines.select import PipelineConfig


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
    fallbacks: list[tuple[Record, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    """Lines for the user to read: what the pipeline logged, which photos look damaged."""


class _Notices(logging.Handler):
    """Collects what the thread that made it logs."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.messages.append(record.getMessage())


@dataclass(slots=True)
class Hooks:
    """What a local pool gives its workers; elsewhere the defaults do nothing."""

    should_stop: Callable[[], bool] = lambda: False
    """Whether the build was told to stop; then the result is what is done by now."""
    now_at: Callable[[int], None] = lambda _index: None
    """Told the journal index of the image that is about to be read, -1 for none."""


hooks = Hooks()
_local = threading.local()


def run_shard(job: Job, shard: Shard) -> ShardResult:
    """Bring every row of the shard into the file; fewer when the build is told to stop.

    Raises
    ------
    OutputError
        The NPZ can't be written.
    pipelines.base.PipelineUnavailableError
        The pipeline can't be opened here.
    """
    worker = _worker(job)
    notices, logger = _Notices(), logging.getLogger("pipelines")
    logger.addHandler(notices)
    try:
        result = worker.run(shard)
    finally:
        logger.removeHandler(notices)
        hooks.now_at(-1)
    result.notices += notices.messages
    return result


def _worker(job: Job) -> Worker:
    """The thread's worker for the job, kept so that its pipeline is built once."""
    worker: Worker | None = getattr(_local, "worker", None)
    if worker is None or worker.job != job:
        if worker is not None:
            worker.close()
        worker = _local.worker = Worker(job)
    return worker


class Worker:
    """An open pipeline and an open file."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._pipeline: Pipeline | None = None
        with writing(job.partial, kept=True):
            self._fd = open_for_update(job.partial)

    def close(self) -> None:
        """Free the pipeline and close the file."""
        os.close(self._fd)
        if self._pipeline is not None:
            self._pipeline.close()

    def run(self, shard: Shard) -> ShardResult:
        """See `run_shard`."""
        result = self._check(shard)
        # Places in the shard are the pipeline's keys.
        pending = [i for i, crc in enumerate(result.crcs) if crc is None]
        if pending and not hooks.should_stop():
            self._decode(shard, pending, result)
        return result

    def _check(self, shard: Shard) -> ShardResult:
        """Read back the rows that the journal calls done; those that differ are pending."""
        result = ShardResult([None] * len(shard.records))
        buffer = memoryview(bytearray(ROW_NBYTES))
        for i, (record, crc) in enumerate(zip(shard.records, shard.crcs, strict=True)):
            if crc is None:
                continue
            if hooks.should_stop() or self._holds(record, crc, buffer):
                result.crcs[i] = crc
                result.kept += 1
        return result

    def _holds(self, record: Record, crc: int, buffer: memoryview) -> bool:
        """Whether the record's row in the file has this CRC-32."""
        try:
            n = pread_into(self._fd, buffer, self.job.row_offset(record.split, record.row))
        except OSError:  # a bad block, which is replaced when it is written to
            return False
        return n == ROW_NBYTES and crc32(buffer) == crc

    def _decode(self, shard: Shard, pending: list[int], result: ShardResult) -> None:
        if self._pipeline is None:
            self._pipeline = self.job.config.open()
        encoded = self._read(shard, pending, result)
        for batch in self._pipeline.run(encoded):
            for i, image in zip(batch.keys, batch.images, strict=True):
                result.crcs[i] = self._write(shard.records[i], image)
            result.failures += [(shard.records[i], reason) for i, reason in batch.failures]
            result.fallbacks += [(shard.records[i], reason) for i, reason in batch.fallbacks]
            result.notices += [self._doubt(shard.records[i], what) for i, what in batch.doubts]

    def _doubt(self, record: Record, what: str) -> str:
        path = printable(self.job.source.path(record))
        return f"{path} looks damaged ({what}), but Pillow decodes it: see whether it is whole"

    def _read(
        self, shard: Shard, pending: list[int], result: ShardResult
    ) -> Iterator[tuple[int, bytes]]:
        records = [shard.records[i] for i in pending]
        places = {record.row: i for i, record in zip(pending, records, strict=True)}
        for record, data in self.job.source.read(records):
            if hooks.should_stop():
                return
            i = places[record.row]
            hooks.now_at(shard.first + i)
            if isinstance(data, OSError):
                result.failures.append((record, f"can't be read: {data.strerror or data}"))
            else:
                yield i, data

    def _write(self, record: Record, image: NDArray[np.uint8]) -> int:
        row = memoryview(image.data).cast("B")
        with writing(self.job.partial, kept=True):
            pwrite_all(self._fd, row, self.job.row_offset(record.split, record.row))
        return crc32(row)
