"""DALI against Pillow, sample by sample: photos of all samplings, sizes and qualities."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from tests.harness.tiers import thorough

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")

from imagenet_subset.demo.photos import Subsampling, jpeg, odd_images, photo
from pipelines.bounds import DALI_CPU_BY_FILTER, DALI_GPU, Bounds
from pipelines.cuda import Missing, find_gpu
from pipelines.dali.pipeline import DaliPipeline
from pipelines.kinds import KINDS
from pipelines.rule import DEFAULT, Interpolation, PixelRule
from tests.contracts.pipeline import reference, run

SAMPLINGS: tuple[Subsampling, ...] = ("4:4:4", "4:2:2", "4:2:0")
SIZES = [
    (500, 375), (375, 500), (333, 500), (501, 377), (224, 224), (256, 256), (255, 257), (97, 101),
    (1200, 900), (64, 1500), (1500, 64), (17, 9), (2, 2), (1, 1),
]  # fmt: skip


RULES = [
    DEFAULT,
    PixelRule(288, 256, "bicubic"),
    PixelRule(72, 64, "bicubic"),
    PixelRule(256, 224, "lanczos"),
    PixelRule(84, 64, "lanczos"),
]


@pytest.fixture(scope="module", params=RULES, ids=str)
def rule(request: pytest.FixtureRequest) -> PixelRule:
    made: PixelRule = request.param
    return made


@pytest.fixture(scope="module", params=["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(
    request: pytest.FixtureRequest, rule: PixelRule
) -> Iterator[tuple[DaliPipeline, Bounds]]:
    kind = KINDS["dali", request.param]
    if kind.device == "gpu" and isinstance(missing := find_gpu(kind), Missing):
        pytest.skip(missing.everything)
    pipeline = DaliPipeline(kind.device, 32, threads=2, rule=rule)
    yield pipeline, kind.bounds[rule.interpolation]
    pipeline.close()


def assert_near(
    device: tuple[DaliPipeline, Bounds], fed: dict[str, bytes], *, by_pillow: bool = False
) -> None:
    pipeline, bounds = device
    rule = pipeline.rule
    result = run(pipeline, fed.items(), rule)
    assert result.images.keys() == fed.keys()
    if rule == DEFAULT:
        assert by_pillow or not result.fallbacks
    for key, data in fed.items():
        difference = np.abs(result.images[key].astype(int) - reference(data, rule))
        assert not bounds.judge((int(difference.max()), float(difference.mean()))), key


@pytest.mark.parametrize("quality", [10, 50, 75, 90, 100])
def test_every_sampling_size_and_quality(device: tuple[DaliPipeline, Bounds], quality: int) -> None:
    fed = {
        f"{sampling} {width}x{height}": jpeg(
            photo(7 * width + height, width, height),
            quality=quality,
            subsampling=sampling,
        )
        for sampling, (width, height) in itertools.product(SAMPLINGS, SIZES)
    }
    assert_near(device, fed)


def test_gray_photos(device: tuple[DaliPipeline, Bounds]) -> None:
    fed = {f"{w}x{h}": jpeg(photo(w, w, h).convert("L")) for w, h in SIZES}
    assert_near(device, fed)


def test_photos_of_random_sizes(device: tuple[DaliPipeline, Bounds]) -> None:
    sizes = np.random.default_rng(3).integers(60, 700, (120, 2)).tolist()
    fed = {
        f"{k}: {w}x{h}": jpeg(photo(k, w, h), subsampling=SAMPLINGS[k % 3])
        for k, (w, h) in enumerate(sizes)
    }
    assert_near(device, fed)


def test_odd_images(device: tuple[DaliPipeline, Bounds]) -> None:
    fed = {odd.name: odd.data for odd in odd_images() if odd.decodable}
    assert_near(device, fed, by_pillow=True)


@thorough("large photos; the contract has such for each pipeline")
@pytest.mark.parametrize("size", [(1, 20000), (20000, 1), (6000, 4000)])
def test_extreme_sizes(device: tuple[DaliPipeline, Bounds], size: tuple[int, int]) -> None:
    assert_near(device, {s: jpeg(photo(1, *size), subsampling=s) for s in SAMPLINGS[::2]})


def hard_edges(seed: int, width: int, height: int) -> bytes:
    """A JPEG of black and white alone, where filters overshoot as far as they can."""
    pixels = np.random.default_rng(seed).integers(0, 2, (height, width, 1), np.uint8) * 255
    return jpeg(Image.fromarray(pixels.repeat(3, axis=2)), quality=95)


def test_hard_edges(device: tuple[DaliPipeline, Bounds]) -> None:
    """Bicubic in a single pass would be 30 off, and lanczos 55."""
    sizes = [(500, 375), (375, 500), (130, 100), (90, 120), (900, 700)]
    fed = {f"{k}: {w}x{h}": hard_edges(k, w, h) for k, (w, h) in enumerate(sizes * 3)}
    assert_near(device, fed)


@pytest.mark.parametrize(
    ("interpolation", "size", "margin"),
    [
        ("bilinear", (900, 700), 2),
        ("bicubic", (900, 700), 4),
        ("lanczos", (900, 700), 6),
        ("bilinear", (20, 15), 0),
        ("bicubic", (20, 15), 12),
        ("lanczos", (20, 15), 22),
    ],
)
def test_a_crop_as_near_the_edge_as_dali_takes_it_is_near_pillows(
    interpolation: Interpolation, size: tuple[int, int], margin: int
) -> None:
    """Nearer to it, filters take in what isn't there, farther away where the photo grows."""
    data = hard_edges(7, *size)
    for crop, left in ((64 - margin, {}), (65 - margin, {0: "a crop up to the photo's edge"})):
        if crop > 64:
            continue
        pipeline = DaliPipeline("cpu", 1, threads=1, rule=PixelRule(64, crop, interpolation))
        assert_near((pipeline, DALI_CPU_BY_FILTER[interpolation]), {"0": data}, by_pillow=True)
        assert run(pipeline, [(0, data)], pipeline.rule).fallbacks == left
        pipeline.close()


def test_the_bounds_tell_another_pixel_rule_apart() -> None:
    """One pixel to the side, or the other chroma interpolation, is far outside of them."""
    picture = reference(jpeg(photo(3, 500, 375), subsampling="4:2:0")).astype(int)
    beside = np.abs(picture[:, 1:] - picture[:, :-1])
    assert beside.max() > 10 * DALI_GPU.largest
    assert beside.mean() > DALI_GPU.mean
