"""The turbo pipeline: Pillow's pixels, bit by bit, with the Pillow that is installed."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from imagenet_subset.demo.photos import jpeg, photo
from pipelines.pillow import decode
from pipelines.rule import DEFAULT, INTERPOLATIONS, Interpolation, PixelRule
from pipelines.taps import FRACTION_BITS, filter_taps

pytest.importorskip("numba", reason="the turbo extra isn't installed")
pytest.importorskip("simplejpeg", reason="the turbo extra isn't installed")
from pipelines.turbo.pipeline import TurboPipeline

SIDES = st.integers(1, 900)


@pytest.fixture(scope="module")
def turbo() -> TurboPipeline:
    return TurboPipeline()


def noise(seed: int, width: int, height: int) -> bytes:
    """JPEG of noise, which shows any difference in weights or order."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    sink = io.BytesIO()
    Image.fromarray(values).save(sink, "JPEG", quality=85, subsampling=seed % 3)
    return sink.getvalue()


def assert_identical(turbo: TurboPipeline, data: bytes) -> str | None:
    """Compare with Pillow; why the image was left to it, if it was."""
    out = np.empty(turbo.rule.shape, np.uint8)
    reason = turbo.decode_into(data, out)
    if reason is None:
        np.testing.assert_array_equal(out, decode(data, turbo.rule))
    return reason


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1), SIDES, SIDES)
@example(1, 500, 375)
@example(2, 256, 256)
@example(3, 256, 512)
@example(4, 1, 1)
@example(5, 900, 1)
def test_any_size_is_identical_to_pillow(turbo, seed: int, width: int, height: int) -> None:
    reason = assert_identical(turbo, noise(seed, width, height))
    assert reason == ("a tall photo" if height > 2 * width else None)


@pytest.fixture(scope="module")
def by_other_rules() -> list[TurboPipeline]:
    """Rules of two crops, two rules of one, and every filter."""
    rules = [PixelRule(72, 64), PixelRule(100, 97), PixelRule(300, 97), PixelRule(8, 8)]
    rules += [PixelRule(72, 64, interpolation) for interpolation in INTERPOLATIONS]
    return [TurboPipeline(rule=rule) for rule in rules]


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1), SIDES, SIDES)
@example(1, 500, 375)
@example(2, 1, 2)
@example(3, 900, 1)
def test_any_size_by_other_rules_is_identical_to_pillow(
    by_other_rules, seed: int, width: int, height: int
) -> None:
    data = noise(seed, width, height)
    for turbo in by_other_rules:
        reason = assert_identical(turbo, data)
        tall = height > 2 * width and turbo.rule.interpolation == "bilinear"
        assert reason == ("a tall photo" if tall else None)


@pytest.mark.parametrize("width", [1, 2, 100, 127, 128, 129, 255, 256, 257, 300])
def test_around_twice_as_tall_as_wide_it_is_identical_or_left_to_pillow(turbo, width) -> None:
    reasons = [
        assert_identical(turbo, noise(height, width, height))
        for height in range(max(1, 2 * width - 2), 2 * width + 3)
    ]
    assert reasons == [None] * (len(reasons) - 2) + ["a tall photo"] * 2


def test_tall_photos_are_those_that_pillow_may_scale_in_another_order() -> None:
    """If Pillow begins to change the order at other shapes, the identity tests above fail; this
    one says whether the installed one does so for tall photos at all."""
    image = Image.open(io.BytesIO(noise(0, 300, 900)))
    size = DEFAULT.resized_size(*image.size)
    rows_first = image.resize((size[0], image.height), Image.Resampling.BILINEAR)
    rows_first = rows_first.resize(size, Image.Resampling.BILINEAR)
    columns_first = image.resize((image.width, size[1]), Image.Resampling.BILINEAR)
    columns_first = columns_first.resize(size, Image.Resampling.BILINEAR)
    once = np.asarray(image.resize(size, Image.Resampling.BILINEAR))
    same_as = [(once == np.asarray(other)).all() for other in (rows_first, columns_first)]
    assert sorted(same_as) == [False, True]


@pytest.mark.parametrize(("width", "height"), [(6000, 4000), (20000, 1), (3000, 40), (1, 2)])
def test_extreme_sizes_are_identical(turbo, width, height) -> None:
    image = photo(3, width, height)
    assert assert_identical(turbo, jpeg(image, subsampling="4:2:0")) is None


