"""What a running task can ask and report: whether to stop, and which item it works on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Context:
    """The defaults suit an executor that knows nothing of this program."""

    should_stop: Callable[[], bool] = lambda: False
    """Whether to stop; then the task returns what it has done so far."""
    now_at: Callable[[int], None] = lambda _index: None
    """Called with the index of the item that is next, -1 for none."""


_current = Context()


def current() -> Context:
    """Context of this process."""
    return _current


def enter(context: Context) -> None:
    """Make ``context`` this process's own, until it ends."""
    global _current
    _current = context
