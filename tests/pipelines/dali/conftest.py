"""The pinned ring without a GPU, and graphs that are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipelines.rule import DEFAULT

if TYPE_CHECKING:
    from pipelines.dali.staging import PinnedRing
    from tests.harness.dali_graphs import Builds


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> PinnedRing:
    """Ring for 8 images, filled by a stand-in for CuPy."""
    from pipelines.dali.staging import PinnedRing
    from tests.harness import cupy_stand_in

    cupy_stand_in.install(monkeypatch)
    return PinnedRing((8, *DEFAULT.shape), gpu=0)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Builds:
    """All graphs that pipelines build."""
    from tests.harness.dali_graphs import Builds

    builds = Builds()
    monkeypatch.setattr("pipelines.dali.graphs.build_graph", builds)
    return builds
