"""The build: decode what is pending, journal it, seal the file.

::

    plan  ->  reserve the file  ->  shards on an executor  ->  journal  ->  seal
                                    (imagenet_subset.worker)

Whatever interrupts it, the unfinished file and its journal stay, and the same call goes on from
there. Only a file with every row done gets its final name.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from imagenet_subset import output
from imagenet_subset.errors import UndecodableError, WorkerDiedError, printable
from imagenet_subset.fileio import check_in_place, start_writeback
from imagenet_subset.journal import Journal
from imagenet_subset.npz import ROW_NBYTES
from imagenet_subset.plan import BuildPlan
from imagenet_subset.pool import LocalPool, work_through
from imagenet_subset.records import SPLITS, Record
from imagenet_subset.worker import Job, Shard, ShardResult, run_shard

Progress = Callable[[ShardResult], None]
Take = Callable[[int, ShardResult], None]


@dataclass(slots=True, repr=False)
class BuildResult:
    """What a build did."""

    plan: BuildPlan
    """As carried out: without the images that were left out as undecodable."""
    already_complete: bool = False
    decoded: int = 0
    """Images decoded now."""
    kept: int = 0
    """Images that an earlier, interrupted run had done."""
    failures: list[tuple[Record, str]] = field(default_factory=list)
    """Images that can't be read or decoded, each with the reason."""
    fallbacks: list[tuple[Record, str]] = field(default_factory=list)
    """Images that another pipeline left to Pillow, each with the reason."""
    notices: list[str] = field(default_factory=list)
    """What the workers' pipelines had to say, each once: time to compile, a smaller batch."""
    seconds: float = 0.0

    @property
    def npz(self) -> Path:
        """The finished file."""
        return self.plan.output.npz

    @property
    def csv(self) -> Path:
        """Its classes."""
        return self.plan.output.csv

    def __repr__(self) -> str:
        rows = self.plan.rows
        if self.already_complete:
            how = "already complete"
        else:
            how = f"{self.decoded:,} decoded and {self.kept:,} kept in {self.seconds:.1f} s"
        return (
            f"<BuildResult {printable(self.npz)}: {rows['train']:,} train and {rows['val']:,} val "
            f"images; {how}>"
        )


def run_build(
    plan: BuildPlan,
    *,
    overwrite: bool = False,
    skip_undecodable: bool = False,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> BuildResult:
    """Carry out a plan, or what an earlier run of it left undone.

    Parameters
    ----------
    overwrite
        Replace a finished file; discard an unfinished one that another build began.
    skip_undecodable
        Finish without the images that can't be decoded.
    executor
        Runs the shards; all its workers must see the same files. By default a pool of processes
        on this machine.
    progress
        Called with the result of each shard; its notices are those that are new.

    Raises
    ------
    imagenet_subset.errors.OutputError
        The output can't be written, or belongs to another build.
    imagenet_subset.errors.UndecodableError
        All is done but some images, which are listed in ``plan.output.failures``.
    imagenet_subset.errors.WorkerDiedError
        A worker process ended without a word.
    """
    start = time.perf_counter()
    result = BuildResult(plan)
    done = None if overwrite else output.already_complete(plan, skip_undecodable=skip_undecodable)
    if done is not None:
        output.tidy(plan)
        return BuildResult(done, already_complete=True)
    with (
        output.unfinished(plan, overwrite=overwrite) as (fd, journal),
        _saying_how_to_go_on(journal),
    ):

        def take(first: int, shard: ShardResult) -> None:
            check_in_place(fd, plan.output.partial)
            journal.record(first, shard.crcs)
            start_writeback(fd, plan.offset_of(first), len(shard.crcs) * ROW_NBYTES)
            result.kept += shard.kept
            result.decoded += sum(crc is not None for crc in shard.crcs) - shard.kept
            result.failures += shard.failures
            result.fallbacks += shard.fallbacks
            shard.notices = [text for text in shard.notices if text not in result.notices]
            result.notices += shard.notices
            if progress:
                progress(shard)

        def tell(notice: str) -> None:
            result.notices.append(notice)
            if progress:
                progress(ShardResult([], notices=[notice]))

        if journal.done.any() and journal.source != plan.source.root:
            tell(
                f"goes on with the photos in {printable(plan.source.root)}; what is done already "
                f"was made of those in {printable(journal.source)}"
            )
        output.move_rows_back(fd, plan, journal)
        _run_shards(plan, journal, executor, take)
        check_in_place(fd, plan.output.partial)
        result.failures.sort(key=_row_order)
        result.fallbacks.sort(key=_row_order)
        if result.failures:
            output.write_failures(plan, result.failures)
            if not skip_undecodable:
                raise _undecodable(plan, result.failures)
            result.plan = plan.without([record for record, _ in result.failures])
            tell(f"closes the gaps of {len(result.failures)} images that can't be decoded")
            output.move_rows_up(fd, plan, result.plan, journal)
        output.seal(fd, result.plan, journal.crcs[journal.done])
    result.seconds = time.perf_counter() - start
    return result


@contextlib.contextmanager
def _saying_how_to_go_on(journal: Journal) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as stop:
        stop.add_note(
            f"{np.count_nonzero(journal.done)} of {len(journal.done)} images are done and kept: "
            "run the same command again to go on"
        )
        raise


def _row_order(entry: tuple[Record, str]) -> tuple[int, int]:
    return SPLITS.index(entry[0].split), entry[0].row


def _job(plan: BuildPlan) -> Job:
    layout = plan.layout
    return Job(
        plan.source,
        plan.config,
        str(plan.output.partial.absolute()),
        layout.row_offset("train", 0),
        layout.row_offset("val", 0),
    )


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


def _run_shards(plan: BuildPlan, journal: Journal, executor: Executor | None, take: Take) -> None:
    """Run all shards on the executor given, or on processes of our own."""
    job = _job(plan)
    tasks = ((s.first, functools.partial(run_shard, job, s)) for s in _shards(plan, journal))
    if executor is not None:
        work_through(executor, tasks, take, ahead=64)
        return
    pool = LocalPool(plan.config.processes)
    try:
        pool.work_through(tasks, take)
    except BrokenProcessPool as error:
        raise _worker_died(plan, pool.in_hand) from error


def _undecodable(plan: BuildPlan, failures: list[tuple[Record, str]]) -> UndecodableError:
    record, reason = failures[0]
    count = f"{len(failures)} images" if len(failures) > 1 else "1 image"
    return UndecodableError(
        f"{count} can't be decoded, the first {printable(plan.source.path(record))} ({reason}); "
        f"all are listed in {printable(plan.output.failures)}; put good files in place and run "
        "the same command again (only these are decoded), or add --skip_undecodable to finish "
        "without them"
    )


def _worker_died(plan: BuildPlan, in_hand: list[int]) -> WorkerDiedError:
    records = [record for split in SPLITS for record in plan.records[split]]
    names = " or ".join(printable(plan.source.path(records[i])) for i in in_hand)
    if plan.config.name == "dali":  # which reads batches ahead of the one that it decodes
        names = names and f"the photos up to {names}"
    return WorkerDiedError(
        "a worker process was killed or crashed"
        + (f" while it had {names} in hand" if names else "")
        + "; out of memory is the usual cause: try fewer --workers; what is done is kept: "
        "run the same command again to go on"
    )
