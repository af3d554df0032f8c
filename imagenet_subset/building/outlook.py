"""What a build would do, make and take, found out without writing anything: ``--dry_run``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from imagenet_subset.building.balance import Balance
from imagenet_subset.building.facts import facts_of, photos_with_reasons
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.sample import Sample, take_sample
from imagenet_subset.building.standing import Standing, look
from imagenet_subset.execution.runner import Runner
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
    """Workers that decode side by side, each as fast as one alone at best: processes on the CPU,
    GPUs otherwise; 0 if that isn't known."""
    here: bool
    """Whether they are processes of this machine."""

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
            path, reason = self.sample.unreadable[0]
            yield f"photos can't be read, as {path} ({reason}); put that right"
        if self.sample and self.sample.undecodable and not options.skip_undecodable:
            path, reason = self.sample.undecodable[0]
            yield (
                f"photos can't be decoded, as {path} ({reason}); put good files in place, or add "
                "--skip_undecodable to finish without them"
            )

    @property
    def left(self) -> int:
        """Images that are still to be decoded."""
        return max(0, sum(self.plan.rows.values()) - self.standing.done)

    @property
    def seconds(self) -> float | None:
        """Estimate of the time to decode what is left, if all workers keep up; None if unknown."""
        if self.standing.act == "nothing":
            return 0.0
        if self.sample is None or self.sample.rate is None or not self.workers:
            return None
        return self.left / (self.sample.rate * self.workers)

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON takes them.

        Keys
        ----
        ok, problems
            Whether nothing is known for which the build would end in an error, and what is.
        npz, csv, subset, splits, images, size, pipeline, pixel_rule, missing, reencoded, notes
            What is built: see `imagenet_subset.building.facts.facts_of`.
        act, done, left, discards_unfinished
            What the build does with what is there, `imagenet_subset.building.standing.Act`; images.
        free, largest_file, fits
            Bytes that are free for the file; the largest that is allowed; null if unknown.
        time
            ``seconds`` is an estimate or null: ``left`` by ``images_per_second`` of one worker,
            which tried so many ``photos``, times ``workers``, 0 if unknown. ``undecodable`` and
            ``unreadable`` are among those tried. Null where nothing was tried.
        images_of_a_class, images_of_a_label, small_classes, short_of_per_class, few_val, \
        equal_names, classes
            See `imagenet_subset.building.balance.Balance`.
        """
        return {
            "ok": not self.problems,
            "problems": self.problems,
            **facts_of(self.plan),
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
            "images_per_second": self.sample.rate,
            "workers": self.workers,
            "undecodable": photos_with_reasons(self.sample.undecodable),
            "unreadable": photos_with_reasons(self.sample.unreadable),
        }


@dataclass(frozen=True, slots=True)
class NoOutlook:
    """What a dry run has to say of a build that can't be planned."""

    problem: str
    """The line that the build would end with."""

    def to_dict(self) -> dict[str, Any]:
        """``ok``, which is false, and ``problems``, the line; as `Outlook` has them."""
        return {"ok": False, "problems": [self.problem]}


def look_ahead(plan: BuildPlan, runner: Runner) -> Outlook:
    """Find out what a build would do, make and take; a worker tries a few photos.

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
    workers = (len(plan.config.cards) or plan.config.processes) if here else runner.workers
    return Outlook(plan, standing, room, Balance.of(plan), sample, workers, here)
