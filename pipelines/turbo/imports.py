"""Imports what the turbo pipeline needs by any rule, and keeps the reason if that fails.

Importing this module never fails, so a process may do it ahead. Packages that don't fit each
other or the machine fail in many ways: by an `ImportError`, an `OSError` if a library is missing,
a `ValueError` if one was compiled for another NumPy. And they may start and decode otherwise than
Pillow: that too is looked at here, once, before a process forks.
"""

from __future__ import annotations

failure: Exception | None = None
"""Why turbo can't run here; None as a rule."""

try:
    from pipelines.turbo.proving import prove_decoder

    prove_decoder()
except Exception as error:
    failure = error
