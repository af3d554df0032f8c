"""The batch before the first: full, of usual photos, after each build of a graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")


from pipelines.base import Device, PipelineUnavailableError
from pipelines.bounds import DALI_CPU
from pipelines.dali.decoders import decoders_of
from pipelines.dali.errors import OutOfMemoryError
from pipelines.dali.graph import ENCODED, ROI_END, ROI_START, build_graph
from pipelines.dali.graphs import SMALLEST_BATCH
from pipelines.dali.pipeline import DaliPipeline
from pipelines.dali.staging import HostStage, PinnedRing
from pipelines.dali.warmup import SIZE, usual_photos, warm_up
from pipelines.jpeg import JpegHeader, has_stray_marker, route
from pipelines.pillow import decode
from pipelines.rule import DEFAULT, PixelRule
from tests.contracts.pipeline import PipelineContract, run
from tests.harness.cupy_stand_in import staged_pipeline
from tests.harness.dali_graphs import PLAIN, SHORT, Builds, Watched, poison


@pytest.fixture
def graphs(built: Builds) -> list[Watched]:
    """Graphs that were built."""
    built.keep = []
    return built.keep


def warmed_up(graph: Watched, count: int) -> bool:
    """Whether the first thing that a graph was fed was a full batch of usual photos."""
    first = graph.fed[0]
    fed = [bytes(data) for data in first[ENCODED]]
    full = len(fed) == len(first[ROI_START]) == len(first[ROI_END]) == count
    return full and set(fed) <= set(usual_photos())


def test_usual_photos_are_for_dali_and_have_imagenets_size_samplings_and_weight() -> None:
    headers = [route(data) for data in usual_photos()]
    assert all(isinstance(header, JpegHeader) for header in headers)
    assert {(header.width, header.height) for header in headers} == {SIZE}  # type: ignore[union-attr]
    assert not any(map(has_stray_marker, usual_photos()))
    factors = [data[data.index(b"\xff\xc0") + 11] for data in usual_photos()]
    assert factors == [0x11, 0x11, 0x11, 0x22], "4:4:4 and 4:2:0"
    assert all(60_000 < len(data) < 160_000 for data in usual_photos())


def test_usual_photos_are_made_once() -> None:
    assert usual_photos() is usual_photos()


@pytest.mark.parametrize("rule", [DEFAULT, PixelRule(64, 64)], ids=["224", "64"])
def test_a_warm_up_decodes_its_batch_on_any_graph(rule: PixelRule) -> None:
    graph = build_graph("cpu", 16, 2, 0, rule.crop)
    kept: list[Any] = []

    class Keeping(HostStage):
        def copy(self, output: Any) -> Any:
            kept.append(super().copy(output))
            return kept[-1]

    warm_up(graph, "cpu", 16, rule, Keeping())
    pixels = kept[0].wait()
    assert pixels.shape == (16, *rule.shape)
    if rule == DEFAULT:
        for row, data in zip(pixels, usual_photos() * 4, strict=True):
            assert abs(row.astype(int) - decode(data, rule)).max() <= DALI_CPU.largest


def test_each_new_graph_is_warmed_up_by_a_full_batch_before_any_photo(
    graphs: list[Watched], ring: PinnedRing
) -> None:
    pipeline = staged_pipeline(ring, warm_up=True)
    assert len(graphs) == 1
    fed = [*PLAIN[:9], poison(PLAIN[1]), *PLAIN[9:30]]
    assert list(run(pipeline, enumerate(fed)).failures) == [9]
    assert len(graphs) == 3, "after the failed batch, and after its culprit alone"
    assert all(warmed_up(graph, 8) for graph in graphs)
    pipeline.close()


def test_a_warm_up_in_a_rebuild_leaves_the_rings_batches_alone(ring: PinnedRing) -> None:
    pipeline = staged_pipeline(ring, warm_up=True)
    expected = run(DaliPipeline("cpu", 8, threads=2), enumerate(PLAIN[:44])).images
    fed = dict(enumerate([*PLAIN[:44], poison(PLAIN[1])]))
    for batch in pipeline.run(fed.items()):
        for key, image in zip(batch.keys, batch.images, strict=True):
            assert (image == expected[key]).all()
    pipeline.close()


@pytest.mark.parametrize(("device", "warm"), [("cpu", False), ("gpu", True)])
def test_a_gpu_is_warmed_up_and_a_cpu_is_not(
    monkeypatch: pytest.MonkeyPatch, ring: PinnedRing, device: Device, warm: bool
) -> None:
    """A graph and a decoder of the CPU in place of the GPU's."""
    stage = staged_pipeline(ring)._stage
    graphs: list[Watched] = []

    def build(_: Device, *settings: Any) -> Watched:
        graphs.append(Watched(build_graph("cpu", *settings), lambda _: None))
        return graphs[0]

    monkeypatch.setattr("pipelines.dali.pipeline.open_stage", lambda *_: stage)
    monkeypatch.setattr("pipelines.dali.graphs.build_graph", build)
    monkeypatch.setattr("pipelines.dali.pipeline.decoders_of", lambda *_: decoders_of("cpu", 0))
    DaliPipeline(device, 8, threads=2).close()
    assert [warmed_up(graph, 8) for graph in graphs if graph.fed[0]] == [True] * warm


