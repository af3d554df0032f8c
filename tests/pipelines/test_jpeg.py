from __future__ import annotations

import io
import struct
import warnings

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from imagenet_subset.demo.photos import exif, jpeg, odd_images, photo
from pipelines.base import WARN_PIXELS, DecodeError
from pipelines.jpeg import JpegHeader, doubt, has_stray_marker, route
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
    "progressive": "a progressive JPEG",
    "grayscale progressive": "a progressive JPEG",
    "progressive that ends early": "a progressive JPEG",
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
        assert isinstance(route(odd.data), str) or has_stray_marker(odd.data)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of broken EXIF
            image = Image.open(io.BytesIO(odd.data))
        assert route(odd.data) == JpegHeader(*image.size, len(image.getbands()))


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_common_photos_are_taken(subsampling):
    assert route(jpeg(PICTURE, subsampling=subsampling)) == JpegHeader(61, 47, 3)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (0xC2, "a progressive JPEG"),
        (0xC3, "a lossless or hierarchical JPEG"),
        (0xC5, "a lossless or hierarchical JPEG"),
        (0xDE, "a lossless or hierarchical JPEG"),
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
    """A height of 0 stands for one that only follows after the first scan."""
    assert route(with_frame(size=size)) == "no size in the header"


def test_a_decompression_bomb_is_left_to_pillow_which_refuses_it():
    data = with_frame(size=(65_500, 65_500))
    assert route(data) == "very many pixels"
    with pytest.raises(DecodeError):
        decode(data)


def test_photos_of_which_pillow_warns_are_left_to_it():
    width = 10_000
    height = WARN_PIXELS // width
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


PHOTOSHOP = b"Photoshop 3.0\0"
RESOLUTION = PHOTOSHOP + b"8BIM\x03\xed\0\0" + struct.pack(">I4I", 16, 300, 1, 300, 1)


@pytest.mark.parametrize(
    ("marker", "payload"),
    [
        (0xE0, b"JFIF\0"),
        (0xE0, b"JFIF\0\1\1\1\0"),
        (0xE1, exif(6)),
        (0xE2, b"ICC_PROFILE\0"),
        (0xE2, b"ICC_PROFILE\0\1\2 half of it"),
        (0xE2, b"MPF\0MM\0*\0\0\0\x08\0\1"),
        (0xED, PHOTOSHOP + b"8BIM\4\4"),
        (0xED, RESOLUTION),
        (0xEE, b"Adobe"),
        (0xEE, b"Adobe\0"),
        (0xFE, b""),
    ],
)
def test_a_segment_is_left_to_pillow_exactly_where_it_refuses_it(marker, payload):
    data = PLAIN[:2] + segment(marker, payload) + PLAIN[2:]
    reason = ""
    try:
        decode(data)
    except DecodeError as error:
        reason = str(error)
    assert not reason or reason.startswith("a broken segment: APP")
    assert isinstance(route(data), str) == bool(reason)


@pytest.mark.parametrize("length", [0, 1])
def test_a_segment_whose_length_is_less_than_its_own_two_bytes_is_left_to_pillow(length):
    data = PLAIN[:2] + struct.pack(">BBH", 0xFF, 0xFE, length) + PLAIN[2:]
    assert route(data) == "a segment without a length"
    assert decode(data).shape == (224, 224, 3)


def test_a_file_of_several_scans_is_left_to_pillow():
    scan = PLAIN.index(b"\xff\xda")
    first = PLAIN[: scan + 4] + b"\1\1" + PLAIN[scan + 6 :]
    assert route(first) == "a JPEG of several scans"


@pytest.mark.parametrize("rows", [0, 1])
def test_a_sound_scan_has_no_stray_marker(rows):
    assert not has_stray_marker(jpeg(PICTURE, restart_marker_rows=rows, comment=b"\xff\xdb"))


@pytest.mark.parametrize("marker", [0xC4, 0xDA, 0xDB, 0xDD, 0xE1, 0xFE, 0xD8, 0x01])
def test_any_marker_amid_the_scan_is_astray(marker):
    middle = (PLAIN.index(b"\xff\xda") + len(PLAIN)) // 2
    stray = segment(marker, bytes(8))
    assert has_stray_marker(PLAIN[:middle] + stray + PLAIN[middle:])


def plainly_has_stray_marker(data: bytes) -> bool:
    """`has_stray_marker` byte by byte: the segments up to the scan, then the scan."""
    try:
        at = 2
        while True:
            while data[at] == data[at + 1] == 0xFF:
                at += 1
            if data[at] != 0xFF or data[at + 1] in (0, 1, *range(0xD0, 0xDA)):
                return True
            in_scan = data[at + 1] == 0xDA
            at += 2 + int.from_bytes((data[at + 2], data[at + 3]))
            if in_scan:
                break
        while data[at] != 0xFF or data[at + 1] in (0, 0xFF, *range(0xD0, 0xD8)):
            at += 1
        return data[at + 1] != 0xD9
    except IndexError:
        return True


