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
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, wait
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from imagenet_subset import output, proof
from imagenet_subset.errors import (
    UndecodableError,
    UnfitWorkerError,
    UnreadableError,
    WorkerDiedError,
    printable,
    writing,
)
from imagenet_subset.fileio import check_in_place, pwrite_all, start_writeback
from imagenet_subset.journal import Journal
from imagenet_subset.npz import ROW_NBYTES
from imagenet_subset.plan import BuildPlan
from imagenet_subset.pool import LocalPool, WorkerDied, work_through
from imagenet_subset.records import SPLITS, Record
from imagenet_subset.worker import UNREADABLE, Job, Shard, ShardResult, release, run_shard
from pipelines.select import PipelineConfig

Progress = Callable[[ShardResult], None]
Take = Callable[[int, ShardResult], None]

_PATIENCE = 5.0
"""Seconds that a network file system has to show its clients the unfinished file."""
_RELEASE_SECONDS = 1.0
"""How long the workers of an executor are asked to let go of what they hold for a build."""


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
    """Images that can't be decoded, each with the reason."""
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
    full_check: bool = False,
    executor: Executor | None = None,
    pool: LocalPool | None = None,
    progress: Progress | None = None,
) -> BuildResult:
    """Carry out a plan, or what an earlier run of it left undone.

    Parameters
    ----------
    overwrite
        Replace a finished file; discard an unfinished one that another build began.
    skip_undecodable
        Finish without the images that can't be decoded. Those that can't be read are never left
        out: a disk or a network may be at fault.
    full_check
        Read all of the file back before it gets its name, as is done when an executor is given;
        else a part of it.
    executor
        Runs the shards; all its workers must see the same files. By default a pool of processes
        on this machine.
    pool
        That pool, if it was warmed up already.
    progress
        Called with the result of each shard; its notices are those that are new.

    Raises
    ------
    imagenet_subset.errors.OutputError
        The output can't be written, or belongs to another build.
    imagenet_subset.errors.UndecodableError
        All is done but some images, which are listed in ``plan.output.failures``.
    imagenet_subset.errors.UnreadableError
        All is done but images whose files can't be read, and others that can't be decoded.
    imagenet_subset.errors.SourceError
        None of the photos of a shard can be read.
    imagenet_subset.errors.WorkerError
        Workers can't start, died, have too little memory, or don't fit this build.
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
        run = _Run(plan, fd, journal, result, progress)
        if journal.done.any() and journal.source != plan.source.root:
            run.tell(
                f"goes on with the photos in {printable(plan.source.root)}; what is done already "
                f"was made of those in {printable(journal.source)}"
            )
        output.move_rows_back(fd, plan, journal)
        if executor is None:
            run.on_this_machine(pool or LocalPool())
        else:
            run.on_executor(executor)
        check_in_place(fd, plan.output.partial)
        run.leave_out_failures(skip_undecodable=skip_undecodable)
        output.seal(
            fd,
            result.plan,
            journal.crcs[journal.done],
            full_check=full_check or executor is not None,
        )
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


def warm_up(pool: LocalPool, config: PipelineConfig) -> None:
    """Have a pool import in the background what a build with this pipeline will need."""
    pool.warm_up(config.processes, ["imagenet_subset.worker", *config.modules])


class _Run:
    """The part of a build between taking up its file and sealing it."""

    def __init__(
        self,
        plan: BuildPlan,
        fd: int,
        journal: Journal,
        result: BuildResult,
        progress: Progress | None,
    ) -> None:
        self._plan, self._fd, self._journal = plan, fd, journal
        self._result, self._progress = result, progress
        self._unreadable: list[tuple[Record, str]] = []
        self._processes: set[tuple[str, int]] = set()

    def tell(self, notice: str) -> None:
        """Pass a line on to the user, once."""
        if notice not in self._result.notices:
            self._result.notices.append(notice)
            if self._progress:
                self._progress(ShardResult([], notices=[notice]))

    def take(self, first: int, shard: ShardResult) -> None:
        """Note what became of a shard."""
        plan, result = self._plan, self._result
        check_in_place(self._fd, plan.output.partial)
        self._journal.record(first, shard.crcs)
        start_writeback(self._fd, plan.offset_of(first), len(shard.crcs) * ROW_NBYTES)
        result.kept += shard.kept
        result.decoded += sum(crc is not None for crc in shard.crcs) - shard.kept
        result.failures += shard.failures
        result.fallbacks += shard.fallbacks
        self._unreadable += shard.unreadable
        if shard.process:
            self._processes.add(shard.process)
        shard.notices = [text for text in shard.notices if text not in result.notices]
        result.notices += shard.notices
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
                with self._asking_first_for_the_file():
                    pool.work_through(self._tasks(self._job(patience=0.0)), take)
            except WorkerDied as died:
                raise _worker_died(self._plan, pool.in_hand, died) from died

    def on_executor(self, executor: Executor) -> None:
        """Run all shards on somebody else's workers, of whom nothing is left in the end."""
        job = self._job(patience=_PATIENCE)
        try:
            with self._asking_first_for_the_file():
                work_through(executor, self._tasks(job), self.take, ahead=64)
        except (BrokenExecutor, CancelledError) as error:
            what = " ".join(str(error).split()) or type(error).__name__
            raise WorkerDiedError(
                f"the executor gave up: {what}; what is done is kept: run the same again to go on"
            ) from error
        finally:
            _release(executor, job.proof.token, self._processes)

    def _job(self, *, patience: float) -> Job:
        plan, layout = self._plan, self._plan.layout
        token, partial = proof.new_token(), plan.output.partial
        with writing(partial, kept=True):
            pwrite_all(self._fd, token, 0)
            if patience:
                os.fsync(self._fd)  # for machines that don't share this one's cache
        first = next((r for split in SPLITS for r in plan.records[split]), None)
        photo = plan.source.path(first) if first else None
        return Job(
            plan.source,
            plan.config,
            str(partial.absolute()),
            layout.row_offset("train", 0),
            layout.row_offset("val", 0),
            proof.Proof(
                token,
                proof.code_hash(),
                proof.with_python(plan.config.versions()),
                photo if photo and os.path.exists(photo) else None,
                patience,
            ),
        )

    def _tasks(self, job: Job) -> Iterator[tuple[int, Callable[[], ShardResult]]]:
        return (
            (shard.first, functools.partial(run_shard, job, shard))
            for shard in _shards(self._plan, self._journal)
        )

    @contextlib.contextmanager
    def _asking_first_for_the_file(self) -> Iterator[None]:
        """When a worker finds no file or another one, see whether it is so here, too."""
        try:
            yield
        except UnfitWorkerError:
            check_in_place(self._fd, self._plan.output.partial)
            raise

    def leave_out_failures(self, *, skip_undecodable: bool) -> None:
        """Close the gaps of the images that can't be decoded, or say what is missing."""
        plan, result = self._plan, self._result
        result.failures.sort(key=_row_order)
        result.fallbacks.sort(key=_row_order)
        self._unreadable.sort(key=_row_order)
        failed = sorted(result.failures + self._unreadable, key=_row_order)
        if not failed:
            return
        output.write_failures(plan, failed)
        if self._unreadable:
            raise _unreadable(plan, self._unreadable, len(result.failures))
        if not skip_undecodable:
            raise _undecodable(plan, result.failures)
        result.plan = plan.without([record for record, _ in result.failures])
        self.tell(f"closes the gaps of {len(result.failures)} images that can't be decoded")
        output.move_rows_up(self._fd, plan, result.plan, self._journal)


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


