from __future__ import annotations

import io
import struct
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from imagenet_subset.photos import jpeg, odd_images, photo
from pipelines.base import MAX_PIXELS, DecodeError
from pipelines.jpeg import JpegHeader, route
from pipelines.pillow import decode

PICTURE = photo(1, 61, 47)
PLAIN = jpeg(PICTURE)
ODD = {odd.name: odd for odd in odd_images()}
REASONS = {
    "4:4:0": "unusual sampling",
    "4:1:1": "unusual sampling",
    "CMYK": "CMYK",
    "YCCK": "CMYK",
    "RGB": "neither gray nor YCbCr",
    "GIF": "not a JPEG",
    "GIF of two frames": "not a JPEG",
    "BMP": "not a JPEG",
    "WebP": "not a JPEG",
    **{name: "not a JPEG" for name in ODD if name.startswith("PNG")},
    **dict.fromkeys(("empty", "garbage", "HTML"), "not a JPEG"),
}


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def with_frame(*, kind: int = 0xC0, bits: int = 8, size: tuple[int, int] = (61, 47)) -> bytes:
    """`PLAIN` with another frame header."""
    at = PLAIN.index(b"\xff\xc0")
    fields = struct.pack(">BHH", bits, size[1], size[0])
    return PLAIN[:at] + bytes([0xFF, kind]) + PLAIN[at + 2 : at + 4] + fields + PLAIN[at + 9 :]


@pytest.mark.parametrize("odd", ODD.values(), ids=lambda odd: odd.name)
def test_each_odd_image_goes_where_it_belongs(odd):
    if odd.name in REASONS:
        assert route(odd.data) == REASONS[odd.name]
    elif not odd.decodable:
        assert route(odd.data) in ("a truncated JPEG", "not a JPEG")
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken EXIF
            image = Image.open(io.BytesIO(odd.data))
        assert route(odd.data) == JpegHeader(*image.size, len(image.getbands()))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_common_photos_are_taken(progressive, subsampling):
    data = jpeg(PICTURE, progressive=progressive, subsampling=subsampling)
    assert route(data) == JpegHeader(61, 47, 3)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (0xC3, "a lossless or hierarchical JPEG"),
        (0xC5, "a lossless or hierarchical JPEG"),
        (0xC9, "an arithmetic-coded JPEG"),
        (0xCA, "an arithmetic-coded JPEG"),
    ],
)
def test_other_codings_are_left_to_pillow(kind, reason):
    assert route(with_frame(kind=kind)) == reason


def test_an_extended_sequential_frame_is_taken():
    assert route(with_frame(kind=0xC1)) == JpegHeader(61, 47, 3)


def test_12_bits_a_sample_are_left_to_pillow():
    assert route(with_frame(bits=12)) == "not 8 bits a sample"


@pytest.mark.parametrize("size", [(0, 47), (61, 0), (0, 0)])
def test_a_size_of_zero_is_left_to_pillow(size):
    """A height of 0 stands for one that only follows behind the first scan."""
    assert route(with_frame(size=size)) == "no size in the header"


def test_a_decompression_bomb_is_left_to_pillow_which_refuses_it():
    data = with_frame(size=(65_500, 65_500))
    assert route(data) == "very many pixels"
    with pytest.raises(DecodeError):
        decode(data)


def test_the_pixel_limit_itself_is_taken():
    width = 10_000
    height = MAX_PIXELS // width
    assert route(with_frame(size=(width, height))) == JpegHeader(width, height, 3)
    assert route(with_frame(size=(width, height + 1))) == "very many pixels"


def test_two_frames_are_left_to_pillow():
    at = PLAIN.index(b"\xff\xc0")
    frame = PLAIN[at : at + 19]
    assert route(PLAIN[:at] + frame + PLAIN[at:]) == "a JPEG of several frames"


def test_a_scan_without_a_frame_is_left_to_pillow():
    at = PLAIN.index(b"\xff\xc0")
    assert route(PLAIN[:at] + PLAIN[at + 19 :]) == "a scan before its frame"


@pytest.mark.parametrize("stray", [b"\0", b"\0\0\0\0", b"\xff\x00", b"\xff\xd9", b"\xff\xd0", b"x"])
def test_bytes_between_the_segments_are_left_to_pillow(stray):
    assert route(PLAIN[:2] + stray + PLAIN[2:]) == "no marker where one must be"


@pytest.mark.parametrize(("transform", "taken"), [(0, False), (1, True), (2, False)])
def test_the_adobe_marker_decides_the_colours(transform, taken):
    adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
    routed = route(PLAIN[:2] + adobe + PLAIN[2:])
    assert routed == (JpegHeader(61, 47, 3) if taken else "neither gray nor YCbCr")


def test_components_named_rgb_are_left_to_pillow():
    at = PLAIN.index(b"\xff\xc0") + 10
    named = bytearray(PLAIN)
    named[at : at + 9 : 3] = b"RGB"
    assert route(bytes(named)) == "neither gray nor YCbCr"


def test_a_thumbnail_with_a_frame_and_an_end_of_its_own_fools_nobody():
    thumbnail = segment(0xE1, b"Exif\0\0" + jpeg(photo(2, 16, 16)))
    data = PLAIN[:2] + thumbnail + PLAIN[2:]
    assert route(data) == JpegHeader(61, 47, 3)
    assert route(data[:-2]) == "a truncated JPEG"


@pytest.mark.parametrize("progressive", [False, True])
def test_every_cut_is_seen(progressive):
    data = jpeg(photo(3, 40, 30), progressive=progressive, subsampling="4:2:0", quality=50)
    for length in range(2, len(data)):
        assert route(data[:length]) == "a truncated JPEG", length


@pytest.mark.parametrize("progressive", [False, True])
def test_an_end_within_a_comment_between_scans_is_no_end(progressive):
    data = jpeg(PICTURE, progressive=progressive)
    scan = data.rindex(b"\xff\xda") if progressive else len(data) - 2
    commented = data[:scan] + segment(0xFE, b"\xff\xd9 and so on") + data[scan:]
    assert route(commented) == JpegHeader(61, 47, 3)
    assert route(commented[:-2]) == "a truncated JPEG"


@pytest.mark.parametrize("tail", [b"\0", bytes(4096), b"\xff", b"\xff\xd8\xff", b"\r\n"])
def test_bytes_behind_the_end_do_no_harm(tail):
    assert route(PLAIN + tail) == JpegHeader(61, 47, 3)


@given(st.binary(max_size=400))
@example(b"\xff\xd8")
@example(b"\xff\xd8" + b"\xff" * 50)
@example(b"\xff\xd8\xff\xe0\0\0")
def test_no_bytes_make_it_raise(data):
    for given_data in (data, b"\xff\xd8" + data):
        assert isinstance(route(given_data), str)


@given(
    st.sampled_from([odd.data for odd in ODD.values() if odd.data[:2] == b"\xff\xd8"]),
    st.lists(st.tuples(st.integers(2, 700), st.integers(0, 255)), min_size=1, max_size=6),
    st.integers(0, 1000),
)
def test_no_damaged_photo_makes_it_raise(data, changes, cut):
    broken = bytearray(data)
    for at, value in changes:
        broken[at % len(broken)] = value
    routed = route(bytes(broken[: max(2, len(broken) - cut)]))
    if isinstance(routed, JpegHeader):
        assert 0 < routed.width * routed.height <= MAX_PIXELS
        assert routed.components in (1, 3)
    else:
        assert routed.isprintable()
