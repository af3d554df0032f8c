"""A device that fails in a run: the run ends, or no photo is lost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")


from pipelines.base import DeviceFailedError, PipelineUnavailableError
from pipelines.dali.errors import OutOfMemoryError
from pipelines.dali.pipeline import DaliPipeline
from pipelines.dali.staging import PinnedRing
from tests.contracts.pipeline import run
from tests.harness import cupy_stand_in as cupy
from tests.harness.cupy_stand_in import CUDARuntimeError, staged_pipeline
from tests.harness.dali_graphs import LOST, PLAIN, SHORT, Builds, Watched, poison, raising


@pytest.fixture
def pipeline(built: Builds, ring: PinnedRing) -> Iterator[DaliPipeline]:
    pipeline = staged_pipeline(ring)
    yield pipeline
    pipeline.close()


def feed(pipeline: DaliPipeline, fed: list[bytes]) -> list[int]:
    """Keys that came out; the images are right."""
    expected = run(DaliPipeline("cpu", 8, threads=1), enumerate(fed)).images
    result = run(pipeline, enumerate(fed))
    assert all((result.images[key] == expected[key]).all() for key in result.keys)
    return result.keys


@pytest.mark.parametrize("batch", [0, 1, 4])
def test_a_lost_device_ends_the_run_with_the_keys_of_the_batch(
    pipeline: DaliPipeline, built: Builds, batch: int
) -> None:
    marked = PLAIN[8 * batch + 3]
    pipeline._graphs.drop()
    built.fails = lambda fed: LOST if marked in fed else None
    with pytest.raises(DeviceFailedError) as caught:
        run(pipeline, enumerate(PLAIN[:45]))
    assert caught.value.keys == list(range(8 * batch, 8 * batch + 8))
    assert str(caught.value) == LOST.replace("\n", " ")
    assert built.alive[1:] == [0], "and it is left at that"


@pytest.mark.parametrize("warm_up", [False, True])
def test_a_graph_that_does_not_come_back_ends_the_run_with_the_keys_of_the_batch(
    built: Builds, ring: PinnedRing, monkeypatch: pytest.MonkeyPatch, warm_up: bool
) -> None:
    pipeline = staged_pipeline(ring, warm_up=warm_up)
    fed = dict(enumerate([*PLAIN[:13], poison(PLAIN[1]), *PLAIN[13:45]]))
    if warm_up:
        built.fails = lambda _: "CUDA runtime API error cudaErrorUnknown (999):\nunknown error"
    else:
        error = PipelineUnavailableError("DALI won't start on the GPU: cudaErrorUnknown (999)")
        monkeypatch.setattr("pipelines.dali.graphs.build_graph", raising(error))
    with pytest.raises(DeviceFailedError) as caught:
        run(pipeline, fed.items())
    assert caught.value.keys == list(range(8, 16))
    assert str(caught.value).startswith("Failed to decode sample #5; and after that, DALI ")
    assert "(999)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_memory_that_is_short_after_another_error_is_told_as_such(
    built: Builds, ring: PinnedRing
) -> None:
    pipeline = staged_pipeline(ring, warm_up=True)
    built.fails = lambda _: SHORT
    with pytest.raises(OutOfMemoryError, match="even for batches of 8"):
        run(pipeline, enumerate([poison(PLAIN[1]), *PLAIN[:20]]))


def test_an_earlier_runs_photos_are_not_blamed(
    pipeline: DaliPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = pipeline.run(enumerate([*PLAIN[:30], poison(PLAIN[1])]))
    next(iter(batches))
    batches.close()  # type: ignore[attr-defined]
    error = PipelineUnavailableError("DALI won't start on the GPU")
    monkeypatch.setattr("pipelines.dali.graphs.build_graph", raising(error))
    with pytest.raises(PipelineUnavailableError):
        run(pipeline, enumerate(PLAIN[:20]))


@pytest.mark.parametrize("status", [700, 999])
def test_a_copy_that_does_not_arrive_ends_the_run_with_the_keys_of_the_batch(
    pipeline: DaliPipeline, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    waits = iter(range(100))
    synchronize = cupy.Event.synchronize

    def failing(event: cupy.Event) -> None:
        if next(waits) >= 1:
            raise CUDARuntimeError(status)
        synchronize(event)

    monkeypatch.setattr(cupy.Event, "synchronize", failing)
    keys: list[int] = []
    with pytest.raises(DeviceFailedError) as caught:
        keys.extend(key for b in pipeline.run(enumerate(PLAIN[:45])) for key in b.keys)
    assert keys == list(range(8))
    assert caught.value.keys == list(range(8, 16))
    assert str(caught.value) == cupy.STATUSES[status]


def test_a_copy_that_cannot_begin_since_the_device_is_lost_ends_the_run(
    pipeline: DaliPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cupy.cuda.runtime.memcpyAsync", raising(CUDARuntimeError(719)))
    with pytest.raises(DeviceFailedError) as caught:
        run(pipeline, enumerate(PLAIN[:45]))
    assert caught.value.keys == list(range(8))


@pytest.mark.parametrize("copy", range(6))
def test_a_copy_that_fails_once_costs_no_photo_and_spoils_no_other_batch(
    pipeline: DaliPipeline, monkeypatch: pytest.MonkeyPatch, copy: int
) -> None:
    copies = iter(range(100))

    def failing(*arguments: int) -> None:
        if next(copies) == copy:
            raise CUDARuntimeError(999)
        cupy.memcpy_async(*arguments)

    monkeypatch.setattr("cupy.cuda.runtime.memcpyAsync", failing)
    assert feed(pipeline, PLAIN[:45]) == list(range(45))


@pytest.mark.parametrize("words", ["the pipeline is no more", SHORT])
@pytest.mark.parametrize("launch", range(6))
def test_a_launch_that_fails_once_costs_no_photo(
    pipeline: DaliPipeline, monkeypatch: pytest.MonkeyPatch, launch: int, words: str
) -> None:
    launches = iter(range(100))
    schedule = Watched.schedule_run

    def failing(graph: Watched) -> None:
        if next(launches) == launch:
            raise RuntimeError(words)
        schedule(graph)

    monkeypatch.setattr(Watched, "schedule_run", failing)
    assert feed(pipeline, PLAIN[:45]) == list(range(45))


def test_a_batch_is_waited_for_within_the_context_of_its_device(pipeline: DaliPipeline) -> None:
    """The stand-in for CuPy asserts it."""
    for batch in pipeline.run(enumerate(PLAIN[:45])):
        assert not cupy.Device.within
        assert isinstance(batch.images, np.ndarray)


def test_no_batch_is_larger_than_what_memory_has_room_for(built: Builds) -> None:
    """Memory is short twice, the second time with halves of batches waiting to be launched."""
    fed = PLAIN[:45] * 6
    expected = run(DaliPipeline("cpu", 8, threads=1), enumerate(fed)).images
    launched: list[int] = []
    short = iter([True, True])

    def fails(batch: list[bytes]) -> str | None:
        launched.append(len(batch))
        return SHORT if next(short, False) else None

    built.fails = fails
    pipeline = DaliPipeline("cpu", 64, threads=2)
    result = run(pipeline, enumerate(fed))
    assert result.keys == list(range(270))
    assert all((result.images[key] == expected[key]).all() for key in result.keys)
    assert pipeline.batch_size == 16
    assert launched[:2] == [64, 32]
    assert max(launched[2:]) <= 16
    assert 1 not in launched
