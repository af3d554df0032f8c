"""One graph at a time: the old one is dead before the next is built, whatever ended it."""

from __future__ import annotations

import contextlib
import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")


from pipelines.dali import graphs
from pipelines.dali.graph import ENCODED, build_graph
from pipelines.dali.pipeline import DaliPipeline
from pipelines.dali.staging import PinnedRing
from pipelines.jpeg import JpegHeader, route
from tests.contracts.pipeline import photos, run
from tests.harness.cupy_stand_in import staged_pipeline

PHOTOS = [data for data in photos(75) if isinstance(route(data), JpegHeader)]
CANNOT = "Can't allocate 8589934592 bytes on device 0."
"""``dali::CUDABadAlloc`` in ``dali/core/cuda_error.h``."""


class ShortOfMemory:
    """A graph that has memory for batches of up to 4 images."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.sizes: list[int] = []

    def feed_input(self, name: str, data: Any) -> None:
        self.graph.feed_input(name, data)
        if name == ENCODED:
            self.sizes.append(len(data))

    def schedule_run(self) -> None:
        self.graph.schedule_run()

    def outputs(self, stream: Any = None) -> Any:
        if self.sizes.pop(0) > 4:
            raise RuntimeError(f"Error in MIXED operator\nencountered:\n\n{CANNOT}\n")
        return self.graph.outputs(stream)


class Builds:
    """Graphs that were built, and whether the earlier ones were dead then."""

    def __init__(self, wrap: Callable[[Any], Any] = lambda graph: graph) -> None:
        self._wrap = wrap
        self._built: list[weakref.ref[Any]] = []
        self.alive: list[int] = []

    def __call__(self, *settings: Any) -> Any:
        self.alive.append(sum(ref() is not None for ref in self._built))
        graph = build_graph(*settings)
        self._built.append(weakref.ref(graph))
        return self._wrap(graph)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> Iterator[Builds]:
    """By reference counts alone: nothing says when the collector of cycles runs."""
    builds = Builds()
    monkeypatch.setattr(graphs, "build_graph", builds)
    gc.disable()
    yield builds
    gc.enable()


def poison(data: bytes) -> bytes:
    table = data.index(b"\xff\xc4") + 5
    return data[:table] + b"\xff" * 16 + data[table + 16 :]


@pytest.mark.parametrize("place", [0, 9, 39])
def test_a_bad_image_leaves_no_graph_behind(built: Builds, ring: PinnedRing, place: int) -> None:
    pipeline = staged_pipeline(ring)
    fed = [*PHOTOS[:place], poison(PHOTOS[1]), *PHOTOS[place:44]]
    assert list(run(pipeline, enumerate(fed)).failures) == [place]
    assert built.alive == [0, 0, 0]
    pipeline.close()


def test_short_memory_leaves_no_graph_behind(
    monkeypatch: pytest.MonkeyPatch, built: Builds, ring: PinnedRing
) -> None:
    monkeypatch.setattr(built, "_wrap", ShortOfMemory)
    pipeline = staged_pipeline(ring)
    result = run(pipeline, enumerate(PHOTOS[:45]))
    assert result.keys == list(range(45))
    assert not result.fallbacks
    assert len(built.alive) > 1
    assert not any(built.alive)
    pipeline.close()


def test_a_run_that_was_given_up_leaves_no_graph_behind(built: Builds, ring: PinnedRing) -> None:
    pipeline = staged_pipeline(ring)
    with contextlib.closing(pipeline.run(enumerate(PHOTOS[:45]))) as batches:  # type: ignore[type-var]
        next(batches)
    run(pipeline, enumerate(PHOTOS[:45]))
    assert built.alive == [0, 0]
    pipeline.close()


def test_an_error_of_the_reader_that_is_kept_keeps_no_graph(
    built: Builds, ring: PinnedRing
) -> None:
    def broken() -> Iterator[tuple[int, bytes]]:
        yield from enumerate(PHOTOS[:20])
        raise ConnectionResetError("the share is gone")

    pipeline = staged_pipeline(ring)
    with pytest.raises(ConnectionResetError) as kept:
        run(pipeline, broken())
    run(pipeline, enumerate(PHOTOS[:45]))
    assert built.alive == [0, 0]
    assert kept.value.__traceback__ is not None
    pipeline.close()


def test_a_closed_pipeline_has_no_graph(built: Builds) -> None:
    pipeline = DaliPipeline("cpu", 8, threads=2)
    run(pipeline, enumerate(PHOTOS[:20]))
    pipeline.close()
    DaliPipeline("cpu", 8, threads=2).close()
    assert built.alive == [0, 0]
