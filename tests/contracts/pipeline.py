"""What every pipeline must do, whatever it decodes with."""

from __future__ import annotations

import functools
import io
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from imagenet_subset.demo.photos import OddImage, jpeg, odd_images, photo
from pipelines.base import DecodeError, Pipeline
from pipelines.bounds import EXACT
from pipelines.pillow import decode
from pipelines.rule import DEFAULT, PixelRule
from tests.harness.tiers import thorough

ODD_IMAGES = odd_images()
DAMAGED = tuple(odd.data for odd in ODD_IMAGES if not odd.decodable)


@dataclass
class Result:
    """All that came out of one run; images are copies."""

    keys: list[Any] = field(default_factory=list)
    images: dict[Any, NDArray[np.uint8]] = field(default_factory=dict)
    failures: dict[Any, str] = field(default_factory=dict)
    fallbacks: dict[Any, str] = field(default_factory=dict)
    doubts: dict[Any, str] = field(default_factory=dict)


def run(
    pipeline: Pipeline, encoded: Iterable[tuple[Any, bytes]], rule: PixelRule = DEFAULT
) -> Result:
    """Run to the end, holding every batch to its shape."""
    result = Result()
    for batch in pipeline.run(encoded):
        assert batch.images.shape == (len(batch.keys), *rule.shape)
        assert batch.images.dtype == np.uint8
        assert batch.images.flags.c_contiguous
        result.keys += batch.keys
        result.images |= zip(batch.keys, batch.images.copy(), strict=True)
        result.failures |= batch.failures
        result.fallbacks |= batch.fallbacks
        result.doubts |= batch.doubts
    assert len(result.images) == len(result.keys), "a key came out twice"
    assert not result.images.keys() & result.failures.keys()
    assert result.fallbacks.keys() <= result.images.keys() | result.failures.keys()
    assert result.doubts.keys() <= result.images.keys()
    told = (result.failures, result.fallbacks, result.doubts)
    for reason in itertools.chain(*(reasons.values() for reasons in told)):
        assert reason
        assert reason.isprintable(), "a reason is one line"
    return result


@functools.cache
def photos(count: int) -> tuple[bytes, ...]:
    """JPEGs of ``count`` sizes, with every common sampling; some progressive, some gray."""
    rng = np.random.default_rng(5)
    made = []
    for seed in range(count):
        image = photo(seed, *rng.integers(5, 420, 2).tolist())
        if seed % 11 == 3:
            image = image.convert("L")
        made.append(
            jpeg(
                image,
                quality=int(rng.integers(60, 97)),
                subsampling=("4:4:4", "4:2:2", "4:2:0")[seed % 3],
                progressive=seed % 5 == 0,
            )
        )
    return tuple(made)


@functools.cache
def reference(data: bytes, rule: PixelRule = DEFAULT) -> NDArray[np.uint8]:
    return decode(data, rule)


def scaled_whole(image: Image.Image, rule: PixelRule) -> NDArray[np.uint8]:
    """The rule as a user of Pillow would write it."""
    longer = rule.resize * max(image.size) // min(image.size)
    width, height = image.size
    size = (rule.resize, longer) if width <= height else (longer, rule.resize)
    left, top = (round((side - rule.crop) / 2) for side in size)
    scaled = image.resize(size, Image.Resampling[rule.interpolation.upper()])
    return np.asarray(scaled.crop((left, top, left + rule.crop, top + rule.crop)))