def _undecodable(plan: BuildPlan, failures: list[tuple[Record, str]]) -> UndecodableError:
    record, reason = failures[0]
    return UndecodableError(
        f"{_images(len(failures))} can't be decoded, the first "
        f"{printable(plan.source.path(record))} ({reason}); "
        f"all are listed in {printable(plan.output.failures)}; put good files in place and run "
        "the same command again (only these are decoded), or add --skip_undecodable to finish "
        "without them"
    )


def _unreadable(
    plan: BuildPlan, unreadable: list[tuple[Record, str]], undecodable: int
) -> UnreadableError:
    record, reason = unreadable[0]
    others = f", and {_images(undecodable)} can't be decoded" if undecodable else ""
    return UnreadableError(
        f"{_images(len(unreadable))} can't be read, the first "
        f"{printable(plan.source.path(record))} ({reason.removeprefix(UNREADABLE)}){others}; all "
        f"are listed in {printable(plan.output.failures)}; see to the disk and run the same "
        "command again (only these are decoded); where a photo is lost for good, remove it, and "
        "build anew by --missing skip --overwrite"
    )


def _images(count: int) -> str:
    return f"{count} images" if count > 1 else "1 image"


def _worker_died(plan: BuildPlan, in_hand: list[int], died: WorkerDied) -> WorkerDiedError:
    records = [record for split in SPLITS for record in plan.records[split]]
    names = " or ".join(printable(plan.source.path(records[i])) for i in in_hand)
    if plan.config.name == "dali":  # which reads batches ahead of the one that it decodes
        names = names and f"the photos up to {names}"
    return WorkerDiedError(
        f"a worker process {died.how}"
        + (f" while it had {names} in hand" if names else "")
        + (f"; {died.why}" if died.why else "")
        + "; what is done is kept: run the same command again to go on"
    )
