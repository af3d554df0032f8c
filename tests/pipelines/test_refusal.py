"""Why a file is refused, in words that its owner understands."""

from __future__ import annotations

import struct

import pytest

from imagenet_subset.demo.photos import encoded, jpeg, odd_images, photo
from pipelines.base import DecodeError
from pipelines.pillow import decode

PLAIN = jpeg(photo(1, 61, 47))
FRAME = PLAIN.index(b"\xff\xc0")
ODD = {odd.name: odd.data for odd in odd_images()}


def reason(data: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        decode(data)
    return str(caught.value)


def with_segment(marker: int, payload: bytes) -> bytes:
    return PLAIN[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + PLAIN[2:]


def of_kind(marker: int) -> bytes:
    return PLAIN[: FRAME + 1] + bytes([marker]) + PLAIN[FRAME + 2 :]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("empty", "empty file"),
        ("HTML", "not one of JPEG, PNG, GIF, BMP, WEBP"),
        ("two bytes", "it ends before its first scan"),
        ("header only", "it ends before its first scan"),
        ("12 bits a sample", "12 bits a sample, of which Pillow decodes 8 only"),
        ("two components", "2 components a pixel, of which Pillow decodes 1, 3 and 4 only"),
        ("height of 0", "a height of 0 in the header"),
        ("JFIF without a version", "a broken segment: APP0 (JFIF)"),
        ("ICC profile without its number", "a broken segment: APP2 (ICC_PROFILE)"),
        ("Photoshop without a name", "a broken segment: APP13 (Photoshop 3.0)"),
        ("Adobe without a version", "a broken segment: APP14 (Adobe)"),
        (
            "lossless",
            "a lossless or hierarchical JPEG: broken data stream when reading image file",
        ),
    ],
)
def test_an_odd_file_is_refused_in_plain_words(name: str, said: str) -> None:
    assert reason(ODD[name]) == said


def test_a_width_of_0_is_named() -> None:
    data = PLAIN[: FRAME + 7] + b"\0\0" + PLAIN[FRAME + 9 :]
    assert reason(data) == "a width of 0 in the header"


def test_a_progressive_arithmetic_coded_jpeg_that_fails_is_called_what_it_is() -> None:
    assert reason(of_kind(0xCA)).startswith("an arithmetic-coded JPEG: ")


def test_a_broken_quantization_table_is_named() -> None:
    table = struct.pack(">BBH", 0xFF, 0xDB, 12) + bytes(10)
    assert reason(PLAIN[:2] + table + PLAIN[2:]) == "a broken quantization table"


def test_a_scan_without_a_frame_is_named_even_beside_metadata() -> None:
    data = with_segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0")
    at = data.index(b"\xff\xc0")
    assert reason(data[:at] + data[at + 19 :]) == "no frame before the scan"


def test_a_frame_of_odd_length_is_not_blamed_on_a_sound_profile() -> None:
    data = with_segment(0xE2, b"ICC_PROFILE\0\1\1 sound")
    at = data.index(b"\xff\xc0")
    longer = data[: at + 2] + b"\0\x12" + data[at + 4 : at + 19] + b"\0" + data[at + 19 :]
    assert reason(longer) == "a frame header of odd length"


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "BMP", "WEBP"])
def test_another_format_with_a_broken_header_is_not_called_an_unknown_one(file_format) -> None:
    data = encoded(photo(2, 30, 20), file_format)
    assert "not one of" not in reason(data[:14])
