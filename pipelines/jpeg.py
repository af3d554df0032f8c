"""What a JPEG says of itself before a pixel is decoded, and which decoder gets it.

The fast pipelines see only JPEGs that every decoder understands alike; `route` names the others,
which are left to Pillow. Markers and their layout: ITU-T T.81, annex B, and for the Adobe marker
T.872, 6.5.3.

The checks end with the header and the end of the file. JPEG has no checksum: a flipped bit in the
compressed data gives another picture, as valid as the first, and no header tells.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL.JpegImagePlugin import jpeg_factory

from pipelines.base import WARN_PIXELS
from pipelines.quiet import quiet_pillow

SOI, EOI, SOS, APP0, APP14 = 0xD8, 0xD9, 0xDA, 0xE0, 0xEE
SEQUENTIAL = (0xC0, 0xC1)
"""Start of frame: baseline and extended sequential, both Huffman-coded."""
OTHER_FRAMES = {
    # ImageNet has none, and what libjpeg-turbo makes of one whose scans end early (its smoothing
    # of blocks) isn't the same in all of its versions.
    0xC2: "a progressive JPEG",
    **dict.fromkeys((0xC3, 0xC5, 0xC6, 0xC7, 0xDE), "a lossless or hierarchical JPEG"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF), "an arithmetic-coded JPEG"),
}
TABLES = frozenset({0xC4, 0xDB, 0xDD, 0xFE})
"""Huffman and quantization tables, the restart interval and comments: of these Pillow's parser
refuses only what libjpeg refuses too."""
APPLICATION = range(0xE0, 0xF0)
WITHOUT_LENGTH = frozenset({0x00, 0x01, SOI, EOI, *range(0xD0, 0xD8)})
"""Markers that no segment follows, and the stuffed zero: none belongs before the first scan."""
ADOBE_YCBCR = 1
JFIF_LENGTH = 9
"""Length that Pillow's parser needs in a JFIF segment: it reads the version and may miss the rest
(``APP`` in ``PIL/JpegImagePlugin.py``)."""
TRUNCATED = "a truncated JPEG"
NO_MARKER = "no marker where one must be"

COMMON_SAMPLING = (
    b"\x11\x11\x11",  # 4:4:4
    b"\x21\x11\x11",  # 4:2:2
    b"\x22\x11\x11",  # 4:2:0
)
"""Sampling factors that libjpeg-turbo and nvJPEG both interpolate in the same, smooth way."""
YCBCR_IDS = (b"\x01\x02\x03", b"\x00\x01\x02")
"""Component ids that no decoder takes for RGB."""

_AFTER_SCAN = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_ENDS_SCAN = np.array([_AFTER_SCAN.match(bytes((0xFF, byte))) is not None for byte in range(256)])
"""For each byte whether, after 0xFF, it is a marker that ends the compressed data before it."""


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """The frame of a JPEG that every decoder takes."""

    width: int
    height: int
    components: int
    """1 for gray, 3 for YCbCr."""
    scan: int = field(default=0, compare=False)
    """Offset of its only scan."""


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


def doubt(data: bytes) -> str | None:
    """What looks damaged about a file that Pillow nevertheless decodes; None as a rule.

    Pillow doesn't mind a missing end of the image if other bytes follow. So it decodes the file of
    a download that reserved its space and was cut short; the lower part is gray.
    """
    if data[:2] != b"\xff\xd8":
        return None
    try:
        scan = _first_scan(data)
        ends = scan is None or _ends(data, scan)
    except IndexError:
        ends = False
    return None if ends else "it has no end of image"


def _first_scan(data: bytes) -> int | None:
    """Offset of the first scan; None where something else than segments comes before."""
    at = 2
    while data[at] == 0xFF and data[at + 1] not in WITHOUT_LENGTH:
        if data[at + 1] == SOS:
            return at
        at += 1 if data[at + 1] == 0xFF else 2 + _length(data, at)
    return None


def _length(data: bytes, at: int) -> int:
    """Length of the segment at offset ``at``, its two bytes included."""
    return data[at + 2] << 8 | data[at + 3]


def _route(data: bytes) -> JpegHeader | str:
    """Walk the segments up to the scan; reading past the end raises `IndexError`."""
    frame = 0
    adobe = ADOBE_YCBCR
    known = True
    at = 2
    while True:
        if data[at] != 0xFF:
            return NO_MARKER
        marker = data[at + 1]
        if marker not in TABLES:  # as most are
            if marker == SOS:
                break
            if marker == 0xFF:
                at += 1
                continue
            if marker in SEQUENTIAL:
                if frame:
                    return "a JPEG of several frames"
                frame = at
            elif marker in APPLICATION:
                known = known and _is_plain_jfif(data, at)
                if marker == APP14 and data[at + 4 : at + 9] == b"Adobe":
                    adobe = data[at + 15]
            else:
                return _unusual(marker)
        length = data[at + 2] << 8 | data[at + 3]
        if length < 2:
            return "a segment without a length"
        at += 2 + length
    if not frame:
        return "a scan before its frame"
    header = _read_frame(data, frame, adobe, at)
    if isinstance(header, str):
        return header
    if data[at + 4] != header.components or _length(data, at) != 6 + 2 * header.components:
        return "a JPEG of several scans"
    if not _ends(data, at):
        return TRUNCATED
    # Pillow refuses a file for what its parser makes of these segments, libjpeg skips them.
    return header if known or _pillow_opens(data) else "a segment that Pillow refuses"


def _is_plain_jfif(data: bytes, at: int) -> bool:
    """Whether the application segment at offset ``at`` is one that Pillow is known to take."""
    is_jfif = data[at + 1] == APP0 and data[at + 4 : at + 8] == b"JFIF"
    return is_jfif and _length(data, at) >= JFIF_LENGTH


def _unusual(marker: int) -> str:
    if marker in OTHER_FRAMES:
        return OTHER_FRAMES[marker]
    return NO_MARKER if marker in WITHOUT_LENGTH else "a segment that is rare"


def _pillow_opens(data: bytes) -> bool:
    """Whether Pillow takes the header. If not, it says why when the file is left to it.

    Only the header is read, in 15 to 35 microseconds; by way of ``Image.open`` it would be 4 more.
    """
    try:
        with quiet_pillow():
            jpeg_factory(io.BytesIO(data))
    except Exception:
        return False
    return True


def _read_frame(data: bytes, at: int, adobe: int, scan: int) -> JpegHeader | str:
    """Judge the frame header at offset ``at`` of the scan at offset ``scan``."""
    if data[at + 4] != 8:
        return "not 8 bits a sample"
    height = data[at + 5] << 8 | data[at + 6]
    width = data[at + 7] << 8 | data[at + 8]
    components = data[at + 9]
    if not width or not height:
        return "no size in the header"
    if width * height > WARN_PIXELS:
        return "very many pixels"
    if _length(data, at) != 8 + 3 * components:
        return "a frame of odd length"
    if components == 1:
        return JpegHeader(width, height, 1, scan) if data[at + 11] == 0x11 else "unusual sampling"
    if components != 3:
        return "CMYK" if components == 4 else "neither gray nor YCbCr"
    if adobe != ADOBE_YCBCR or data[at + 10 : at + 19 : 3] not in YCBCR_IDS:
        return "neither gray nor YCbCr"
    if data[at + 11 : at + 20 : 3] not in COMMON_SAMPLING:
        return "unusual sampling"
    return JpegHeader(width, height, 3, scan)


def _ends(data: bytes, scan: int) -> bool:
    """Whether an end of image follows the scan that starts at offset ``scan``.

    An embedded thumbnail's end lies before the first scan and doesn't count. Bytes after the
    end of the image are common and harmless.
    """
    if data.endswith(b"\xff\xd9") and len(data) >= scan + 4 + _length(data, scan):
        return True
    at = scan
    while True:
        at += 2 + _length(data, at)
        found = _AFTER_SCAN.search(data, at)
        if not found:
            return False
        at = found.start()
        if data[at + 1] == EOI:
            return True


def has_stray_marker(data: bytes, scan: int | None = None) -> bool:
    """Whether the compressed data of a file that `route` let through is broken by a marker.

    There is a single scan, so all but restarts and the end of the image is astray. There libjpeg
    gives up and Pillow refuses the file, while DALI passes on what it has. The whole scan is read
    for it, so this isn't part of `route`: turbo gets a warning of libjpeg's.

    Parameters
    ----------
    data
        A whole file.
    scan
        `JpegHeader.scan`, if it is at hand.
    """
    try:
        scan = _first_scan(data) if scan is None else scan
        start = len(data) if scan is None else scan + 2 + _length(data, scan)
    except IndexError:
        return True
    content = np.frombuffer(data, np.uint8)[start:]
    return len(content) < 2 or _is_broken(content)


def _is_broken(content: NDArray[np.uint8]) -> bool:
    """Whether the first marker after compressed data isn't the end of the image."""
    # True at each 0xFF that no zero follows: the lesser of the one and of the next byte isn't 0.
    after_ff = (content[:-1] == 0xFF).view(np.uint8)
    marked = np.minimum(after_ff, content[1:]).view(bool)
    first = int(marked.argmax())
    if not _ENDS_SCAN[content[first + 1]]:  # a restart, a fill byte, or there is none at all
        places = np.flatnonzero(marked)
        ends = places[_ENDS_SCAN[content[places + 1]]]
        if not ends.size:
            return True
        first = int(ends[0])
    return bool(content[first] != 0xFF or content[first + 1] != EOI)
