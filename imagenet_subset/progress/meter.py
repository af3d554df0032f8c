"""How far a work is, how fast it goes and how long it will take, in a line."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from imagenet_subset.system.text import duration, gigabytes

BYTES = "B"
"""Unit of a work that is measured in bytes."""


_LONGEST_LEFT = 30 * 86_400
"""Seconds left that are said as a number; more of them say that hardly anything comes through."""


@dataclass(frozen=True, slots=True)
class Work:
    """A work whose progress is shown."""

    title: str
    """What its lines begin with."""
    total: int | None = None
    """How many there are; None if unknown."""
    unit: str = ""
    """What they are, as ``"images"``, or `BYTES`; empty for a work that can't be counted."""
    known: int = 0
    """How many of the total an earlier run is thought to have done."""
    opening: str = ""
    """Line for its beginning. Without one it says nothing unless it takes long."""
    ending: str = ""
    """What is still going on when all are done."""
    place: str = ""
    """Where the result goes."""
    leave: bool = True
    """Whether its bar stays when it is done."""


class Meter:
    """Counts what is done. What an earlier run did counts as done, but not in the rate.

    Parameters
    ----------
    clock
        Seconds since some moment.

    Examples
    --------
    >>> seconds = iter([0.0, 5.0, 10.0])
    >>> meter = Meter(Work("five", 350, "images", known=100), lambda: next(seconds))
    >>> meter.advance(150, earlier=100)
    >>> meter.line()
    'five: 150 of 350 images (42%), 5.0 images/s, 40 s left'
    """

    def __init__(self, work: Work, clock: Callable[[], float] = time.monotonic) -> None:
        self.work = work
        self.done = self._earlier = 0
        self._clock = clock
        self._start = self._last = clock()
        self._told = 0

    def advance(self, n: int, earlier: int = 0) -> None:
        """Count ``n`` more, of which an earlier run did ``earlier``."""
        self.done += n
        self._earlier += earlier
        if n:
            self._last = self._clock()

    def line(self, note: str = "") -> str:
        """How it goes: the pace, or for how long there was none since the last line."""
        now = self._clock()
        if self.work.unit and not self._complete and self.done == self._told:
            pace = [f"nothing new for {duration(now - self._last)}"]
        else:
            pace = self._speed(now - self._start)
        self._told = self.done
        ending = self.work.ending if self._complete else ""
        text = ", ".join(filter(None, [self._amount(), *pace, ending, note]))
        return "; ".join(filter(None, [f"{self.work.title}: {text}", self.work.place]))

    def last_line(self) -> str:
        """What was done, in which time and how fast."""
        seconds = self._clock() - self._start
        rate = self._rate(seconds)
        amount = self._amount() if self.work.unit else "done"
        return f"{self.work.title}: {amount} in {duration(seconds)}" + (f", {rate}" if rate else "")

    @property
    def _complete(self) -> bool:
        return self.work.total is not None and self.done >= self.work.total

    def _amount(self) -> str:
        work = self.work
        if not work.unit:
            return ""
        if work.total is None:
            return self._told_as(self.done)
        share = 100 * self.done // work.total if work.total else 100  # 100% is all of them
        done = gigabytes(self.done) if work.unit == BYTES else f"{self.done:,}"
        return f"{done} of {self._told_as(work.total)} ({share}%)"

    def _speed(self, seconds: float) -> list[str]:
        """Rate and time left, as far as they are known; else the time since the beginning."""
        rate = self._rate(seconds)
        if not rate:
            return [f"{duration(seconds)} so far"]
        if self.work.total is None or self._complete:
            return [rate]
        new = self.done - self._earlier
        left = max(0, self.work.total - max(self.work.known, self._earlier) - new)
        return [rate, _left(left * seconds / new)]

    def _rate(self, seconds: float) -> str:
        """What this run alone does in a second, or in a minute; empty if nothing yet."""
        new = self.done - self._earlier
        if not new or seconds <= 0 or not self.work.unit:
            return ""
        rate = new / seconds
        if self.work.unit == BYTES:
            return f"{gigabytes(int(rate))}/s" if rate >= 1000 else "less than 1 kB/s"
        if rate < 1:
            return f"{60 * rate:.1f} {self.work.unit}/min"
        return f"{rate:,.{0 if rate >= 10 else 1}f} {self.work.unit}/s"

    def _told_as(self, n: int) -> str:
        return gigabytes(n) if self.work.unit == BYTES else f"{n:,} {self.work.unit}"


def _left(seconds: float) -> str:
    """Time left, for people."""
    if seconds > _LONGEST_LEFT:
        return f"more than {duration(_LONGEST_LEFT)} left"
    return f"{duration(math.ceil(seconds))} left"
