"""The shards of a build on workers: of this machine, or of somebody's executor."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import replace

from imagenet_subset.building import proof
from imagenet_subset.building.journal import Journal
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.readback import changed
from imagenet_subset.building.tasks import Job, Shard, ShardResult
from imagenet_subset.building.waiting import release
from imagenet_subset.building.worker import run_shard
from imagenet_subset.errors import UnfitWorkerError, WorkerDiedError
from imagenet_subset.execution.local import LocalPool, WorkerDied
from imagenet_subset.execution.runner import work_through
from imagenet_subset.records import SPLITS, Record
from imagenet_subset.system.files import pread_into, pwrite_all, writing
from imagenet_subset.system.publishing import check_in_place
from imagenet_subset.system.space import start_writeback
from pipelines.choice import PipelineConfig

Progress = Callable[[ShardResult], None]

_PATIENCE = 5.0
"""Seconds that a network file system has to show its clients the unfinished file."""
_RELEASE_SECONDS = 1.0
"""How long the workers of an executor are asked to let go of what they hold for a build."""


def warm_up(pool: LocalPool, config: PipelineConfig) -> None:
    """Have a pool import in the background what a build with this pipeline will need."""
    pool.warm_up(config.processes, [run_shard.__module__, *config.kind.modules])


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
        Lines for the user, each once.
    """

    def __init__(
        self, plan: BuildPlan, fd: int, journal: Journal, progress: Progress | None
    ) -> None:
        self._plan, self._fd, self._journal = plan, fd, journal
        self._progress: Progress = progress or (lambda _: None)
        self._partial, self._rows = plan.output.partial, plan.layout.rows
        self._processes: set[tuple[str, int]] = set()
        self.decoded = self.kept = 0
        self.failures: list[tuple[Record, str]] = []
        self.unreadable: list[tuple[Record, str]] = []
        self.fallbacks: list[tuple[Record, str]] = []
        self.notices: list[str] = []

    def tell(self, *lines: str) -> None:
        """Show lines to the user, each once; all lines of a build come through here."""
        new = [line for line in dict.fromkeys(lines) if line not in self.notices]
        if new:
            self.notices += new
            self._progress(ShardResult([], notices=new))

    def on_this_machine(self, pool: LocalPool) -> None:
        """Run all shards on processes of our own."""

        def take(first: int, shard: ShardResult) -> None:
            self._take(first, shard)
            self.tell(*(f"a worker process says: {line}" for line in pool.new_lines()))

        with pool:
            warm_up(pool, self._plan.config)
            try:
                with self._looking_here_first():
                    pool.work_through(self._tasks(self._job(patience=0.0)), take)
            except WorkerDied as died:
                raise _worker_died(self._plan, pool.in_hand, died) from died

    def on_executor(self, executor: Executor) -> None:
        """Run all shards on somebody else's workers, which keep nothing of it in the end."""
        job = self._job(patience=_PATIENCE)

        def submit(task: Callable[[], ShardResult]) -> Future[ShardResult]:
            try:
                return executor.submit(task)
            except Exception as error:
                raise BrokenExecutor(f"{type(error).__name__}: {error}") from error

        try:
            with self._looking_here_first():
                work_through(submit, self._tasks(job), self._take, ahead=64)
        except (BrokenExecutor, CancelledError) as error:
            what = " ".join(str(error).split()) or type(error).__name__
            raise WorkerDiedError(
                f"the executor gave up: {what}; what is done is kept: run the same again to go on"
            ) from error
        finally:
            _release(executor, job.proof.token, self._processes)

    def _take(self, first: int, shard: ShardResult) -> None:
        """Note what became of a shard."""
        check_in_place(self._fd, self._partial)
        self._journal.record(first, shard.crcs)
        nbytes = len(shard.crcs) * self._rows.nbytes
        start_writeback(self._fd, self._rows.offset(first), nbytes)
        self.kept += shard.kept
        self.decoded += sum(crc is not None for crc in shard.crcs) - shard.kept
        self.failures += shard.failures
        self.fallbacks += shard.fallbacks
        self.unreadable += shard.unreadable
        if shard.process:
            self._processes.add(shard.process)
        self.tell(*shard.notices)
        self._progress(replace(shard, notices=[]))

    def _job(self, *, patience: float) -> Job:
        """Mark the file with the token of this run; what its workers have to know."""
        self._token = proof.new_token()
        with writing(self._partial, kept=True):
            pwrite_all(self._fd, self._token, 0)
            if patience:
                os.fsync(self._fd)  # for machines that don't share this one's cache
        versions = proof.with_python(self._plan.provenance.versions)
        photos = tuple(self._some_photos()) if patience else ()
        return Job(
            self._plan.source,
            self._plan.config,
            str(self._partial.absolute()),
            self._rows,
            proof.Proof(self._token, proof.code_hash(), versions, photos, patience),
        )

    def _tasks(self, job: Job) -> Iterator[tuple[int, Callable[[], ShardResult]]]:
        done, crcs = self._journal.done, self._journal.crcs
        for first, records in _shards(self._plan):
            indices = range(first, first + len(records))
            known = [int(crcs[i]) if done[i] else None for i in indices]
            yield first, functools.partial(run_shard, job, Shard(first, records, known))

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
        try:
            yield
        except UnfitWorkerError:
            check_in_place(self._fd, self._partial)
            found = bytearray(len(self._token))
            with writing(self._partial, kept=True):
                pread_into(self._fd, memoryview(found), 0)
            if found != self._token:
                raise changed(self._partial, "its first bytes differ") from None
            raise


def _shards(plan: BuildPlan) -> Iterator[tuple[int, list[Record]]]:
    """Index of the first row, and images, of each shard: neighbouring rows of one split."""
    size = plan.config.shard_size
    for split in SPLITS:
        records = plan.records[split]
        for row in range(0, len(records), size):
            yield plan.layout.rows.index(split, row), records[row : row + size]


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


def _worker_died(plan: BuildPlan, in_hand: list[int], died: WorkerDied) -> WorkerDiedError:
    names = " or ".join(plan.path(plan.record(index)) for index in in_hand)
    if plan.config.kind.reads_ahead:
        names = names and f"the photos up to {names}"
    told = died.told(f"while it had {names} in hand" if names else "")
    return WorkerDiedError(f"{told}; what is done is kept: run the same command again to go on")
