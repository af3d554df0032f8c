"""What shows how far a work is. The plain `Display` shows nothing."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from imagenet_subset.progress.meter import Meter, Work

LINE_SECONDS = 30.0
"""A work that goes on says a line so often."""


class Display:
    """Shows nothing: the contract, and what is taken where nobody looks.

    It shows one work at a time. As a context it leaves nothing behind, however the work ends.
    """

    note = ""
    """A few words that are shown with each state, as how many workers there are."""

    def begin(self, work: Work) -> None:
        """Show a work; another one that was shown is done."""

    def advance(self, n: int, earlier: int = 0) -> None:
        """Count ``n`` more, of which an earlier run did ``earlier``."""

    def tell(self, line: str) -> None:
        """Show a line for the user."""

    def done(self) -> None:
        """Say that the work is done; nothing if there is none."""

    def stop(self) -> None:
        """Show the work no longer, whether it is done or not. Idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self.done()
        finally:
            self.stop()


class Messages(Display):
    """Shows the lines that are for the user, and no progress."""

    def tell(self, line: str) -> None:
        """Write a line to standard error; one that it doesn't take is dropped."""
        if (stream := sys.stderr) is None:  # as in a program without a console
            return
        with contextlib.suppress(OSError, ValueError):  # there is no other place to report it
            stream.write(f"{line}\n")  # in one piece: other threads write too
            stream.flush()


class Lines(Messages):
    """A line at the beginning of a work, one every `LINE_SECONDS`, and one at its end.

    It shows itself in logs, where a bar would be one endless line. A work without an opening says
    nothing unless it takes that long.

    Parameters
    ----------
    interval
        Seconds between lines.
    """

    def __init__(self, interval: float = LINE_SECONDS) -> None:
        self._interval = interval
        self._meter: Meter | None = None
        self._clock: Clock | None = None
        self._spoken = False

    def begin(self, work: Work) -> None:
        """Say the opening, and a line now and then from now on, also if nothing comes through."""
        self.done()
        self._meter = Meter(work)
        self._spoken = bool(work.opening)
        if work.opening:
            self.tell(f"{work.title}: {work.opening}")
        self._clock = Clock(self._interval, self._say)

    def advance(self, n: int, earlier: int = 0) -> None:
        """Count; the next line will say it."""
        if self._meter:
            self._meter.advance(n, earlier)

    def done(self) -> None:
        """Say the last line."""
        meter = self._meter
        self.stop()
        if meter and self._spoken:
            self.tell(meter.last_line())

    def stop(self) -> None:
        """Say nothing any more."""
        if self._clock:
            self._clock.stop()
        self._clock = self._meter = None

    def _say(self) -> None:
        if meter := self._meter:
            self._spoken = True
            self.tell(meter.line(self.note))


class Clock:
    """Calls something again and again from a thread of its own, until it is stopped.

    Where the system gives no thread, as where memory is short, it calls nothing.
    """

    def __init__(self, seconds: float, action: Callable[[], None]) -> None:
        self._seconds, self._action = seconds, action
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)
        with contextlib.suppress(RuntimeError):
            self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            self._action()

    def stop(self) -> None:
        """End the thread. Idempotent."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
