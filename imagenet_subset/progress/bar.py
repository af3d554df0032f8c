"""tqdm's bar, in a terminal or in a notebook."""

from __future__ import annotations

import importlib
import sys
import threading
import warnings
from typing import Any

from imagenet_subset.progress.display import Clock, Messages
from imagenet_subset.progress.meter import BYTES, Work

_REDRAW_SECONDS = 1.0
"""So often a bar is drawn at least, so that its clock goes on while nothing comes through."""


class Bar(Messages):
    """A bar for each work. One that can't be counted shows its title and the time."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._clock: Clock | None = None

    def begin(self, work: Work) -> None:
        """Draw the bar of a work."""
        self.stop()
        self._bar = _bar_class()(
            total=work.total,
            desc=work.title,
            leave=work.leave,
            delay=0 if work.leave else _REDRAW_SECONDS,  # a short work need not flash up
            file=sys.stderr,
            smoothing=0.05,
            miniters=1,
            dynamic_ncols=True,  # people make windows narrower
            **_form(work),
        )
        self._clock = Clock(_REDRAW_SECONDS, self._redraw)

    def advance(self, n: int, earlier: int = 0) -> None:
        """Count. What an earlier run did says nothing of this one's speed."""
        if (bar := self._bar) is None:
            return
        bar.initial += earlier
        bar.last_print_n += earlier
        bar.n += earlier
        if self.note:
            bar.set_postfix_str(self.note, refresh=False)
        bar.update(n - earlier)

    def tell(self, line: str) -> None:
        """Write a line above the bar."""
        if self._bar is None:
            super().tell(line)
        else:
            self._bar.write(line, file=sys.stderr)

    def done(self) -> None:
        """Leave the bar as it is."""
        self.stop()

    def stop(self) -> None:
        """Draw no more."""
        if self._clock:
            self._clock.stop()
        if self._bar is not None:
            self._bar.close()
        self._clock = self._bar = None

    def _redraw(self) -> None:
        self._bar.refresh()
        self._bar.delay = 0  # else one that was drawn late isn't wiped away


def in_notebook() -> bool:
    """Whether this is a notebook's process, by the rule of ``tqdm.auto``."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return "IPKernelApp" in getattr(shell, "config", ())


def _form(work: Work) -> dict[str, Any]:
    """How its amount is drawn; numbers as in all other lines, where tqdm has no commas."""
    if work.unit == BYTES:
        return {"unit": BYTES, "unit_scale": True}
    if not work.unit:
        return {"bar_format": "{desc} {elapsed}"}
    if not work.total:
        return {"unit": f" {work.unit}"}
    bar = "{l_bar}{bar}| {n:,}/{total:,} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
    return {"unit": f" {work.unit}", "bar_format": bar}


def _bar_class() -> Any:
    """Tqdm for this process. It leaves no thread and no semaphore in a caller's process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in a notebook without ipywidgets a bar of text will do
        tqdm = importlib.import_module("tqdm.auto" if in_notebook() else "tqdm").tqdm
    bar: Any = type("Bar", (tqdm,), {"monitor_interval": 0})
    bar.set_lock(threading.RLock())
    return bar