WHOLE = (
    PLAIN,
    jpeg(PICTURE, quality=98, subsampling="4:4:4"),
    jpeg(PICTURE.convert("L"), quality=96),
    jpeg(PICTURE, restart_marker_rows=1),
    jpeg(PICTURE, restart_marker_blocks=1, quality=96),
    jpeg(photo(3, 1, 1), quality=5),
    PLAIN[:2] + segment(0xE1, b"Exif\0\0" + jpeg(photo(2, 16, 16))) + PLAIN[2:],
    jpeg(PICTURE, comment=b"\xff\xda\xff\xd9\xff\xdb"),
    PLAIN + b"\xff\xd8 more \xff\xdb",
)
FRAGMENTS = st.one_of(
    st.sampled_from(
        [
            *(bytes([0xFF, marker]) for marker in (0, 1, 0xC4, 0xD0, 0xD7, 0xD8, 0xD9, 0xDA, 0xDB)),
            *(
                b"\xff",
                b"\xff\xff",
                b"\xff\xff\xff\xd0",
                b"\xff\xff\xd9",
                b"\xff\xff\x00",
                b"\x01\xff",
            ),
            *(
                segment(0xDB, bytes(8)),
                segment(0xFE, b"\xff\xd9"),
                segment(0xDA, b"\1\1\0\0\x3f\0"),
            ),
        ]
    ),
    st.binary(max_size=3),
)
DAMAGE = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 3), FRAGMENTS), min_size=0, max_size=3
)  # fmt: skip


@given(st.sampled_from(WHOLE), DAMAGE, st.floats(0, 1), st.booleans())
def test_whether_a_marker_is_astray_is_what_reading_byte_by_byte_says(whole, damage, kept, cut):
    data = whole
    for place, replaced, fragment in damage:
        at = int(place * len(data))
        data = data[:at] + fragment + data[at + replaced :]
    if cut:
        data = data[: int(kept * len(data))]
    assert has_stray_marker(data) == plainly_has_stray_marker(data)
    if isinstance(header := route(data), JpegHeader):
        assert has_stray_marker(data, header.scan) == has_stray_marker(data)


@pytest.mark.parametrize("whole", WHOLE)
def test_a_header_says_where_its_scan_is(whole):
    header = route(whole)
    assert isinstance(header, JpegHeader)
    assert whole[header.scan : header.scan + 2] == b"\xff\xda"
    assert whole[header.scan + 4] == header.components


MARKER_BYTES = st.sampled_from([0, 1, 2, 3, 0x11, 0xC0, 0xD0, 0xD8, 0xD9, 0xDA, 0xDB, 0xFE, 0xFF])
SHORT_SCAN = b"\xff\xd8\xff\xda\0\2"


@given(st.one_of(st.binary(max_size=40), st.lists(MARKER_BYTES, max_size=40).map(bytes)))
@example(b"")
@example(b"\xff\xd9")
@example(b"\xff")
@example(b"a\xff\xd9")
@example(b"\xff\xff\xd9")
@example(b"\xff\xd0\xff\xd9")
@example(b"\xff\xd0\xff")
def test_no_bytes_in_a_scan_or_before_it_are_misjudged(raw):
    for data in (raw, SHORT_SCAN[:2] + raw, SHORT_SCAN + raw, PLAIN[:-2] + raw):
        assert has_stray_marker(data) == plainly_has_stray_marker(data)


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


def test_every_cut_is_seen():
    data = jpeg(photo(3, 40, 30), subsampling="4:2:0", quality=50)
    for length in range(2, len(data)):
        assert route(data[:length]) == "a truncated JPEG", length


@pytest.mark.parametrize("progressive", [False, True])
def test_an_end_within_a_comment_is_no_end(progressive):
    data = jpeg(PICTURE, progressive=progressive)
    scan = data.rindex(b"\xff\xda") if progressive else len(data) - 2
    commented = data[:scan] + segment(0xFE, b"\xff\xd9 and so on") + data[scan:]
    assert doubt(commented) is None
    assert doubt(commented[:-2]) == "it has no end of image"


@pytest.mark.parametrize("tail", [b"\0", bytes(4096), b"\xff", b"\xff\xd8\xff", b"\r\n"])
def test_bytes_after_the_end_do_no_harm(tail):
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
        assert 0 < routed.width * routed.height <= WARN_PIXELS
        assert routed.components in (1, 3)
    else:
        assert routed.isprintable()
