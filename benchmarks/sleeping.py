"""A build whose workers sleep in place of decoding: what it costs the process that leads it.

The plan, the shards, the file, the journal and the runner are the real ones. Only what a worker
does with a shard is replaced: it reads, decodes and writes nothing, and answers after the time that
the decoding would take, with a made-up CRC-32 for each row. So the file isn't sealed.
"""

from __future__ import annotations

import errno
import functools
import os
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from whole_plan import Names

from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.output import unfinished
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.proof import this_process
from imagenet_subset.building.shards import Run
from imagenet_subset.building.tasks import Job, Shard, ShardResult
from imagenet_subset.execution.runner import Key, Runner, T, Worker, nothing
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.npz.names import NpzFiles
from imagenet_subset.records import SPLITS, Records, Split
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources.base import PhotoReader
from imagenet_subset.sources.catalogue import list_images
from pipelines.choice import resolve
from pipelines.request import PipelineRequest
from pipelines.rule import PixelRule

SMALL = PixelRule(resize=16, crop=16)
"""Rows of 768 bytes: the file of a million takes 1 GB, nearly all of it a hole."""
_CRC = 0xDEADBEEF


class UnreadNames(Names):
    """All names of ILSVRC, of photos that can't be read."""

    def open(self) -> PhotoReader:
        """Refuse, as a disk that isn't there."""
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))


def sleep_shard(rate: float, job: Job, shard: Shard) -> ShardResult:
    """Take the place of `imagenet_subset.building.worker.run_shard`.

    Parameters
    ----------
    rate
        Images that the worker would decode in a second; infinite for an answer at once.
    """
    time.sleep(len(shard.indices) / rate)
    return ShardResult([_CRC] * len(shard.indices), process=this_process())


def plan_of_names(out: Path) -> BuildPlan:
    """Plan of all 1,331,167 images, with small rows."""
    subset = Subset("imagenet1k", tuple(class_table().values()))
    store = UnreadNames()
    config = resolve(PipelineRequest("cpu", "pillow"), 1)
    return BuildPlan(
        options=BuildOptions(subset.name, out_dir=out, device="cpu", rule=SMALL),
        subset=subset,
        store=store,
        records=list_images(subset, SPLITS, store).records,
        config=config,
        versions=config.versions(),
        output=NpzFiles.of_subset(out, subset.name),
        missing=0,
    )


@dataclass(slots=True)
class Cost:
    """What a run of shards took."""

    images: int = 0
    shards: int = 0
    seconds: float = 0.0
    """From the first task to the last result."""
    making: float = 0.0
    """CPU seconds in which tasks were made; so are those below."""
    taking: float = 0.0
    """For results: the look at the file, the journal, the counts."""
    leading: float = 0.0
    """Of the thread that leads, with making and taking; the rest is to submit and to wait."""
    process: float = 0.0
    """Of the whole process: of the threads too that serve workers, pickle, and talk to others."""

    def microseconds(self, cpu_seconds: float) -> float:
        """Microseconds per shard."""
        return 1e6 * cpu_seconds / self.shards


@dataclass(slots=True)
class Sleeping:
    """A runner, each of whose shards is slept through, with clocks on what the leading thread does.

    See `imagenet_subset.execution.runner.Runner`.
    """

    runner: Runner
    rate: float
    """Images that each worker decodes in a second."""
    workers: int
    """How many it says there are, which decides the rows of a shard."""
    cost: Cost = field(default_factory=Cost)
    in_hand: Sequence[int] = ()

    @property
    def on_this_machine(self) -> bool:
        """As the runner says."""
        return self.runner.on_this_machine

    def warm_up(self, modules: Sequence[str]) -> None:
        """Have the workers started."""
        self.runner.warm_up(modules)

    def run(
        self,
        tasks: Iterator[tuple[Key, Callable[[], T]]],
        take: Callable[[Key, T], None],
        each_round: Callable[[], None] = nothing,
    ) -> None:
        """Run the tasks by workers that sleep, and fill in `cost`."""
        cost = self.cost

        def timed_take(key: Key, result: T) -> None:
            start = time.thread_time()
            take(key, result)
            cost.taking += time.thread_time() - start

        started = time.perf_counter(), time.thread_time(), time.process_time()
        self.runner.run(self._slept(tasks), timed_take, each_round)
        cost.seconds = time.perf_counter() - started[0]
        cost.leading = time.thread_time() - started[1]
        cost.process = time.process_time() - started[2]

    def _slept(
        self, tasks: Iterator[tuple[Key, Callable[[], T]]]
    ) -> Iterator[tuple[Key, Callable[[], T]]]:
        while True:
            start = time.thread_time()
            made = next(tasks, None)
            self.cost.making += time.thread_time() - start
            if made is None:
                return
            key, task = made
            assert isinstance(task, functools.partial)
            job, shard = task.args
            self.cost.shards += 1
            self.cost.images += len(shard.indices)
            yield key, functools.partial(sleep_shard, self.rate, job, shard)

    def visit(
        self, workers: Collection[Worker], task: Callable[[int], Worker], seconds: float
    ) -> None:
        """Do nothing: workers that sleep hold nothing."""

    def new_lines(self) -> list[str]:
        """What the runner has to tell."""
        return self.runner.new_lines()

    def close(self) -> None:
        """End the workers, if they are the runner's own."""
        self.runner.close()


def lead(plan: BuildPlan, runner: Runner, rows: int, rate: float, size: int) -> Cost:
    """Lead the shards of the plan's first train images.

    Parameters
    ----------
    rate
        Images that each worker decodes in a second.
    size
        Rows of a shard: 64, or 256 where that many workers would have four shards each.
    """
    train, val = plan.records["train"], plan.records["val"]
    records: dict[Split, Records] = {
        "train": train.take(np.arange(min(rows, len(train)))),
        "val": val.take(np.arange(0)),
    }
    with tempfile.TemporaryDirectory() as folder:
        out = NpzFiles.of_subset(Path(folder), plan.subset.name)
        part = replace(plan, records=records, output=out)
        sleeping = Sleeping(runner, rate, 0 if size == plan.config.shard_size else size)
        with unfinished(part.target, overwrite=True) as (fd, journal):
            Run(part, fd, journal, None).run(sleeping)
    return sleeping.cost
