"""What a task is handed by its pool: which worker it is, whether to stop, where to report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Context:
    """The defaults are those of an executor that knows nothing of us."""

    slot: int = 0
    """Number of this worker among those of its pool, from 0."""
    should_stop: Callable[[], bool] = lambda: False
    """Whether the work was asked to stop; then the result is what is done by now."""
    now_at: Callable[[int], None] = lambda _index: None
    """Called with the index of the item that is about to be worked on, -1 for none."""


_current = Context()


def current() -> Context:
    """Context of this process."""
    return _current


def enter(context: Context) -> None:
    """Make ``context`` that of this process, for good."""
    global _current
    _current = context


@contextlib.contextmanager
def entered(context: Context) -> Iterator[None]:
    """Make ``context`` that of this process within a block."""
    before = current()
    enter(context)
    try:
        yield
    finally:
        enter(before)
