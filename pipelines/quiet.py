"""Pillow's warnings, kept from the user while a photo is decoded: of broken EXIF, of large photos.

`warnings.catch_warnings` isn't for threads: it puts a copy of the whole list of filters in place
and the old list back, so that two threads can leave each other's filters in place for good. Here
one filter is put in front and taken away again, and it applies to the thread that decodes only.
"""

from __future__ import annotations

import sys
import threading
import warnings
from typing import Any

_decoding = threading.local()


class _PillowHere:
    """In a filter, in place of the regular expression for a module's name."""

    def match(self, module: str) -> bool:
        """Whether the warning is Pillow's, and this thread's."""
        return module.startswith("PIL.") and getattr(_decoding, "depth", 0) > 0


class quiet_pillow:  # noqa: N801 - reads as a verb after "with"
    """Let Pillow's warnings in this thread be neither shown nor raised.

    Filters that the caller has, or gets meanwhile, are as before afterwards. One that another
    thread puts in front meanwhile has the last word; Python has a single list for all threads.

    Examples
    --------
    >>> before = list(warnings.filters)
    >>> with quiet_pillow():
    ...     warnings.warn_explicit("odd", UserWarning, "Image.py", 1, module="PIL.Image")
    >>> warnings.filters == before
    True
    """

    __slots__ = ("_filter", "_filters", "_theirs")

    def __enter__(self) -> None:
        self._theirs: Any = None
        if getattr(sys.flags, "context_aware_warnings", False):
            # Python 3.14 and later can have a list for each thread; then theirs is right.
            self._theirs = warnings.catch_warnings(action="ignore")
            self._theirs.__enter__()
            return
        _decoding.depth = getattr(_decoding, "depth", 0) + 1
        # Each has a filter of its own, so that none takes away another thread's.
        self._filter: Any = ("ignore", None, Warning, _PillowHere(), 0)
        filters: Any = warnings.filters
        filters.insert(0, self._filter)
        self._filters = filters

    def __exit__(self, *error: object) -> None:
        if self._theirs is not None:
            self._theirs.__exit__(*error)
            return
        _decoding.depth -= 1
        _take_away(self._filters, self._filter)
        if warnings.filters is not self._filters:
            # Another thread entered or left `catch_warnings`, which copies the list.
            _take_away(warnings.filters, self._filter)


def _take_away(filters: Any, mine: tuple[Any, ...]) -> None:
    if mine in filters:
        filters.remove(mine)
