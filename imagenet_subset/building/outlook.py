"""What a build would do, make and take, found out without writing anything: ``--dry_run``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from imagenet_subset.building.balance import Balance
from imagenet_subset.building.facts import facts_of
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.sample import Sample, take_sample
from imagenet_subset.building.standing import Standing, look
from imagenet_subset.execution.runner import Runner
from imagenet_subset.records import Record, Split
from imagenet_subset.system.space import Room, look_for_room
from imagenet_subset.system.text import gigabytes, printable


@dataclass(frozen=True, slots=True)
class Outlook:
    """The facts of a dry run."""

    plan: BuildPlan
    standing: Standing
    """What is there, and what the build would do with it."""
    room: Room
    balance: Balance
    sample: Sample | None
    """How some photos fared; None where there is nothing to decode, or the build would refuse."""
    workers: int
    """Workers that will decode side by side; 0 if that isn't known."""
    here: bool
    """Whether they are processes of this machine, all of which try photos; else one does."""

    @property
    def problems(self) -> list[str]:
        """Why the build would end in an error, as far as is known: a line each."""
        return list(self._problems())

    def _problems(self) -> Iterator[str]:
        options, npz = self.plan.options, printable(self.plan.output.npz)
        if self.standing.why:
            yield self.standing.why
        elif self.standing.act != "nothing" and (why := self.room.why_not):
            size = gigabytes(self.room.size)
            yield f"{npz} takes {size}, and {why}"
        if self.sample and self.sample.problem:
            yield self.sample.problem
        if self.sample and self.sample.unreadable:
            record, reason = self.sample.unreadable[0]
            path = self.plan.path(record)
            yield f"photos can't be read, as {path} ({reason}); put that right"
        if self.sample and self.sample.undecodable and not options.skip_undecodable:
            record, reason = self.sample.undecodable[0]
            yield (
                f"photos can't be decoded, as {self.plan.path(record)} ({reason}); put good files "
                "in place, or add --skip_undecodable to finish without them"
            )
        for split, wnid, tried, left in self._without_good():
            if not left:
                yield (
                    f"none of the {tried:,} {split} photos of {wnid} can be decoded, and without "
                    f"them the class has none; put good files in place, or take {wnid} out of the "
                    "subset file"
                )

    @property
    def left(self) -> int:
        """Images that are still to be decoded."""
        return max(0, sum(self.plan.rows.values()) - self.standing.done)

    @property
    def seconds(self) -> float | None:
        """Estimate of the time to start and to decode what is left; None if unknown.

        Of an executor's workers it is the least that it takes, as if they didn't hinder one
        another.
        """
        if self.standing.act == "nothing":
            return 0.0
        if self.sample is None or self.sample.rate is None or not self.workers:
            return None
        together = self.sample.rate / self.sample.workers * self.workers
        return self.sample.start + self.left / together

    @property
    def notes(self) -> list[str]:
        """What may be odd: a line each, on the photos and of the pipeline."""
        found = [*self.plan.notes[1:], *(self.sample.notices if self.sample else ())]
        for split, wnid, tried, left in self._without_good():
            if left:
                found.append(
                    f"none of the {tried:,} {split} photos of {wnid} that were tried can be "
                    f"decoded; if the {left:,} others can't either, the build will end in an error"
                )
        return found

    def _without_good(self) -> Iterator[tuple[Split, str, int, int]]:
        """Of classes none of whose photos were good: how many were tried, and how many not."""
        if not self.sample or not self.plan.options.skip_undecodable:
            return
        counts = {each.image_class.wnid: each.counts for each in self.balance.classes}
        for split, wnid in self.sample.classes_without_good:
            tried = self.sample.of_classes[split, wnid]
            yield split, wnid, tried, counts[wnid][split] - tried

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON takes them.

        Keys
        ----
        ok, problems
            Whether nothing is known for which the build would end in an error, and what is.
        npz, csv, subset, splits, images, size, pipeline, pixel_rule, missing, undecodable, \
        reencoded, notes
            What is built: see `imagenet_subset.building.facts.facts_of`. ``undecodable`` is 0 as
            nothing was decoded yet; ``notes`` are of the sample too.
        act, done, left, discards_unfinished
            What the build does with what is there, `imagenet_subset.building.standing.Act`; images.
        free, largest_file, fits
            Bytes that are free for the file; the largest that is allowed; null if unknown.
        time
            ``seconds`` is an estimate, or null if unknown. So many ``photos`` were tried by
            ``tried_by`` workers at once, which made ``images_per_second`` together after a start
            of ``start_seconds``. ``workers``, 0 if unknown, is how many will do what is ``left``:
            those that tried or, on an executor, of which one tried alone, as many as there are;
            ``seconds`` supposes that they don't hinder one another. ``undecodable`` and
            ``unreadable`` are among those tried. Null where nothing was tried.
        images_of_a_class, images_of_a_label, small_classes, short_of_per_class, few_val, \
        equal_names, classes
            See `imagenet_subset.building.balance.Balance`.
        """
        return {
            "ok": not self.problems,
            "problems": self.problems,
            **facts_of(self.plan),
            "notes": self.notes,
            "act": self.standing.act,
            "done": self.standing.done,
            "left": self.left,
            "discards_unfinished": self.standing.discards,
            "free": self.room.free,
            "largest_file": self.room.limit,
            "fits": not self.room.why_not,
            "time": self._time(),
            **self.balance.to_dict(),
        }

    def _time(self) -> dict[str, Any] | None:
        if self.sample is None:
            return None
        return {
            "seconds": self.seconds,
            "photos": self.sample.photos,
            "tried_by": self.sample.workers,
            "images_per_second": self.sample.rate,
            "start_seconds": self.sample.start,
            "workers": self.workers,
            "undecodable": self._photos(self.sample.undecodable),
            "unreadable": self._photos(self.sample.unreadable),
        }

    def _photos(self, images: Iterable[tuple[Record, str]]) -> list[dict[str, str]]:
        return [{"photo": self.plan.path(record), "reason": why} for record, why in images]


@dataclass(frozen=True, slots=True)
class NoOutlook:
    """What a dry run has to say of a build that can't be planned."""

    problem: str
    """The line that the build would end with."""

    def to_dict(self) -> dict[str, Any]:
        """``ok``, which is false, and ``problems``, the line; as `Outlook` has them."""
        return {"ok": False, "problems": [self.problem]}


def look_ahead(plan: BuildPlan, runner: Runner) -> Outlook:
    """Find out what a build would do, make and take; workers try a few photos.

    Parameters
    ----------
    runner
        Has the workers that would carry out the plan, as `imagenet_subset.building.start.begun`
        gives it.
    """
    here = runner.on_this_machine
    standing = look(plan, elsewhere=not here)
    room = look_for_room(plan.layout.size, plan.output.partial)
    idle = standing.act in ("nothing", "refuse") or not sum(plan.rows.values())
    sample = None if idle else take_sample(plan, runner)
    workers = plan.config.processes if here else runner.workers
    return Outlook(plan, standing, room, Balance.of(plan), sample, workers, here)
