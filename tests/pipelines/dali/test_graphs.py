"""One graph at a time: the old one is dead before the next is built, whatever ended it."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

import pytest

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")


from pipelines.dali.pipeline import DaliPipeline
from pipelines.dali.staging import PinnedRing
from tests.contracts.pipeline import run
from tests.harness.cupy_stand_in import staged_pipeline
from tests.harness.dali_graphs import PLAIN, SHORT, Builds, poison


@pytest.fixture
def counted() -> Iterator[None]:
    """By reference counts alone: nothing says when the collector of cycles runs."""
    gc.disable()
    yield
    gc.enable()


pytestmark = pytest.mark.usefixtures("counted")


@pytest.mark.parametrize("place", [0, 9, 39])
def test_a_bad_image_leaves_no_graph_behind(built: Builds, ring: PinnedRing, place: int) -> None:
    pipeline = staged_pipeline(ring)
    fed = [*PLAIN[:place], poison(PLAIN[1]), *PLAIN[place:44]]
    assert list(run(pipeline, enumerate(fed)).failures) == [place]
    assert built.alive == [0, 0, 0]
    pipeline.close()


def test_short_memory_leaves_no_graph_behind(built: Builds, ring: PinnedRing) -> None:
    built.fails = lambda fed: SHORT if len(fed) > 4 else None
    pipeline = staged_pipeline(ring)
    result = run(pipeline, enumerate(PLAIN[:45]))
    assert result.keys == list(range(45))
    assert not result.fallbacks
    assert len(built.alive) > 1
    assert not any(built.alive)
    pipeline.close()


def test_a_run_that_was_given_up_leaves_no_graph_behind(built: Builds, ring: PinnedRing) -> None:
    pipeline = staged_pipeline(ring)
    with contextlib.closing(pipeline.run(enumerate(PLAIN[:45]))) as batches:  # type: ignore[type-var]
        next(batches)
    run(pipeline, enumerate(PLAIN[:45]))
    assert built.alive == [0, 0]
    pipeline.close()


def test_an_error_of_the_reader_that_is_kept_keeps_no_graph(
    built: Builds, ring: PinnedRing
) -> None:
    def broken() -> Iterator[tuple[int, bytes]]:
        yield from enumerate(PLAIN[:20])
        raise ConnectionResetError("the share is gone")

    pipeline = staged_pipeline(ring)
    with pytest.raises(ConnectionResetError) as kept:
        run(pipeline, broken())
    run(pipeline, enumerate(PLAIN[:45]))
    assert built.alive == [0, 0]
    assert kept.value.__traceback__ is not None
    pipeline.close()


def test_a_closed_pipeline_has_no_graph(built: Builds) -> None:
    pipeline = DaliPipeline("cpu", 8, threads=2)
    run(pipeline, enumerate(PLAIN[:20]))
    pipeline.close()
    DaliPipeline("cpu", 8, threads=2).close()
    assert built.alive == [0, 0]
