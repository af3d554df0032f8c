from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagenet_subset.demo.photos import encoded, exif, jpeg, odd_images, photo
from pipelines import pillow, resample
from pipelines.base import MAX_PIXELS, WARN_PIXELS, DecodeError
from pipelines.pillow import decode
from pipelines.rule import DEFAULT, INTERPOLATIONS, PixelRule
from tests.contracts.pipeline import scaled_whole


def plain(data: bytes) -> np.ndarray:
    """The default rule as a user of Pillow would write it."""
    with Image.open(io.BytesIO(data)) as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return scaled_whole(opened.convert("RGB"), DEFAULT)


@pytest.mark.parametrize(
    "odd", [odd for odd in odd_images() if odd.decodable], ids=lambda odd: odd.name
)
def test_an_odd_image_is_what_convert_resize_and_crop_give(odd):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = plain(odd.data)
    assert np.array_equal(decode(odd.data), expected)


def test_the_exif_orientation_is_not_applied():
    image = photo(1, 300, 260)
    assert np.array_equal(decode(jpeg(image, exif_orientation=6)), decode(jpeg(image)))


def test_a_broken_exif_block_is_no_warning_where_pillow_alone_would_give_one():
    good = jpeg(photo(1, 300, 260))
    block = exif(6)[:-9]
    data = good[:2] + struct.pack(">HH", 0xFFE1, len(block) + 2) + block + good[2:]
    with pytest.warns(UserWarning, match="Corrupt EXIF"), Image.open(io.BytesIO(data)) as image:
        image.load()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(decode(data), decode(good))


def test_of_several_frames_the_first_is_taken():
    first, second = photo(1, 60, 50).quantize(16), photo(2, 60, 50).quantize(16)
    both = encoded(first, "GIF", save_all=True, append_images=[second])
    assert np.array_equal(decode(both), decode(encoded(first, "GIF")))


def png_of_size(width: int, height: int) -> bytes:
    def chunk(kind: bytes, payload: bytes) -> bytes:
        length, crc = len(payload), zlib.crc32(kind + payload)
        return struct.pack(">I", length) + kind + payload + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "size", [(MAX_PIXELS + 1, 1), (1, MAX_PIXELS + 1), (13_378, 13_378), (2**31 - 1, 2**31 - 1)]
)
def test_a_decompression_bomb_is_refused_from_its_header(size):
    with pytest.raises(DecodeError, match="pixels"):
        decode(png_of_size(*size))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG"])
def test_a_photo_of_which_pillow_only_warns_is_decoded(file_format):
    """100 megapixels: torchvision decodes them."""
    data = encoded(Image.new("L", (10_000, 10_000), 77), file_format)
    assert WARN_PIXELS < 10_000**2
    assert (decode(data) == 77).all()


def test_a_photo_without_pixels_is_refused():
    with pytest.raises(DecodeError):
        decode(png_of_size(0, 5))


def test_formats_that_start_other_programs_are_not_opened():
    postscript = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    with pytest.raises(DecodeError, match="not one of JPEG"):
        decode(postscript)


@pytest.mark.parametrize("format_", ["TIFF", "PPM", "ICO"])
def test_other_formats_are_named_as_such(format_):
    with pytest.raises(DecodeError, match="not one of JPEG, PNG, GIF, BMP, WEBP"):
        decode(encoded(photo(1, 30, 20), format_))


def test_the_reason_is_the_same_each_time():
    reasons = set()
    for _ in range(3):
        with pytest.raises(DecodeError) as caught:
            decode(b"no image at all")
        reasons.add(str(caught.value))
    assert len(reasons) == 1


