"""What a JPEG says of itself before a pixel is decoded, and which decoder is to get it.

The fast pipelines see only JPEGs that every decoder understands alike; `route` names the others,
which are left to Pillow. Markers and their layout: ITU-T T.81, annex B, and for the Adobe marker
T.872, 6.5.3.

The checks end with the header and the end of the file. JPEG has no checksum: a flipped bit in the
compressed data gives another picture, as valid as the first, and no header tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from pipelines.base import MAX_PIXELS

SOI, EOI, SOS, APP14 = 0xD8, 0xD9, 0xDA, 0xEE
HUFFMAN_FRAMES = (0xC0, 0xC1, 0xC2)
"""Start of frame: baseline, extended sequential, progressive."""
OTHER_FRAMES = {
    **dict.fromkeys((0xC3, 0xC5, 0xC6, 0xC7), "a lossless or hierarchical JPEG"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF), "an arithmetic-coded JPEG"),
}
WITHOUT_LENGTH = frozenset({0x00, 0x01, SOI, EOI, *range(0xD0, 0xD8)})
"""Markers that no segment follows, and the stuffed zero: none belongs before the first scan."""
ADOBE_YCBCR = 1
TRUNCATED = "a truncated JPEG"

COMMON_SAMPLING = (
    b"\x11\x11\x11",  # 4:4:4
    b"\x21\x11\x11",  # 4:2:2
    b"\x22\x11\x11",  # 4:2:0
)
"""Sampling factors that libjpeg-turbo and nvJPEG both interpolate in the same, smooth way."""
YCBCR_IDS = (b"\x01\x02\x03", b"\x00\x01\x02")
"""Component ids of which no decoder thinks that they mean RGB."""

BETWEEN_SCANS = frozenset({0xC4, SOS, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE})
"""Tables, the next scan, the number of lines, application data and comments."""

_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_ENDS_SCAN = np.array([_AFTER_SCAN.match(bytes((0xFF, byte))) is not None for byte in range(256)])
"""For each byte whether it is a marker, behind 0xFF, that ends the compressed data before it."""


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """The frame of a JPEG that every decoder takes."""

    width: int
    height: int
    components: int
    """1 for gray, 3 for YCbCr."""


def route(data: bytes) -> JpegHeader | str:
    r"""Read the header, or say in a few words why the file is one for Pillow.

    Parameters
    ----------
    data : bytes
        A whole file, whatever it holds; nothing makes this function raise.

    Returns
    -------
    JpegHeader or str
        The header of a complete 8-bit Huffman-coded JPEG, gray or YCbCr, in one of the common
        samplings; else the reason, which fits after "left to Pillow:".

    Examples
    --------
    >>> route(b"\x89PNG\r\n\x1a\n")
    'not a JPEG'
    """
    if data[:2] != b"\xff\xd8":
        return "not a JPEG"
    try:
        return _route(data)
    except IndexError:
        return TRUNCATED


def doubt(data: bytes, reason: str | None = None) -> str | None:
    """What looks damaged about a file that Pillow nevertheless decodes; None as a rule.

    Pillow doesn't mind when bytes follow where the end of the image is missing: what a download
    that reserved its room and was cut short leaves behind is decoded, its lower part gray.

    Parameters
    ----------
    data : bytes
        A whole file.
    reason : str, optional
        What `route` says of it, if that is known.
    """
    found = reason or route(data)
    return "it has no end of image" if found == TRUNCATED else None


def _route(data: bytes) -> JpegHeader | str:
    """Walk the segments up to the first scan; reading past the end raises `IndexError`."""
    frame = 0
    adobe = ADOBE_YCBCR
    at = 2
    while True:
        if data[at] != 0xFF:
            return "no marker where one must be"
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == SOS:
            break
        if marker in HUFFMAN_FRAMES:
            if frame:
                return "a JPEG of several frames"
            frame = at
        elif marker == APP14:
            if data[at + 4 : at + 9] == b"Adobe":
                adobe = data[at + 15]
        elif marker in OTHER_FRAMES:
            return OTHER_FRAMES[marker]
        elif marker in WITHOUT_LENGTH:
            return "no marker where one must be"
        at += 2 + (data[at + 2] << 8 | data[at + 3])
    if not frame:
        return "a scan before its frame"
    header = _read_frame(data, frame, adobe)
    if isinstance(header, JpegHeader) and not _ends(data, at):
        return TRUNCATED
    return header


def _read_frame(data: bytes, at: int, adobe: int) -> JpegHeader | str:
    """Judge the frame header at offset ``at``."""
    height = data[at + 5] << 8 | data[at + 6]
    width = data[at + 7] << 8 | data[at + 8]
    components = data[at + 9]
    if data[at + 4] != 8:
        return "not 8 bits a sample"
    if not width or not height:
        return "no size in the header"
    if width * height > MAX_PIXELS:
        return "very many pixels"
    if components == 1:
        return JpegHeader(width, height, 1) if data[at + 11] == 0x11 else "unusual sampling"
    if components != 3:
        return "CMYK" if components == 4 else "neither gray nor YCbCr"
    if adobe != ADOBE_YCBCR or data[at + 10 : at + 19 : 3] not in YCBCR_IDS:
        return "neither gray nor YCbCr"
    if data[at + 11 : at + 20 : 3] not in COMMON_SAMPLING:
        return "unusual sampling"
    return JpegHeader(width, height, 3)


def _ends(data: bytes, scan: int) -> bool:
    """Whether an end of image follows the scan that starts at offset ``scan``.

    An embedded thumbnail's end lies before the first scan and doesn't count. Bytes behind the
    end of the image are common and harmless.
    """
    if data.endswith(b"\xff\xd9") and len(data) > scan + 3:
        return True
    at = scan
    while True:
        at += 2 + (data[at + 2] << 8 | data[at + 3])
        found = _AFTER_SCAN.search(data, at)
        if not found:
            return False
        at = found.start()
        if data[at + 1] == EOI:
            return True


def has_stray_marker(data: bytes) -> bool:
    """Whether the compressed data of a file that `route` let through is broken by a marker.

    There libjpeg gives up and Pillow refuses the file, while DALI passes on what it has. The whole
    file is read for it, so this isn't part of `route`: turbo hears of it from libjpeg.
    """
    content = np.frombuffer(data, np.uint8)
    places = np.flatnonzero(content[:-1] == 0xFF)
    markers = places[_ENDS_SCAN[content[places + 1]]]
    at, in_scan = 2, False
    for place in markers.tolist():
        if place < at:
            continue  # within a segment
        at = place
        marker = data[at + 1]
        if marker == EOI:
            return False
        if in_scan and marker not in BETWEEN_SCANS:
            return True
        in_scan = in_scan or marker == SOS
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return True
