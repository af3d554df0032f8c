"""What whoever runs a task tells it: whether to stop, and where to say how far it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Context:
    """The defaults are those of an executor that knows nothing of us."""

    should_stop: Callable[[], bool] = lambda: False
    """Whether the work was told to stop; then the result is what is done by now."""
    now_at: Callable[[int], None] = lambda _index: None
    """Told the index of the item that is about to be worked on, -1 for none."""


_current = Context()


def current() -> Context:
    """Context of this process."""
    return _current


def enter(context: Context) -> None:
    """Make ``context`` that of this process, for good."""
    global _current
    _current = context
