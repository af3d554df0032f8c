"""Imports DALI, and keeps what it says where that fails.

To import this module never fails, so that a process may do it ahead. DALI fails in many ways: by an
`ImportError` for want of a library, or by a `TypeError` where Python leaves docstrings out.
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