class PipelineContract:
    """Subclass it, and override the ``pipeline`` fixture, the bounds and the rule."""

    bounds = EXACT
    """How far the images may lie from Pillow's."""
    rule = DEFAULT
    """Rule by which ``pipeline`` is opened."""

    @pytest.fixture
    def pipeline(self) -> Iterator[Pipeline]:
        raise NotImplementedError

    def run(self, pipeline: Pipeline, encoded: Iterable[tuple[Any, bytes]]) -> Result:
        return run(pipeline, encoded, self.rule)

    def assert_right(self, result: Result, fed: dict[Any, bytes]) -> None:
        """Every image that Pillow decodes came out, in the order fed, near enough to Pillow's."""
        good = []
        for key, data in fed.items():
            try:
                expected = reference(data, self.rule)
            except DecodeError:
                assert key in result.failures
                continue
            good.append(key)
            assert key in result.images, result.failures.get(key, "neither image nor failure")
            off = np.abs(result.images[key].astype(int) - expected)
            what = self.bounds.judge((int(off.max()), float(off.mean())))
            assert not what, f"{key}: {what}"
        assert result.keys == good
        assert len(result.failures) == len(fed) - len(good)

    def test_each_photo_comes_out_once_in_the_order_it_was_fed(self, pipeline: Pipeline) -> None:
        fed = {f"photo {k}": data for k, data in enumerate(photos(75))}
        self.assert_right(self.run(pipeline, fed.items()), fed)

    def test_the_images_are_what_pillows_resize_and_crop_give(self, pipeline: Pipeline) -> None:
        fed = dict(enumerate(photos(75)))
        images = self.run(pipeline, fed.items()).images
        for key, data in fed.items():
            with Image.open(io.BytesIO(data)) as opened:
                expected = scaled_whole(opened.convert("RGB"), self.rule)
            off = np.abs(images[key].astype(int) - expected)
            assert not self.bounds.judge((int(off.max()), float(off.mean()))), key

    @pytest.mark.parametrize("count", [1, 2, 17, 37])
    def test_a_short_last_batch_is_not_padded(self, pipeline: Pipeline, count: int) -> None:
        fed = dict(enumerate(photos(75)[:count]))
        assert len(self.run(pipeline, fed.items()).keys) == count

    def test_nothing_in_means_nothing_out(self, pipeline: Pipeline) -> None:
        result = self.run(pipeline, iter(()))
        assert not result.keys
        assert not result.failures

    def test_keys_may_be_anything_that_can_be_told_apart(self, pipeline: Pipeline) -> None:
        keys = [(1, "a"), None, "x", 7, frozenset({2})]
        fed = dict(zip(keys, photos(75), strict=False))
        self.assert_right(self.run(pipeline, fed.items()), fed)

    @pytest.mark.parametrize("odd", ODD_IMAGES, ids=lambda odd: odd.name)
    def test_an_odd_image_is_decoded_as_by_pillow_or_named(
        self, pipeline: Pipeline, odd: OddImage
    ) -> None:
        fed = {0: photos(75)[0], "odd": odd.data, 1: photos(75)[1]}
        result = self.run(pipeline, fed.items())
        self.assert_right(result, fed)
        assert ("odd" in result.images) == odd.decodable

    def test_all_odd_images_in_one_run(self, pipeline: Pipeline) -> None:
        fed = {odd.name: odd.data for odd in ODD_IMAGES}
        self.assert_right(self.run(pipeline, fed.items()), fed)

    def test_a_damaged_image_costs_no_other(self, pipeline: Pipeline) -> None:
        fed: dict[Any, bytes] = {}
        for k, data in enumerate(photos(75)):
            fed[k] = data
            if k % 3 == 1:
                fed[f"damaged {k}"] = DAMAGED[k % len(DAMAGED)]
        self.assert_right(self.run(pipeline, fed.items()), fed)

    def test_what_pillow_decodes_though_its_end_is_missing_is_doubted(
        self, pipeline: Pipeline
    ) -> None:
        whole = photos(75)[2]
        cut = whole[: len(whole) // 2]
        fed = {0: photos(75)[0], "hole": cut + bytes(len(cut)), 1: whole + bytes(100)}
        result = self.run(pipeline, fed.items())
        self.assert_right(result, fed)
        assert result.doubts == {"hole": "it has no end of image"}

    def test_damaged_images_alone_end_as_failures(self, pipeline: Pipeline) -> None:
        result = self.run(pipeline, enumerate(DAMAGED * 4))
        assert list(result.failures) == list(range(len(DAMAGED) * 4))
        assert not result.keys

    def test_a_jpeg_with_a_broken_header_costs_no_other(self, pipeline: Pipeline) -> None:
        data = photos(75)[1]
        tables = data.index(b"\xff\xc4")
        length = b"\xff\xc4\xff\xff" + data[tables + 4 :]
        fed = {0: photos(75)[0], "broken": data[:tables] + length, 2: photos(75)[2]}
        self.assert_right(self.run(pipeline, fed.items()), fed)

    def test_a_pipeline_runs_twice(self, pipeline: Pipeline) -> None:
        first = dict(enumerate(photos(75)[:20]))
        second = dict(enumerate(photos(75)[20:45]))
        self.assert_right(self.run(pipeline, first.items()), first)
        self.assert_right(self.run(pipeline, second.items()), second)

    def test_two_runs_give_the_same_bytes(self, pipeline: Pipeline) -> None:
        fed = dict(enumerate(photos(75)[:20]))
        before, after = self.run(pipeline, fed.items()), self.run(pipeline, fed.items())
        assert all((before.images[key] == after.images[key]).all() for key in fed)

    @pytest.mark.parametrize("read", [0, 1, 40])
    def test_an_error_of_the_reader_comes_through_and_the_pipeline_lives_on(
        self, pipeline: Pipeline, read: int
    ) -> None:
        def broken() -> Iterator[tuple[int, bytes]]:
            yield from enumerate(photos(75)[:read])
            raise ConnectionResetError("the share is gone")

        with pytest.raises(ConnectionResetError, match="the share is gone"):
            self.run(pipeline, broken())
        fed = dict(enumerate(photos(75)[30:60]))
        self.assert_right(self.run(pipeline, fed.items()), fed)

    def test_a_run_may_be_given_up_midway(self, pipeline: Pipeline) -> None:
        batches = pipeline.run(enumerate(photos(75)))
        assert next(iter(batches)).keys[0] == 0
        if hasattr(batches, "close"):
            batches.close()
        fed = dict(enumerate(photos(75)[40:]))
        self.assert_right(self.run(pipeline, fed.items()), fed)

    def test_photos_are_read_as_they_are_needed(self, pipeline: Pipeline) -> None:
        endless = enumerate(itertools.cycle(photos(75)[:5]))
        batches = iter(pipeline.run(endless))
        keys = [key for _ in range(3) for key in next(batches).keys]
        assert keys == list(range(len(keys)))

    def test_extreme_sizes(self, pipeline: Pipeline) -> None:
        fed = {size: _flat(*size) for size in [(1, 1), (1, 20000), (20000, 1), (6000, 4000)]}
        self.assert_right(self.run(pipeline, fed.items()), fed)

    def test_a_photo_of_which_pillow_warns_for_its_size_is_decoded_by_itself(
        self, pipeline: Pipeline
    ) -> None:
        large = jpeg(Image.new("L", (9_500, 9_500), 77))
        fed = {0: photos(75)[1], "large": large, 1: photos(75)[2]}
        result = self.run(pipeline, fed.items())
        assert result.keys == [0, "large", 1]
        assert (result.images["large"] == 77).all()
        left = {} if getattr(pipeline, "is_pillow", False) else {"large": "very many pixels"}
        assert result.fallbacks == left

    @thorough("500 photos, by each pipeline")
    def test_500_photos_of_random_sizes(self, pipeline: Pipeline) -> None:
        fed = dict(enumerate(photos(500)))
        self.assert_right(self.run(pipeline, fed.items()), fed)

    def test_closing_twice_does_no_harm(self, pipeline: Pipeline) -> None:
        self.run(pipeline, enumerate(photos(75)[:3]))
        pipeline.close()
        pipeline.close()


@functools.cache
def _flat(width: int, height: int) -> bytes:
    return jpeg(photo(9, width, height), subsampling="4:2:0")
