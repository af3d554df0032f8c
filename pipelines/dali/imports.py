"""Imports DALI, and keeps the reason if that fails.

To import this module never fails, so that a process may do it ahead. DALI fails in several ways: by
an `ImportError` if a library is missing, by a `TypeError` if Python leaves docstrings out.
"""

from __future__ import annotations

import sys

from pipelines.base import one_line

failure: str | None = None
"""Why DALI can't be imported, in one line; None as a rule."""

try:
    import nvidia.dali.fn
    import nvidia.dali.types  # noqa: F401
except Exception as error:
    failure = f"{type(error).__name__}: {one_line(error)}"
    if sys.flags.optimize >= 2:
        failure += " (Python leaves docstrings out: PYTHONOPTIMIZE=2 or -OO)"