class TestContract(PipelineContract):
    bounds = DALI_CPU

    @pytest.fixture
    def pipeline(self, ring: PinnedRing) -> Iterator[DaliPipeline]:
        pipeline = staged_pipeline(ring, warm_up=True)
        yield pipeline
        pipeline.close()


def test_too_little_memory_for_the_first_batch_halves_it(
    built: Builds, caplog: pytest.LogCaptureFixture
) -> None:
    built.fails = lambda fed: SHORT if len(fed) > 20 else None
    pipeline = DaliPipeline("cpu", 64, threads=2, warm_up=True)
    assert pipeline.batch_size == 16
    assert [record.getMessage() for record in caplog.records] == [
        "out of memory: the batch goes from 64 to 32 images",
        "out of memory: the batch goes from 32 to 16 images",
    ]
    result = run(pipeline, enumerate(PLAIN[:40]))
    assert result.keys == list(range(40))
    assert not result.fallbacks
    pipeline.close()


def test_too_little_memory_for_any_batch_says_what_to_do(
    built: Builds, caplog: pytest.LogCaptureFixture
) -> None:
    built.fails = lambda _: SHORT
    with pytest.raises(OutOfMemoryError) as caught:
        DaliPipeline("cpu", 64, threads=2, warm_up=True)
    assert str(caught.value) == (
        f"out of memory even for batches of {SMALLEST_BATCH} ({SHORT}): free memory, or take a "
        "smaller --batch_size; --pipeline pillow works without"
    )
    assert isinstance(caught.value, PipelineUnavailableError)
    assert len(caplog.records) == 3
    assert built.alive == [0] * 4


def test_a_device_that_starts_but_does_not_decode_is_not_used(built: Builds) -> None:
    words = "CUDA runtime API error cudaErrorNoKernelImageForDevice (209):\nno kernel image"
    built.fails = lambda _: words
    with pytest.raises(PipelineUnavailableError) as caught:
        DaliPipeline("cpu", 8, threads=2, warm_up=True)
    assert str(caught.value) == (
        "DALI starts on the CPU, but a first batch fails: CUDA runtime API error "
        "cudaErrorNoKernelImageForDevice (209): no kernel image; imagenet-subset selftest shows "
        "versions, --pipeline pillow works without"
    )
    assert not isinstance(caught.value, OutOfMemoryError)


def test_a_batch_of_very_many_is_warmed_up_with_as_many_pixels_as_it_may_have(
    graphs: list[Watched],
) -> None:
    DaliPipeline("cpu", 1000, threads=2, warm_up=True).close()
    assert warmed_up(graphs[0], (1 << 26) // (500 * 375))


def test_the_largest_batch_is_halved_down_to_the_smallest(built: Builds) -> None:
    built.fails = lambda _: SHORT
    with pytest.raises(OutOfMemoryError, match=f"even for batches of {SMALLEST_BATCH} "):
        DaliPipeline("cpu", 4096, threads=2, warm_up=True)