@pytest.mark.parametrize("count", [600, pytest.param(20_000, marks=pytest.mark.long)])
def test_damaged_files_of_all_kinds_decode_or_are_refused(count):
    """Flipped bytes, cuts and doubled pieces: an image or a `DecodeError`, nothing else."""
    rng = np.random.default_rng(11)
    files = [odd.data for odd in odd_images() if odd.data]
    outcomes = {"decoded": 0, "refused": 0}
    for _ in range(count):
        data = damaged(rng, files[rng.integers(len(files))])
        reason = ""
        try:
            assert decode(data).shape == (224, 224, 3)
            outcomes["decoded"] += 1
        except DecodeError as error:
            reason = str(error)
            outcomes["refused"] += 1
        assert reason.isprintable()
    assert min(outcomes.values()) > 50


def damaged(rng: np.random.Generator, data: bytes) -> bytes:
    broken = bytearray(data)
    reach = len(broken) if rng.random() < 0.3 else min(len(broken), 700)
    for _ in range(rng.integers(1, 8)):
        broken[rng.integers(reach)] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256))])
    if rng.random() < 0.2:
        del broken[rng.integers(len(broken)) :]
    if rng.random() < 0.1:
        at = rng.integers(len(broken) + 1)
        broken[at:at] = broken[at : at + 50]
    return with_right_crcs(broken) if rng.random() < 0.5 else bytes(broken)


def with_right_crcs(png: bytearray) -> bytes:
    """Let damage get past a PNG's checksums; other files stay as they are."""
    at = 8 if png[:4] == b"\x89PNG" else len(png)
    while at + 12 <= len(png):
        end = at + 8 + int.from_bytes(png[at : at + 4], "big")
        if end + 4 > len(png):
            break
        png[end : end + 4] = struct.pack(">I", zlib.crc32(png[at + 4 : end]))
        at = end + 4
    return bytes(png)


RULES = [
    DEFAULT,
    PixelRule(72, 64),
    PixelRule(100, 97),
    PixelRule(300, 300),
    PixelRule(100, 97, "bicubic"),
    PixelRule(300, 300, "lanczos"),
    PixelRule(72, 64, "box"),
    PixelRule(256, 200, "nearest"),
]


STRIPS = [(1, 1), (1, 90), (90, 1), (255, 2000), (13, 4000), (4000, 13)]


@pytest.mark.parametrize(
    ("rule", "size"), [(r, s) for r in RULES for s in STRIPS if min(s) < r.resize], ids=repr
)
def test_a_strip_scaled_in_part_is_the_same_as_scaled_whole(rule, size):
    image = photo(3, *size)
    made = np.asarray(resample.scale_and_crop_strip(image, rule))
    assert np.array_equal(made, scaled_whole(image, rule))


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_strips_of_random_sizes_scaled_in_part_are_the_same_as_scaled_whole(rule):
    rng = np.random.default_rng(12)
    for _ in range(60):
        shorter = int(rng.integers(1, rule.resize))
        size = (shorter, int(rng.integers(shorter, shorter * 9 + 2)))
        size = size if rng.random() < 0.5 else size[::-1]
        noise = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
        image = Image.fromarray(noise)
        made = np.asarray(resample.scale_and_crop_strip(image, rule))
        assert np.array_equal(made, scaled_whole(image, rule)), size


@settings(max_examples=200)
@given(st.data(), st.integers(1, 300), st.integers(1, 300))
def test_a_photo_by_any_rule_is_what_resize_and_crop_give(data, width: int, height: int) -> None:
    resize = data.draw(st.integers(8, 300))
    interpolation = data.draw(st.sampled_from(INTERPOLATIONS))
    rule = PixelRule(resize, data.draw(st.integers(8, resize)), interpolation)
    noise = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(noise)
    made = decode(encoded(image, "PNG"), rule)
    assert made.shape == rule.shape
    assert np.array_equal(made, scaled_whole(image, rule))


