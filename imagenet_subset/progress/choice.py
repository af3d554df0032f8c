"""Which display suits where standard error goes."""

from __future__ import annotations

import sys
from collections.abc import Callable

from imagenet_subset.progress.bar import Bar, in_notebook
from imagenet_subset.progress.display import Display, Lines, Messages

FORMS = ("auto", "bar", "lines", "none")
"""What `display_for` takes."""


def display_for(form: str) -> Display:
    """What shows the progress of a work.

    Parameters
    ----------
    form
        ``"bar"``; ``"lines"``; ``"none"``, which shows only lines that are for the user; or
        ``"auto"``, a bar in a terminal or a notebook, and lines elsewhere: in a file, in a job's
        log.
    """
    if form == "auto":
        form = "bar" if _shows_bars() else "lines"
    displays: dict[str, Callable[[], Display]] = {"bar": Bar, "lines": Lines, "none": Messages}
    return displays[form]()


def display_for_caller(progress: bool | None) -> Display:
    """What a call from Python shows: by default nothing at all."""
    return display_for("auto") if progress else Display()


def _shows_bars() -> bool:
    return in_notebook() or (sys.stderr is not None and sys.stderr.isatty())
