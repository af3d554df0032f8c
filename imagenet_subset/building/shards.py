"""The shards of a build on workers, whosever they are."""

from __future__ import annotations

import contextlib
import functools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from imagenet_subset.building import proof
from imagenet_subset.building.ahead import MODULES
from imagenet_subset.building.journal import Journal
from imagenet_subset.building.lost import photos_in_hand, worker_died
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.readback import changed
from imagenet_subset.building.shard_sizes import rows_of_next, rows_per_shard
from imagenet_subset.building.tasks import Job, Shard, ShardResult
from imagenet_subset.building.waiting import release
from imagenet_subset.building.worker import run_shard
from imagenet_subset.columns import Location
from imagenet_subset.errors import UnfitWorkerError, WorkerDiedError
from imagenet_subset.execution.local import LocalPool
from imagenet_subset.execution.processes import Workers
from imagenet_subset.execution.runner import Runner, Worker, WorkerDied
from imagenet_subset.records import Record
from imagenet_subset.sources.grouping import divided
from imagenet_subset.sources.patience import closing
from imagenet_subset.system.files import pread_into, pwrite_all, writing
from imagenet_subset.system.publishing import check_in_place
from imagenet_subset.system.space import start_writeback
from imagenet_subset.system.text import counted
from pipelines.choice import PipelineConfig

Progress = Callable[[ShardResult], None]

_PATIENCE = 5.0
"""Seconds that a network file system has to show its clients the unfinished file."""
_RELEASE_SECONDS = 1.0
"""How long the workers of an executor are asked to let go of what they hold for a build."""


def local_pool(config: PipelineConfig, workers: Workers | None = None) -> LocalPool:
    """A pool of processes on this machine for a build with this pipeline.

    ``workers`` are what starts them, where that has begun already.
    """
    return LocalPool(config.processes, config.environments, workers)


def warm_up(runner: Runner, config: PipelineConfig) -> None:
    """Have workers import in the background what a build with this pipeline will need."""
    runner.warm_up([*MODULES, *config.modules])


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
    by_worker : Counter of (host, process id)
        Images that each worker decoded.
    """

    def __init__(
        self, plan: BuildPlan, fd: int, journal: Journal, progress: Progress | None
    ) -> None:
        self._plan, self._fd, self._journal = plan, fd, journal
        self._progress: Progress = progress or (lambda _: None)
        self._partial, self._rows = plan.output.partial, plan.layout.rows
        self.by_worker: Counter[Worker] = Counter()
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

    def run(self, runner: Runner) -> None:
        """Run all shards; in the end the workers keep nothing of the build, or are about to end."""

        def tell_news() -> None:
            self.tell(*runner.new_lines())

        warm_up(runner, self._plan.config)
        job = self._job(runner)
        try:
            with self._looking_here_first():
                runner.run(self._tasks(job, runner.workers), self._take, tell_news)
            tell_news()
        except WorkerDied as died:
            card = None if died.slot is None else self._plan.config.card(died.slot)
            raise worker_died(died, self._in_hand(runner, died.task), card) from died
        finally:
            let_go = functools.partial(release, job.proof.token)
            runner.visit(self.by_worker.keys(), let_go, _RELEASE_SECONDS)
        self._check_that_all_came_through()

    def _check_that_all_came_through(self) -> None:
        """A worker that was asked to stop hands back a shard that isn't done; others went on."""
        failed = len(self.failures) + len(self.unreadable)
        left = len(self._rows) - np.count_nonzero(self._journal.done) - failed
        if left:
            raise WorkerDiedError(
                f"a worker was stopped, and {counted(int(left), 'image')} are still to do; what is "
                "done is kept: run the same command again to go on"
            )

    def _take(self, indices: Sequence[int], shard: ShardResult) -> None:
        """Note what became of the rows of a shard."""
        check_in_place(self._fd, self._partial)
        self._journal.record(indices, shard.crcs)
        if not self._shared:  # workers elsewhere have brought their rows to the disk
            first, last = (self._rows.offset(index) for index in (min(indices), max(indices)))
            start_writeback(self._fd, first, last + self._rows.nbytes - first)
        self.kept += shard.kept
        decoded = sum(crc is not None for crc in shard.crcs) - shard.kept
        self.decoded += decoded
        for mine, its in (
            (self.failures, shard.failures),
            (self.fallbacks, shard.fallbacks),
            (self.unreadable, shard.unreadable),
        ):
            mine += [(self._plan.record(index), reason) for index, reason in its]
        if shard.process:
            self.by_worker[shard.process] += decoded
        self.tell(*shard.notices)
        self._progress(replace(shard, notices=[]))

    def _job(self, runner: Runner) -> Job:
        """Mark the file with the token of this run; what its workers have to know."""
        here = runner.on_this_machine
        self._shared = not here
        patience = 0.0 if here else _PATIENCE
        self._token = proof.new_token()
        with writing(self._partial, kept=True):
            pwrite_all(self._fd, self._token, 0)
            if not here:
                os.fsync(self._fd)  # for machines that don't share this one's cache
        versions = proof.with_python(self._plan.versions)
        photos = () if here else tuple(self._some_photos())
        return Job(
            self._plan.store,
            self._plan.config.for_pool() if here else self._plan.config,
            None if here else self._plan.options.request,
            self._plan.options.workers,
            str(self._partial.absolute()),
            self._rows,
            proof.Proof(self._token, proof.code_hash(), versions, photos, patience),
            self._shared,
        )

    def _tasks(
        self, job: Job, workers: int
    ) -> Iterator[tuple[list[int], Callable[[], ShardResult]]]:
        done, crcs = self._journal.done, self._journal.crcs
        size = self._size_of_shards(job, workers)
        for split, records in self._plan.records.items():
            first = self._rows.indices(split).start
            of_next = functools.partial(size, first)
            for rows in divided(self._plan.store, records.locations, of_next):
                indices = [first + row for row in rows]
                locations: list[Location] = [*records.locations.at(rows)]
                known = [int(crcs[i]) if done[i] else None for i in indices]
                shard = Shard(indices, locations, known)
                yield indices, functools.partial(run_shard, job, shard)

    def _size_of_shards(self, job: Job, workers: int) -> Callable[[int, int], int]:
        """How many rows the next shard has, by the first row of its split and those before it."""
        config, count = self._plan.config, len(self._rows)
        size = config.shard_size
        if job.shared:
            size = rows_per_shard(size, count, workers)
        elif not config.kind.threaded:
            return lambda first, given: rows_of_next(
                first + given, count, workers, config.batch_size, size
            )
        return lambda first, given: size

    def _some_photos(self) -> Iterator[Location]:
        """The first, the middle and the last photo of each split, as far as they can be read."""
        with contextlib.suppress(OSError), closing(self._plan.store.open()) as reader:
            for records in self._plan.records.values():
                for k in sorted({0, len(records) // 2, len(records) - 1} if len(records) else ()):
                    with contextlib.suppress(OSError):
                        reader.read(records.locations[k])
                        yield records.locations[k]

    def _in_hand(self, runner: Runner, indices: object) -> str:
        """The photos that a worker had in hand when it died, as far as that is known."""
        plan = self._plan
        if isinstance(indices, list):  # of a shard, whose workers are on other machines
            return photos_in_hand([plan.path(plan.record(index)) for index in indices])
        names = " or ".join(plan.path(plan.record(index)) for index in runner.in_hand)
        return f"the photos up to {names}" if names and plan.config.kind.reads_ahead else names

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
