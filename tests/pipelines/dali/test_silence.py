"""DALI that refuses everything isn't hidden by Pillow, which decodes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")


from pipelines.base import PipelineUnavailableError
from pipelines.dali.pipeline import DaliPipeline
from pipelines.dali.staging import PinnedRing
from tests.contracts.pipeline import run
from tests.harness.cupy_stand_in import staged_pipeline
from tests.harness.dali_graphs import PLAIN, SHORT, Builds, poison

WORDS = "Failed to decode sample #0"
BATCH = 4
GOOD = PLAIN[0]
BAD = [poison(data) for data in PLAIN]


@pytest.fixture
def pipeline(built: Builds) -> Iterator[DaliPipeline]:
    """DALI refuses all photos but one."""
    refusing(built)
    pipeline = DaliPipeline("cpu", BATCH, threads=1)
    yield pipeline
    pipeline.close()


def refusing(built: Builds, words: str = WORDS) -> None:
    built.fails = lambda fed: None if set(fed) == {GOOD} else words


def feed(pipeline: DaliPipeline, photos: list[bytes]) -> None:
    run(pipeline, enumerate(photos))


def test_three_batches_that_only_pillow_decodes_end_the_run(pipeline: DaliPipeline) -> None:
    with pytest.raises(PipelineUnavailableError) as caught:
        feed(pipeline, PLAIN[1:40])
    assert str(caught.value) == (
        f"DALI refuses one photo after the other, 12 in a row that Pillow decodes (DALI: {WORDS}); "
        "imagenet-subset selftest shows more, --pipeline pillow works without"
    )


def test_what_came_out_before_is_right(pipeline: DaliPipeline) -> None:
    keys: list[int] = []
    batches = pipeline.run(enumerate(PLAIN[1:40]))
    with pytest.raises(PipelineUnavailableError):
        keys.extend(key for batch in batches for key in batch.keys)
    assert keys == list(range(3 * BATCH - 1))


def test_two_batches_are_forgiven(pipeline: DaliPipeline) -> None:
    feed(pipeline, PLAIN[1 : 1 + 2 * BATCH])


def test_one_image_that_dali_decodes_ends_the_row(pipeline: DaliPipeline) -> None:
    for place in range(BATCH):
        third = [*PLAIN[20 : 20 + place], GOOD, *PLAIN[30 : 29 + BATCH - place]]
        assert len(third) == BATCH
        feed(pipeline, [*PLAIN[1 : 1 + 2 * BATCH], *third, *PLAIN[1 : 1 + 2 * BATCH]])
        feed(pipeline, [GOOD])


def test_a_row_goes_on_from_run_to_run(pipeline: DaliPipeline) -> None:
    feed(pipeline, PLAIN[1 : 1 + BATCH])
    feed(pipeline, PLAIN[1:2])
    with pytest.raises(PipelineUnavailableError, match=" 6 in a row "):
        feed(pipeline, PLAIN[1:2])


def test_photos_that_nobody_decodes_say_nothing_about_dali(pipeline: DaliPipeline) -> None:
    feed(pipeline, BAD[:40])


def test_photos_that_nobody_decodes_neither_count_nor_break_the_row(
    pipeline: DaliPipeline,
) -> None:
    feed(pipeline, [*PLAIN[1 : 1 + BATCH], *BAD[: 3 * BATCH]])
    with pytest.raises(PipelineUnavailableError, match=" 6 in a row "):
        feed(pipeline, [*BAD[:3], PLAIN[1], *BAD[:3], PLAIN[2], *BAD[:3], PLAIN[3], *PLAIN[:9]])


def test_photos_that_are_not_for_dali_neither_count_nor_break_the_row(
    pipeline: DaliPipeline,
) -> None:
    others = [b"\x89PNG"] * BATCH
    feed(pipeline, [*others * 3, *PLAIN[1 : 1 + BATCH], *others * 3, *PLAIN[1 : 1 + BATCH]])
    with pytest.raises(PipelineUnavailableError, match=" 12 in a row "):
        feed(pipeline, [*others * 3, *PLAIN[1 : 1 + BATCH]])


def test_a_batch_is_what_was_launched_first_not_what_it_was_taken_apart_into(
    built: Builds,
) -> None:
    refusing(built)
    pipeline = DaliPipeline("cpu", 32, threads=1)
    feed(pipeline, PLAIN[1:33])
    pipeline.close()


def test_also_when_memory_is_short_for_every_image(built: Builds) -> None:
    refusing(built, SHORT)
    pipeline = DaliPipeline("cpu", 4, threads=1)
    with pytest.raises(PipelineUnavailableError, match=r" 12 in a row that .*Can't allocate"):
        feed(pipeline, PLAIN[1:40])
    pipeline.close()


def test_a_row_is_noticed_behind_the_pinned_ring_too(built: Builds, ring: PinnedRing) -> None:
    refusing(built)
    pipeline = staged_pipeline(ring)
    with pytest.raises(PipelineUnavailableError, match=" 24 in a row "):
        feed(pipeline, PLAIN[1:45])
    assert len(set(built.alive)) == 1
    pipeline.close()
