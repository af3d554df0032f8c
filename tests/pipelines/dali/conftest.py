"""The pinned ring without a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipelines.rule import DEFAULT

if TYPE_CHECKING:
    from pipelines.dali.staging import PinnedRing


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> PinnedRing:
    """Ring for 8 images, filled by a stand-in for CuPy."""
    from pipelines.dali.staging import PinnedRing
    from tests.harness import cupy_stand_in

    cupy_stand_in.install(monkeypatch)
    return PinnedRing((8, *DEFAULT.shape), gpu=0)
