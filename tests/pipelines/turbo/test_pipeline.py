"""The turbo pipeline: Pillow's pixels, bit by bit, with the Pillow that is installed."""

from __future__ import annotations

import ctypes
import io
import mmap
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from imagenet_subset.demo.photos import jpeg, photo
from pipelines.pillow import decode
from pipelines.resample import scale_and_crop
from pipelines.rule import DEFAULT, INTERPOLATIONS, SMALLEST_CROP, Interpolation, PixelRule
from pipelines.taps import FRACTION_BITS, filter_taps

pytest.importorskip("llvmlite", reason="the turbo extra isn't installed")
pytest.importorskip("simplejpeg", reason="the turbo extra isn't installed")
from pipelines.turbo.kernel import _SHRINKING, ByKernel
from pipelines.turbo.lanes import BLOCK, GROUP, arranged
from pipelines.turbo.memory import Memory
from pipelines.turbo.pipeline import TurboPipeline
from pipelines.turbo.planning import plan_of
from pipelines.turbo.proving import SIZE

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


def test_a_filter_that_the_kernel_does_not_know_needs_no_llvm() -> None:
    script = (
        "import sys; sys.modules['llvmlite'] = None\n"
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


def at_the_end(nbytes: int) -> NDArray[np.uint8]:
    """Memory after which none is: whoever reads or writes beyond it dies."""
    pages = -(-nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = np.frombuffer(mmap.mmap(-1, pages + mmap.PAGESIZE), np.uint8)
    libc = ctypes.CDLL(None, use_errno=True)
    guard = ctypes.c_void_p(memory.ctypes.data + pages)
    assert libc.mprotect(guard, ctypes.c_size_t(mmap.PAGESIZE), 0) == 0
    return memory[pages - nbytes : pages]


@pytest.mark.skipif(sys.platform == "win32", reason="protects pages by mprotect")
@pytest.mark.parametrize("rule", [DEFAULT, PixelRule(8, 8), PixelRule(100, 99)], ids=str)
@pytest.mark.parametrize(
    ("width", "height"), [(500, 375), (900, 900), (901, 900), (1, 1), (3, 2), (700, 1)]
)
def test_the_kernel_keeps_within_the_memory_of_its_plan(
    rule: PixelRule, width: int, height: int
) -> None:
    scaler = ByKernel(rule)
    plan = plan_of(rule, width, height)
    memories = []
    for nbytes in (plan.photo_nbytes, plan.scratch_nbytes):
        memories.append(Memory(0))
        memories[-1].array = at_the_end(nbytes)
        memories[-1].nbytes, memories[-1].address = nbytes, memories[-1].array.ctypes.data
    photo, scaler._scratch = memories
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    photo.array[: pixels.size] = pixels.reshape(-1)
    out = at_the_end(rule.nbytes).reshape(rule.shape)
    scaler.scale(photo, plan, out)
    np.testing.assert_array_equal(out, np.asarray(scale_and_crop(Image.fromarray(pixels), rule)))


def test_a_row_of_the_smallest_crop_has_a_block() -> None:
    assert 3 * SMALLEST_CROP >= BLOCK


def test_the_picture_that_is_tried_first_has_several_groups_of_taps_and_an_odd_crop() -> None:
    for width, height in (SIZE, SIZE[::-1]):
        scaled, _ = _SHRINKING.resized_size(width, height)
        taps = filter_taps(width, scaled, 0, _SHRINKING.crop, group=GROUP)
        assert taps.weights.shape[1] >= 2 * GROUP
    assert _SHRINKING.crop % 2


def test_photos_of_the_same_width_or_height_share_what_it_decides() -> None:
    upright = [plan_of(DEFAULT, 375, height).kept[0] for height in (500, 501)]
    lying = [plan_of(DEFAULT, width, 375).kept[1] for width in (500, 501)]
    assert upright[0] is upright[1]
    assert lying[0] is lying[1]


def test_weights_are_split_without_a_loss() -> None:
    weights = filter_taps(500, 341, 58, 224, group=4).weights
    parts = arranged(weights).astype(np.int64)
    whole = (parts[:, :, 0] << 11) + parts[:, :, 1]  # pair, group, half, column, lane
    back = whole.reshape(112, -1, 2, 2, 4, 2).transpose(4, 0, 3, 1, 2, 5).reshape(4, *weights.shape)
    assert (back == weights).all()


def test_an_image_of_another_size_or_in_pieces_is_refused() -> None:
    scaler = ByKernel(DEFAULT)
    plan = plan_of(DEFAULT, 500, 375)
    photo = Memory(plan.photo_nbytes)
    short = np.empty(DEFAULT.nbytes - 1, np.uint8)
    pieces = np.empty((448, 224, 3), np.uint8)[::2]
    frozen = np.empty(DEFAULT.shape, np.uint8)
    frozen.flags.writeable = False
    for out in (short, pieces, frozen):
        with pytest.raises((ValueError, TypeError)):
            scaler.scale(photo, plan, out)
    with pytest.raises(ValueError, match="a photo of"):
        scaler.scale(Memory(plan.photo_nbytes - 1), plan, np.empty(DEFAULT.shape, np.uint8))


def test_threads_scale_at_the_same_time(by_other_rules) -> None:
    """Each with a pipeline of its own; the machine code is the same."""
    photos = [noise(seed, 500, 375) for seed in range(3)]
    with ThreadPoolExecutor(len(by_other_rules)) as executor:
        works = [
            executor.submit(lambda turbo: [assert_identical(turbo, data) for data in photos], turbo)
            for turbo in by_other_rules
        ]
        assert all(work.result() == [None] * 3 for work in works)