@settings(max_examples=300)
@given(st.integers(1, 3000), st.integers(1, 3000), st.randoms(use_true_random=False))
def test_the_weights_scale_a_row_as_pillow_does(length: int, scaled: int, random) -> None:
    row = np.frombuffer(random.randbytes(length), np.uint8)
    expected = Image.fromarray(row[None]).resize((scaled, 1), Image.Resampling.BILINEAR)
    taps = filter_taps(length, scaled, 0, scaled)
    places = np.minimum(taps.starts[:, None] + np.arange(taps.weights.shape[1]), length - 1)
    sums = (row[places].astype(np.int64) * taps.weights).sum(axis=1)
    made = (sums + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS
    assert sums.max() + (1 << (FRACTION_BITS - 1)) < 1 << 31, "sums must fit in 32 bits"
    np.testing.assert_array_equal(made, np.asarray(expected)[0])


def test_only_the_crop_is_computed() -> None:
    width, height = 500, 375
    left, top, _, _ = DEFAULT.crop_box(width, height)
    columns = filter_taps(width, DEFAULT.resized_size(width, height)[0], left, 224)
    rows = filter_taps(height, 256, top, 224)
    # The crop's outermost samples lie at 58.5 and 281.5 of 341 columns, 16.5 and 239.5 of 256
    # rows: by 500/341 and 375/256 at 85.8, 412.8, 24.2 and 350.8. The filter reaches 1.5 further.
    assert (columns.begin, columns.end) == (84, 414)
    assert (rows.begin, rows.end) == (23, 352)


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_the_largest_rule_is_identical(interpolation: Interpolation) -> None:
    turbo = TurboPipeline(rule=PixelRule(2048, 2048, interpolation))
    for width, height in ((500, 375), (375, 500), (2500, 2100), (1, 1), (4000, 3)):
        assert assert_identical(turbo, noise(width, width, height)) is None


def test_a_filter_that_the_kernel_does_not_know_needs_no_numba() -> None:
    script = (
        "import sys; sys.modules['numba'] = sys.modules['llvmlite'] = None\n"
        "from imagenet_subset.demo.photos import jpeg, photo\n"
        "from pipelines.pillow import decode\n"
        "from pipelines.rule import PixelRule\n"
        "from pipelines.turbo.pipeline import TurboPipeline\n"
        "turbo = TurboPipeline(rule=PixelRule(72, 64, 'bicubic'))\n"
        "data = jpeg(photo(1, 500, 375))\n"
        "(batch,) = turbo.run([(0, data)])\n"
        "assert not batch.fallbacks and (batch.images[0] == decode(data, turbo.rule)).all()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_jpeg_of_which_libjpeg_warns_is_left_to_pillow(turbo) -> None:
    data = bytearray(jpeg(photo(1, 300, 200)))
    middle = len(data) * 2 // 3
    data[middle : middle + 40] = b"\x55" * 40
    reason = assert_identical(turbo, bytes(data))
    assert reason is None or reason.startswith("libjpeg-turbo warns")


def test_compiling_happens_once_and_is_told(tmp_path: Path) -> None:
    code = (
        "import logging; logging.basicConfig(format='%(message)s')\n"
        "from pipelines.turbo.pipeline import TurboPipeline; TurboPipeline()"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stderr
        for _ in range(2)
    ]
    assert outputs[0].startswith("compiled the turbo pipeline in ")
    assert outputs[1] == ""


TWO_RULES = """
import logging, sys
import numpy as np
from imagenet_subset.demo.photos import jpeg, photo
from pipelines.pillow import decode
from pipelines.rule import PixelRule
from pipelines.turbo.pipeline import TurboPipeline

logging.basicConfig(format="%(message)s")
for crop in map(int, sys.argv[1:]):
    turbo = TurboPipeline(rule=PixelRule(256, crop))
    out = np.empty(turbo.rule.shape, np.uint8)
    for width, height in ((500, 375), (375, 500), (30, 20)):
        data = jpeg(photo(crop, width, height))
        assert turbo.decode_into(data, out) is None
        np.testing.assert_array_equal(out, decode(data, turbo.rule))
"""


def test_two_rules_share_no_machine_code(tmp_path: Path) -> None:
    """numba's cache doesn't see that a constant of a function is another one."""

    def told(*crops: int) -> list[str]:
        return subprocess.run(
            [sys.executable, "-c", TWO_RULES, *map(str, crops)],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            stderr=subprocess.PIPE,
            text=True,
            check=True,
        ).stderr.splitlines()

    for crops in ((224,), (97, 224)):  # the second finds one of them, and compiles the other
        assert [line.split(" in ")[0] for line in told(*crops)] == ["compiled the turbo pipeline"]
    assert told(224, 97) == []
    assert len(list(tmp_path.glob("*/*.nbc"))) == len(list(tmp_path.glob("*/*.nbc.sha256"))) == 2
