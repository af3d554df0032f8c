"""The build: decode what is pending, journal it, seal the file.

::

    plan  ->  reserve the file  ->  shards on an executor  ->  journal  ->  seal
                                    (imagenet_subset.building.worker)

Whatever interrupts it, the unfinished file and its journal stay, and the same call goes on from
there. Only a file with every row done gets its final name.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from imagenet_subset.building import output
from imagenet_subset.building.journal import Journal
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.shards import Progress, Run
from imagenet_subset.building.worker import UNREADABLE
from imagenet_subset.errors import UndecodableError, UnreadableError
from imagenet_subset.execution.local import LocalPool
from imagenet_subset.records import SPLITS, Record
from imagenet_subset.system.publishing import check_in_place
from imagenet_subset.system.text import counted, printable


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
    done = None if overwrite else output.already_complete(plan, skip_undecodable=skip_undecodable)
    if done is not None:
        output.tidy(plan)
        return BuildResult(done, already_complete=True)
    with (
        output.unfinished(plan, overwrite=overwrite) as (fd, journal),
        _saying_how_to_go_on(journal),
    ):
        run = Run(plan, fd, journal, progress)
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
        carried_out = _leave_out_failures(fd, plan, journal, run, skip_undecodable=skip_undecodable)
        output.seal(
            fd,
            carried_out,
            journal.crcs[journal.done],
            full_check=full_check or executor is not None,
        )
    return BuildResult(
        carried_out,
        decoded=run.decoded,
        kept=run.kept,
        failures=run.failures,
        fallbacks=run.fallbacks,
        notices=run.notices,
        seconds=time.perf_counter() - start,
    )


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


def _leave_out_failures(
    fd: int, plan: BuildPlan, journal: Journal, run: Run, *, skip_undecodable: bool
) -> BuildPlan:
    """Close the gaps of the images that can't be decoded, or say what is missing."""
    for entries in (run.failures, run.fallbacks, run.unreadable):
        entries.sort(key=_row_order)
    failed = sorted(run.failures + run.unreadable, key=_row_order)
    if not failed:
        return plan
    output.write_failures(plan, failed)
    if run.unreadable:
        raise _unreadable(plan, run.unreadable, len(run.failures))
    if not skip_undecodable:
        raise _undecodable(plan, run.failures)
    remaining = plan.without([record for record, _ in run.failures])
    _check_every_class(plan, remaining)
    run.tell(f"closes the gaps of {counted(len(run.failures), 'image')} that can't be decoded")
    output.move_rows_up(fd, plan, remaining, journal)
    return remaining


def _check_every_class(plan: BuildPlan, remaining: BuildPlan) -> None:
    """Refuse to leave out the last image of a class in a split."""
    for split, records in plan.records.items():
        images = Counter(record.label for record in records)
        for label in images.keys() - {record.label for record in remaining.records[split]}:
            image_class = plan.subset.classes[label]
            of_class = counted(images[label], f"{split} image")
            raise UndecodableError(
                f"{of_class} of {image_class.wnid} ({image_class.title}) can't be decoded, and "
                f"without them the class has none; all are listed in "
                f"{printable(plan.output.failures)}; put good files in place and run the same "
                f"command again, or take {image_class.wnid} out of the subset file"
            )


def _undecodable(plan: BuildPlan, failures: list[tuple[Record, str]]) -> UndecodableError:
    record, reason = failures[0]
    return UndecodableError(
        f"{counted(len(failures), 'image')} can't be decoded, the first "
        f"{printable(plan.source.path(record))} ({reason}); "
        f"all are listed in {printable(plan.output.failures)}; put good files in place and run "
        "the same command again (only these are decoded), or add --skip_undecodable to finish "
        "without them"
    )


def _unreadable(
    plan: BuildPlan, unreadable: list[tuple[Record, str]], undecodable: int
) -> UnreadableError:
    record, reason = unreadable[0]
    others = f", and {counted(undecodable, 'image')} can't be decoded" if undecodable else ""
    return UnreadableError(
        f"{counted(len(unreadable), 'image')} can't be read, the first "
        f"{printable(plan.source.path(record))} ({reason.removeprefix(UNREADABLE)}){others}; all "
        f"are listed in {printable(plan.output.failures)}; put that right and run the same "
        "command again (only these are decoded); where a photo is lost for good, remove it and "
        "build anew by --missing skip --overwrite, which for train photos takes train_cls.txt"
    )
