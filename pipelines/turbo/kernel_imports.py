"""Imports turbo's kernel, and keeps the reason if that fails, as `pipelines.turbo.imports` does."""

from __future__ import annotations

failure: Exception | None = None
"""Why the kernel can't run here; None as a rule."""

try:
    from pipelines.turbo.kernel import prove_kernel

    prove_kernel()
except Exception as error:
    failure = error
