"""The pinned ring's order of events, without a GPU.

A stand-in for CuPy copies as late as CUDA may (`tests.harness.cupy_stand_in`). The batches come
from DALI's CPU backend, so a pipeline that reads a buffer too early, fills one that is still
needed, or lets DALI use its memory again before the copy, gives wrong pixels. That CuPy and CUDA
behave like this is for `test_gpu`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")


from pipelines.bounds import DALI_CPU
from pipelines.dali.pipeline import DaliPipeline
from pipelines.dali.staging import SLOTS, PinnedRing
from pipelines.jpeg import JpegHeader, route
from pipelines.rule import PixelRule
from tests.contracts.pipeline import PipelineContract, Result, photos, run
from tests.harness.cupy_stand_in import staged_pipeline


@pytest.fixture
def pipeline(ring: PinnedRing) -> Iterator[DaliPipeline]:
    pipeline = staged_pipeline(ring)
    yield pipeline
    pipeline.close()


class TestContract(PipelineContract):
    bounds = DALI_CPU

    @pytest.fixture
    def pipeline(self, ring: PinnedRing) -> Iterator[DaliPipeline]:
        pipeline = staged_pipeline(ring)
        yield pipeline
        pipeline.close()

    def assert_right(self, result: Result, fed: dict[Any, bytes]) -> None:
        super().assert_right(result, fed)
        failed = {key for key, why in result.fallbacks.items() if why.startswith("DALI: ")}
        assert failed <= result.failures.keys()


def test_batches_are_passed_on_in_the_pinned_buffers_themselves(pipeline: DaliPipeline) -> None:
    plain = [data for data in photos(75) if isinstance(route(data), JpegHeader)]
    starts = [
        batch.images.__array_interface__["data"][0] for batch in pipeline.run(enumerate(plain))
    ]
    assert len(starts) > 2 * SLOTS
    assert len(set(starts)) == SLOTS
    assert starts[SLOTS:] == starts[:-SLOTS]


@pytest.mark.usefixtures("ring")  # for its CuPy
def test_images_of_another_rule_come_through_buffers_of_their_size() -> None:
    rule = PixelRule(100, 97)
    pipeline = staged_pipeline(PinnedRing((8, *rule.shape), gpu=0), rule)
    expected = run(DaliPipeline("cpu", 8, threads=2, rule=rule), enumerate(photos(75)), rule)
    result = run(pipeline, enumerate(photos(75)), rule)
    assert result.keys == expected.keys
    assert all((result.images[key] == expected.images[key]).all() for key in expected.keys)


def test_a_batch_stays_whole_while_its_consumer_has_it(pipeline: DaliPipeline) -> None:
    expected = run(DaliPipeline("cpu", 8, threads=2), enumerate(photos(75))).images
    for batch in pipeline.run(enumerate(photos(75))):
        for key, image in zip(batch.keys, batch.images, strict=True):
            assert (image == expected[key]).all()
