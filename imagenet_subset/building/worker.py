"""The unit of work: read, decode and write one shard of rows, in whichever process.

Pixels never travel between processes: a shard goes in as a list of locations, its rows go straight
into the NPZ at their offsets, and one CRC-32 a row comes back.

Nothing outlives a build: the file is opened for each shard, and readers and pipelines wait for the
run's next one in `imagenet_subset.building.waiting`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.building.lost import lost_device
from imagenet_subset.building.notices import noticed
from imagenet_subset.building.proof import this_process, worker_name
from imagenet_subset.building.row_file import RowFile, open_same_file
from imagenet_subset.building.tasks import UNREADABLE, Job, Shard, ShardResult
from imagenet_subset.building.waiting import equipment_of, let_go, open_ahead, prove
from imagenet_subset.columns import Location, are_neighbours
from imagenet_subset.errors import SourceError, UnfitWorkerError, WorkerMemoryError
from imagenet_subset.execution.context import current
from imagenet_subset.npz.crc import crc32
from imagenet_subset.npz.rows import runs
from imagenet_subset.sources.ahead import read_ahead
from imagenet_subset.sources.base import DAMAGED, PhotoReader
from imagenet_subset.sources.patience import read_each
from imagenet_subset.system.files import writing
from imagenet_subset.system.text import printable
from pipelines.base import Batch, DeviceFailedError, Pipeline, PipelineUnavailableError
from pipelines.choice import PipelineConfig


def run_shard(job: Job, shard: Shard) -> ShardResult:
    """Bring every row of the shard into the file; fewer when the build is asked to stop.

    Raises
    ------
    OutputError
        The NPZ can't be written.
    SourceError
        No photo of the shard can be read.
    UnfitWorkerError
        This process sees other files than the build, or might make other pixels.
    WorkerError
        A GPU failed for good.
    WorkerMemoryError
        An image takes more memory than there is.
    pipelines.base.PipelineUnavailableError
        The pipeline can't be opened here.
    """
    try:
        with noticed() as notices, open_same_file(job) as file:
            prove(job)
            result = _Work(job, shard, file).run()
    except BaseException:
        let_go(job.proof.token)  # the build ends, and nobody hears which process it was
        raise
    finally:
        current().now_at(-1)
    result.notices = of_card(job.config, [*result.notices, *notices])
    result.process = this_process()
    return result


def open_pipeline(config: PipelineConfig) -> list[str]:
    """Open a pipeline as a task before the first shard, which then finds it open.

    Returns
    -------
    list of str
        Lines for the user.

    Raises
    ------
    pipelines.base.PipelineUnavailableError
        It won't start.
    """
    with noticed() as notices:
        open_ahead(config)
    return of_card(config, notices)


def of_card(config: PipelineConfig, lines: list[str]) -> list[str]:
    """Lines for the user with the name of this worker's GPU, where there are several."""
    if len(config.cards) < 2:
        return lines
    return [config.with_card(current().slot, line) for line in lines]


def photos_of(
    config: PipelineConfig, reader: PhotoReader, locations: list[Location]
) -> Generator[bytes | OSError]:
    """Contents of photos as a pipeline is fed with them; an `OSError` for one that fails."""
    if config.kind.reads_ahead:
        return read_ahead(reader, locations, 2 * config.batch_size)
    return read_each(reader, locations)


