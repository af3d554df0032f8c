"""The build: decode what is pending, journal it, seal the file.

::

    plan  ->  reserve the file  ->  shards on workers  ->  journal  ->  seal

Whatever interrupts it, the unfinished file and its journal stay, and the same call goes on from
there. Only a file with every row done gets its final name.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from imagenet_subset.building import leaving_out
from imagenet_subset.building.facts import facts_of
from imagenet_subset.building.finished import already_complete, tidy
from imagenet_subset.building.journal import Journal
from imagenet_subset.building.output import WayOn, seal, unfinished
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.shards import Progress, Run, local_pool
from imagenet_subset.building.shared_disk import check_folder, end_run, reopened
from imagenet_subset.execution.runner import Runner, Worker, nothing
from imagenet_subset.records import Record
from imagenet_subset.system.publishing import check_in_place
from imagenet_subset.system.text import counted, printable


@dataclass(slots=True, repr=False)
class BuildResult:
    """What a build did."""

    plan: BuildPlan
    """As carried out: without the images that were left out as undecodable."""
    already_complete: bool = False
    """Whether the finished file was there, with the same contents."""
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
    by_worker: dict[Worker, int] = field(default_factory=dict)
    """Images that each worker decoded, by its host and process id."""
    on_this_machine: bool = True
    """Whether the workers were processes of this machine, and not those of an executor."""
    seconds: float = 0.0
    """From the plan to the finished file."""

    @property
    def npz(self) -> Path:
        """The finished file."""
        return self.plan.output.npz

    @property
    def csv(self) -> Path:
        """Its classes."""
        return self.plan.output.csv

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON takes it.

        Keys
        ----
        npz, csv, subset, splits, images, size, pipeline, pixel_rule, missing, undecodable, \
        reencoded, notes
            What was built: see `imagenet_subset.building.facts.facts_of`.
        already_complete, decoded, kept, seconds, on_this_machine, notices
            As the attributes.
        failures
            Images that can't be decoded, each with ``split``, ``id``, ``photo`` and ``reason``.
        fallbacks
            How many images were left to Pillow for each reason; the attribute has them all.
        by_worker
            ``host``, ``pid`` and ``images`` of each worker.
        """
        return {
            **facts_of(self.plan),
            "already_complete": self.already_complete,
            "decoded": self.decoded,
            "kept": self.kept,
            "seconds": self.seconds,
            "on_this_machine": self.on_this_machine,
            "notices": list(self.notices),
            "failures": [self._image(*failure) for failure in self.failures],
            "fallbacks": dict(Counter(reason for _, reason in self.fallbacks)),
            "by_worker": [
                {"host": host, "pid": pid, "images": images}
                for (host, pid), images in self.by_worker.items()
            ],
        }

    def _image(self, record: Record, reason: str) -> dict[str, Any]:
        photo = self.plan.store.describe(record.location, record.stem)
        return {"split": record.split, "id": record.image_id, "photo": photo, "reason": reason}

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
    runner: Runner | None = None,
    progress: Progress | None = None,
    begins: Callable[[int], None] = nothing,
) -> BuildResult:
    """Carry out a plan, or what an earlier run of it left undone.

    Parameters
    ----------
    runner
        Runs the shards; all its workers must see the same files. By default a pool of processes
        on this machine. It is closed when the last shard is done.
    progress
        Called with the result of each shard, and with one of no images for lines to show.
    begins
        Called before the first shard, with the number of images that an earlier run noted as done;
        not at all when there is nothing to do.

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
    overwrite = plan.options.overwrite
    done = None if overwrite else already_complete(plan)
    if done is not None:
        tidy(plan)
        return BuildResult(done, already_complete=True)
    shared = runner is not None and not runner.on_this_machine
    if shared:
        check_folder(plan.output.folder)
    with (
        unfinished(plan.target, overwrite=overwrite, way_on=_way_on(plan)) as (fd, journal),
        _how_to_go_on(journal),
        # While the file is sealed, the workers end.
        contextlib.closing(runner or local_pool(plan.config)) as runner,
    ):
        run = Run(plan, fd, journal, progress)
        begins(int(np.count_nonzero(journal.done)))
        _say_where_photos_were(plan, journal, run)
        leaving_out.move_rows_back(fd, plan, journal)
        run.run(runner)
        with reopened(fd, plan.output.partial) if shared else contextlib.nullcontext(fd) as last:
            if shared:
                end_run(last, plan.output.partial)
            carried_out = _without_failures(last, plan, journal, run)
            seal(
                last,
                carried_out.target,
                journal.crcs[journal.done],
                full_check=plan.options.full_check,
                shared=shared,
                keep_failures=carried_out.undecodable > 0,
            )
        runner.close()
        run.tell(*runner.new_lines())
    return BuildResult(
        carried_out,
        decoded=run.decoded,
        kept=run.kept,
        failures=leaving_out.in_row_order(run.failures),
        fallbacks=leaving_out.in_row_order(run.fallbacks),
        notices=run.notices,
        by_worker=dict(sorted(run.by_worker.items())),
        on_this_machine=not shared,
        seconds=time.perf_counter() - start,
    )


def _way_on(plan: BuildPlan) -> WayOn:
    def way_on(begun: Mapping[str, Any]) -> str:
        from imagenet_subset.building.way_on import on_with_journal

        return on_with_journal(plan, begun)

    return way_on


@contextlib.contextmanager
def _how_to_go_on(journal: Journal) -> Iterator[None]:
    """Have a stop say what is kept."""
    try:
        yield
    except KeyboardInterrupt as stop:
        done, rows = np.count_nonzero(journal.done), len(journal.done)
        stop.add_note(
            f"{done:,} of {rows:,} images are done and kept: run the same command again to go on"
        )
        raise


def _say_where_photos_were(plan: BuildPlan, journal: Journal, run: Run) -> None:
    if journal.done.any() and journal.source != plan.store.root:
        run.tell(
            f"goes on with the photos in {printable(plan.store.root)}; what is done already "
            f"was made of those in {printable(journal.source)}"
        )


def _without_failures(fd: int, plan: BuildPlan, journal: Journal, run: Run) -> BuildPlan:
    """The plan without the images that failed, whose gaps are closed; or an error."""
    check_in_place(fd, plan.output.partial)
    failed = leaving_out.in_row_order(run.failures + run.unreadable)
    if not failed:
        return plan
    leaving_out.write_failures(plan, failed)
    undecodable, unreadable = map(leaving_out.in_row_order, (run.failures, run.unreadable))
    if refusal := leaving_out.refusal(plan, unreadable, undecodable):
        raise refusal
    before = plan.layout.rows
    left_out = [before.index(record.split, record.row) for record, _ in undecodable]
    remaining = plan.without(np.array(left_out, np.intp))
    run.tell(f"closes the gaps of {counted(len(undecodable), 'image')} that can't be decoded")
    leaving_out.move_rows_up(fd, plan.output.partial, before, remaining.layout.rows, journal)
    return remaining
