"""The shards of a build on workers: of this machine, or of somebody's executor."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, wait

from imagenet_subset.building import proof
from imagenet_subset.building.journal import Journal
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.readback import changed
from imagenet_subset.building.worker import Job, Shard, ShardResult, release, run_shard
from imagenet_subset.errors import UnfitWorkerError, WorkerDiedError
from imagenet_subset.execution.local import LocalPool, WorkerDied
from imagenet_subset.execution.runner import work_through
from imagenet_subset.npz.layout import ROW_NBYTES
from imagenet_subset.records import SPLITS, Record
from imagenet_subset.system.files import pread_into, pwrite_all, writing
from imagenet_subset.system.publishing import check_in_place
from imagenet_subset.system.space import start_writeback
from imagenet_subset.system.text import printable
from pipelines.choice import PipelineConfig

Progress = Callable[[ShardResult], None]

_PATIENCE = 5.0
"""Seconds that a network file system has to show its clients the unfinished file."""
_RELEASE_SECONDS = 1.0
"""How long the workers of an executor are asked to let go of what they hold for a build."""


def warm_up(pool: LocalPool, config: PipelineConfig) -> None:
    """Have a pool import in the background what a build with this pipeline will need."""
    pool.warm_up(config.processes, ["imagenet_subset.building.worker", *config.kind.modules])


class Run:
    """The part of a build between taking up its file and sealing it.

    Attributes
    ----------
    decoded, kept : int
        Images decoded now, and images that were done already.
    failures, unreadable, fallbacks : list of (Record, str)
        Images that can't be decoded, whose files can't be read, and that were left to Pillow, each
        with the reason.
    notices : list of str
        What the user was told, each line once.
    """

    def __init__(
        self, plan: BuildPlan, fd: int, journal: Journal, progress: Progress | None
    ) -> None:
        self._plan, self._fd, self._journal, self._progress = plan, fd, journal, progress
        self._processes: set[tuple[str, int]] = set()
        self.decoded = self.kept = 0
        self.failures: list[tuple[Record, str]] = []
        self.unreadable: list[tuple[Record, str]] = []
        self.fallbacks: list[tuple[Record, str]] = []
        self.notices: list[str] = []

    def tell(self, notice: str) -> None:
        """Pass a line on to the user, once."""
        if notice not in self.notices:
            self.notices.append(notice)
            if self._progress:
                self._progress(ShardResult([], notices=[notice]))

    def take(self, first: int, shard: ShardResult) -> None:
        """Note what became of a shard."""
        plan = self._plan
        check_in_place(self._fd, plan.output.partial)
        self._journal.record(first, shard.crcs)
        start_writeback(self._fd, plan.offset_of(first), len(shard.crcs) * ROW_NBYTES)
        self.kept += shard.kept
        self.decoded += sum(crc is not None for crc in shard.crcs) - shard.kept
        self.failures += shard.failures
        self.fallbacks += shard.fallbacks
        self.unreadable += shard.unreadable
        if shard.process:
            self._processes.add(shard.process)
        shard.notices = [text for text in shard.notices if text not in self.notices]
        self.notices += shard.notices
        if self._progress:
            self._progress(shard)

    def on_this_machine(self, pool: LocalPool) -> None:
        """Run all shards on processes of our own."""

        def take(first: int, shard: ShardResult) -> None:
            self.take(first, shard)
            for line in pool.new_lines():
                self.tell(f"a worker process says: {line}")

        with pool:
            warm_up(pool, self._plan.config)
            try:
                with self._looking_here_first():
                    pool.work_through(self._tasks(self._job(patience=0.0)), take)
            except WorkerDied as died:
                raise _worker_died(self._plan, pool.in_hand, died) from died

    def on_executor(self, executor: Executor) -> None:
        """Run all shards on somebody else's workers, of whom nothing is left in the end."""
        job = self._job(patience=_PATIENCE)

        def submit(task: Callable[[], ShardResult]) -> Future[ShardResult]:
            try:
                return executor.submit(task)
            except Exception as error:
                raise BrokenExecutor(f"{type(error).__name__}: {error}") from error

        try:
            with self._looking_here_first():
                work_through(submit, self._tasks(job), self.take, ahead=64)
        except (BrokenExecutor, CancelledError) as error:
            what = " ".join(str(error).split()) or type(error).__name__
            raise WorkerDiedError(
                f"the executor gave up: {what}; what is done is kept: run the same again to go on"
            ) from error
        finally:
            _release(executor, job.proof.token, self._processes)

    def _job(self, *, patience: float) -> Job:
        plan, layout = self._plan, self._plan.layout
        partial = plan.output.partial
        self._token = proof.new_token()
        with writing(partial, kept=True):
            pwrite_all(self._fd, self._token, 0)
            if patience:
                os.fsync(self._fd)  # for machines that don't share this one's cache
        return Job(
            plan.source,
            plan.config,
            str(partial.absolute()),
            layout.row_offset("train", 0),
            layout.row_offset("val", 0),
            proof.Proof(
                self._token,
                proof.code_hash(),
                proof.with_python(plan.provenance["pipeline"]["versions"]),
                tuple(self._some_photos()) if patience else (),
                patience,
            ),
        )

    def _tasks(self, job: Job) -> Iterator[tuple[int, Callable[[], ShardResult]]]:
        return (
            (shard.first, functools.partial(run_shard, job, shard))
            for shard in _shards(self._plan, self._journal)
        )

    def _some_photos(self) -> Iterator[str]:
        """The first, the middle and the last photo of each split, as far as they can be read."""
        for records in self._plan.records.values():
            for k in sorted({0, len(records) // 2, len(records) - 1} if records else ()):
                path = self._plan.source.path(records[k])
                if os.access(path, os.R_OK):
                    yield path

    @contextlib.contextmanager
    def _looking_here_first(self) -> Iterator[None]:
        """When a worker doesn't find this file, see whether it is as it was here."""
        partial = self._plan.output.partial
        try:
            yield
        except UnfitWorkerError:
            check_in_place(self._fd, partial)
            found = bytearray(len(self._token))
            with writing(partial, kept=True):
                pread_into(self._fd, memoryview(found), 0)
            if found != self._token:
                raise changed(partial, "its first bytes differ") from None
            raise


def _release(executor: Executor, token: bytes, processes: set[tuple[str, int]]) -> None:
    """Have every process that worked for a run close what it holds for it, as far as it answers."""
    left = processes - {release(token)}
    end = time.monotonic() + _RELEASE_SECONDS
    number = 0
    with contextlib.suppress(BrokenExecutor, CancelledError, RuntimeError):
        while left and time.monotonic() < end:
            futures = []
            for _ in range(2 * len(left)):
                number += 1
                futures.append(executor.submit(release, token, number))
            done, waiting = wait(futures, max(0.0, end - time.monotonic()))
            left -= {future.result() for future in done}
            for future in waiting:
                future.cancel()


def _shards(plan: BuildPlan, journal: Journal) -> Iterator[Shard]:
    size = plan.config.shard_size
    done, crcs = journal.done, journal.crcs
    base = 0
    for split in SPLITS:
        records = plan.records[split]
        for start in range(0, len(records), size):
            first = base + start
            part = records[start : start + size]
            known = [int(crcs[i]) if done[i] else None for i in range(first, first + len(part))]
            yield Shard(first, part, known)
        base += len(records)


def _worker_died(plan: BuildPlan, in_hand: list[int], died: WorkerDied) -> WorkerDiedError:
    records = [record for split in SPLITS for record in plan.records[split]]
    names = " or ".join(printable(plan.source.path(records[i])) for i in in_hand)
    if plan.config.kind.reads_ahead:
        names = names and f"the photos up to {names}"
    told = died.told(f"while it had {names} in hand" if names else "")
    return WorkerDiedError(f"{told}; what is done is kept: run the same command again to go on")