class _Work:
    """One shard at work."""

    def __init__(self, job: Job, shard: Shard, file: RowFile) -> None:
        self._job, self._shard, self._file = job, shard, file
        self._result = ShardResult([None] * len(shard.indices))
        self._offsets = job.rows.offsets(shard.indices)
        self._in_hand = shard.locations[0]

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
            except DeviceFailedError as error:
                photos = [self._path(self._shard.locations[i]) for i in error.keys]
                raise lost_device(self._with_card(error.cause), photos) from error
            self._check_that_some_could_be_read(len(pending))
        return self._result

    def _check(self) -> None:
        """Read back the rows that the journal calls done; those that differ are pending."""
        buffer = memoryview(bytearray(self._job.rows.nbytes))
        for i, crc in enumerate(self._shard.crcs):
            if crc is None:
                continue
            if current().should_stop() or self._holds(i, crc, buffer):
                self._result.crcs[i] = crc
                self._result.kept += 1

    def _holds(self, i: int, crc: int, buffer: memoryview) -> bool:
        """Whether the shard's row ``i`` in the file has this CRC-32."""
        try:
            n = self._file.read(buffer, self._offsets[i])
        except OSError:  # a bad block, which is replaced when it is written to
            return False
        return n == len(buffer) and crc32(buffer) == crc

    def _decode(self, pending: list[int]) -> None:
        indices, result = self._shard.indices, self._result
        with (
            equipment_of(self._job) as equipment,
            # Closed here: after an error the traceback would keep the threads that read ahead.
            contextlib.closing(self._read(equipment.reader, pending)) as photos,
        ):
            for batch in self._decoded(equipment.pipeline, photos):
                self._write(batch.keys, batch.images)
                result.failures += [(indices[i], reason) for i, reason in batch.failures]
                result.fallbacks += [(indices[i], reason) for i, reason in batch.fallbacks]
                result.notices += [self._doubt(i, what) for i, what in batch.doubts]
                result.notices += batch.notices

    def _decoded(
        self, pipeline: Pipeline, photos: Iterator[tuple[int, bytes]]
    ) -> Iterator[Batch[int]]:
        """Batches of a pipeline; one that gives up is reported as one of a build that goes on."""
        try:
            yield from pipeline.run(photos)
        except PipelineUnavailableError as error:
            cause, _, _ = str(error).rpartition(";")
            raise PipelineUnavailableError(
                f"{self._with_card(cause or str(error))}; what is done is kept: run the same "
                "command again to go on"
            ) from error

    def _with_card(self, cause: str) -> str:
        return self._job.config.with_card(current().slot, cause)

    def _doubt(self, i: int, what: str) -> str:
        path = self._path(self._shard.locations[i])
        return f"{path} looks damaged ({what}), but Pillow decodes it: see whether it is whole"

    def _path(self, at: Location) -> str:
        return printable(self._job.store.describe(at))

    def _read(self, reader: PhotoReader, pending: list[int]) -> Generator[tuple[int, bytes]]:
        """The photos that can be read, under their places; the others are noted."""
        should_stop, now_at = current().should_stop, current().now_at
        indices, locations = self._shard.indices, [self._shard.locations[i] for i in pending]
        with contextlib.closing(photos_of(self._job.config, reader, locations)) as photos:
            for i, self._in_hand, data in zip(pending, locations, photos, strict=True):
                if should_stop():
                    return
                now_at(indices[i])
                if isinstance(data, bytes):
                    yield i, data
                else:
                    self._note_unread(indices[i], data)

    def _note_unread(self, index: int, error: OSError) -> None:
        if error.errno in DAMAGED:
            self._result.failures.append((index, str(error.strerror)))
        else:
            reason = f"{UNREADABLE}{error.strerror or error}"
            self._result.unreadable.append((index, reason))

    def _write(self, keys: list[int], images: NDArray[np.uint8]) -> None:
        """Write the rows of a batch, neighbours in the file in one call."""
        if not keys:
            return
        nbytes = self._job.rows.nbytes
        pixels = images.data.cast("B")
        views = [pixels[at : at + nbytes] for at in range(0, len(pixels), nbytes)]
        crcs = list(map(crc32, views))
        indices = [self._shard.indices[i] for i in keys]
        with writing(self._job.partial, kept=True):
            if self._job.shared:
                self._check_that_the_run_goes_on()
            if are_neighbours(indices):  # as a rule: then they are one run of bytes here too
                self._file.write([pixels], self._job.rows.offset(indices[0]))
            else:
                rows = dict(zip(indices, views, strict=True))
                for run in runs(indices):
                    neighbours = [rows[index] for index in run]
                    self._file.write(neighbours, self._job.rows.offset(run.start))
        for i, crc in zip(keys, crcs, strict=True):
            self._result.crcs[i] = crc

    def _check_that_the_run_goes_on(self) -> None:
        """A worker that an engine gave up, but that lives, writes nothing where others go on.

        When rows move up, or the file is complete, its token is gone.
        """
        if not self._file.has(self._job.proof.token):
            raise UnfitWorkerError(
                f"worker {worker_name()} was given up, and the build went on without it"
            )

    def _check_that_some_could_be_read(self, pending: int) -> None:
        """A disk that has gone isn't so many bad photos. Of a single one it can't be known."""
        unreadable = self._result.unreadable
        if len(unreadable) < max(pending, 2):
            return
        index, reason = unreadable[0]
        path = self._path(self._shard.locations[self._shard.indices.index(index)])
        raise SourceError(
            f"none of {pending} photos could be read by worker {worker_name()}, the first "
            f"{path} ({reason.removeprefix(UNREADABLE)}); put that right; what is done is kept: "
            "run the same command again to go on"
        )

    def _out_of_memory(self) -> WorkerMemoryError:
        path = self._path(self._in_hand)
        if self._job.config.kind.reads_ahead:
            path = f"the photos up to {path}"
        return WorkerMemoryError(
            f"out of memory while a worker had {path} in hand; try fewer --workers; what is done "
            "is kept: run the same command again to go on"
        )