@settings(max_examples=200)
@given(st.data(), st.integers(1, 500), st.integers(1, 500))
def test_a_photo_scaled_for_its_crop_alone_is_what_resize_and_crop_give(
    data, width: int, height: int
) -> None:
    resize = data.draw(st.integers(8, 300))
    interpolation = data.draw(st.sampled_from(INTERPOLATIONS))
    rule = PixelRule(resize, data.draw(st.integers(8, resize)), interpolation)
    noise = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(noise)
    made = resample.scale_crop_alone(image, rule)
    assert np.array_equal(made, scaled_whole(image, rule))


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (480, 500), (333, 666), (333, 667)])
def test_a_photo_of_a_usual_size_is_scaled_by_two_passes_with_the_same_pixels(size):
    noise = np.random.default_rng(3).integers(0, 256, (*size[::-1], 3), np.uint8)
    image = Image.fromarray(noise)
    made = resample.scale_crop_alone(image, DEFAULT)
    assert np.array_equal(made, scaled_whole(image, DEFAULT))


@pytest.mark.parametrize("size", [(9500, 9500), (8000, 12000)])
def test_a_photo_of_which_pillow_warns_is_scaled_without_a_warning(size):
    image = Image.new("RGB", size)
    assert image.width * image.height > WARN_PIXELS
    assert not resample.scale_crop_alone(image, DEFAULT).any()


def test_this_pillow_scales_rows_first_by_all_filters_but_nearest():
    found = {name for name in INTERPOLATIONS if resample.has_two_passes(name)}
    assert found == {*INTERPOLATIONS} - {"nearest"}


def test_a_pillow_that_scales_otherwise_scales_photos_as_a_whole(monkeypatch):
    image, whole = photo(1, 500, 375), photo(2, 224, 224)
    monkeypatch.setattr(resample, "has_two_passes", lambda _: False)
    monkeypatch.setattr(resample, "scale_and_crop", lambda *_: whole)
    assert np.array_equal(resample.scale_crop_alone(image, DEFAULT), np.asarray(whole))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_hard_edges_of_strips_are_clipped_as_pillow_clips_them(interpolation):
    """Filters with negative weights overshoot beyond black and white."""
    rule = PixelRule(200, 150, interpolation)
    stripes = np.zeros((40, 900, 3), np.uint8)
    stripes[:, ::5] = stripes[::3] = 255
    for image in (Image.fromarray(stripes), Image.fromarray(stripes.swapaxes(0, 1).copy())):
        made = np.asarray(resample.scale_and_crop_strip(image, rule))
        assert np.array_equal(made, scaled_whole(image, rule))


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize(
    ("rule", "size", "most"),
    [
        (DEFAULT, (1, 20000), 250),
        (DEFAULT, (20000, 1), 250),
        (DEFAULT, (60000, 200), 250),
        *((PixelRule(2048, 2048, name), (1, 20000), 400) for name in INTERPOLATIONS),
        *((PixelRule(2048, 2048, name), (20000, 1), 400) for name in INTERPOLATIONS),
        (PixelRule(2048, 2048, "lanczos"), (2000, 20000), 600),
        (PixelRule(2048, 2048, "lanczos"), (20000, 2000), 600),
    ],
    ids=str,
)
def test_a_strip_takes_little_memory(rule, size, most):
    """Scaled whole, 1x20000 would take 5 GB by the default rule and 335 GB by the largest."""
    program = (
        "from PIL import Image\n"
        "from imagenet_subset.demo.photos import jpeg\n"
        "from pipelines.pillow import decode\n"
        "from pipelines.rule import PixelRule\n"
        f"assert (decode(jpeg(Image.new('RGB', {size}, (7, 7, 7))), {rule}) == 7).all()\n"
        "print(open('/proc/self/status').read())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    peak = re.search(r"VmHWM:\s*(\d+) kB", done.stdout)
    assert peak, done.stdout
    assert int(peak[1]) < most * 1024


def test_the_versions_name_what_decides_the_pixels():
    versions = pillow.versions()
    assert versions["pillow"] == PIL.__version__
    assert versions.keys() & {"libjpeg_turbo", "libjpeg"}
