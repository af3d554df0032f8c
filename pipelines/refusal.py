"""Why Pillow refuses a file, in plain words.

Pillow gives one error, "cannot identify image file", for whatever its readers say of a header. The
header is read once more here, to name what it was.
"""

from __future__ import annotations

import io

from PIL import Image, UnidentifiedImageError

from pipelines.base import one_line
from pipelines.jpeg import APPLICATION, OTHER_FRAMES, SEQUENTIAL, SOS, WITHOUT_LENGTH
from pipelines.quiet import quiet_pillow

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
"""What a file named ``.JPEG`` may hold. No other reader of Pillow's runs on files from anywhere:
some start programs, such as Ghostscript. Of several frames the first is taken."""
MAGIC = {b"\x89PNG\r\n\x1a\n": "PNG", b"GIF87a": "GIF", b"GIF89a": "GIF", b"BM": "BMP"}
FRAMES = frozenset(SEQUENTIAL) | OTHER_FRAMES.keys()
PROGRESSIVE = 0xC2
"""Odd for the fast pipelines only: with Pillow it is no reason for anything."""
LAYERS = (1, 3, 4)
"""Components that Pillow takes: gray, colour and CMYK."""


def why_refused(data: bytes, error: Exception) -> str:
    r"""Say in one line why a file was refused.

    Parameters
    ----------
    data : bytes
        The whole file.
    error : Exception
        What Pillow raised.

    Examples
    --------
    >>> why_refused(b"\x89PNG\r\n\x1a\n", UnidentifiedImageError())
    'a PNG whose header is broken'
    """
    if not data:
        return "empty file"
    if data[:2] == b"\xff\xd8" and (reason := _of_jpeg(data, error)):
        return reason
    if not isinstance(error, UnidentifiedImageError):
        return one_line(error)
    for magic, name in MAGIC.items():
        if data.startswith(magic):
            return f"a {name} whose header is broken"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "a WebP whose header is broken"
    return f"not one of {', '.join(FORMATS)}"


def _of_jpeg(data: bytes, error: Exception) -> str | None:
    """What is wrong with the header of a JPEG, or odd about it where Pillow's words say little."""
    if isinstance(error, Image.DecompressionBombError):
        return None
    stopped, seen = _stopped_at(data), set[str]()
    for marker, at, end in _segments(data):
        if end > len(data):
            break
        content = data[at + 4 : end]
        seen.add("frame" if marker in FRAMES else _named(marker, content))
        if marker in FRAMES and (reason := _of_frame(content)):
            return reason
        if marker in OTHER_FRAMES and marker != PROGRESSIVE and stopped is None:
            return f"{OTHER_FRAMES[marker]}: {one_line(error)}"
        if end == stopped and (reason := _at_segment(marker, seen, _named(marker, content))):
            return reason
        if marker == SOS:
            unknown = isinstance(error, UnidentifiedImageError)
            return "a JPEG whose header is broken" if unknown else None
    return "it ends before its first scan"


def _of_frame(content: bytes) -> str | None:
    """What Pillow and libjpeg have against a frame header."""
    if len(content) < 6:
        return "a frame header cut short"
    if content[0] != 8:
        return f"{content[0]} bits a sample, of which Pillow decodes 8 only"
    if content[5] not in LAYERS:
        return f"{content[5]} components a pixel, of which Pillow decodes 1, 3 and 4 only"
    if not any(content[1:3]):
        return "a height of 0 in the header"
    if not any(content[3:5]):
        return "a width of 0 in the header"
    return "a frame header of odd length" if (len(content) - 6) % 3 else None


def _at_segment(marker: int, seen: set[str], name: str) -> str | None:
    """What is broken where Pillow's parser stopped right after a segment, if that tells."""
    if marker in APPLICATION:
        return f"a broken segment: {name}"
    if marker == 0xDB:
        return "a broken quantization table"
    if marker == SOS and "frame" not in seen:
        return "no frame before the scan"
    # These are only gathered, and read at the frame or once the scan is reached.
    late = {"APP2 (MPF)", "APP1 (Exif)"} if marker == SOS else {"APP2 (ICC_PROFILE)"}
    gathered = sorted(seen & late)
    return f"a broken segment: {' or '.join(gathered)}" if gathered else None


def _named(marker: int, content: bytes) -> str:
    """An application segment as people know it, such as ``APP13 (Photoshop 3.0)``."""
    name = content[:28].split(b"\0")[0]
    known = f" ({name.decode('ascii')})" if name.isascii() and name else ""
    return f"APP{marker & 15}{known}" if known.isprintable() else f"APP{marker & 15}"


def _stopped_at(data: bytes) -> int | None:
    """Where Pillow's parser gave up; None if it takes the header."""
    file = io.BytesIO(data)
    try:
        with quiet_pillow():
            Image.open(file, formats=("JPEG",))
    except Exception:
        return file.tell()
    return None


def _segments(data: bytes) -> list[tuple[int, int, int]]:
    """``(marker, start, end)`` of the segments up to the first scan, as Pillow's parser goes."""
    found, at = [], 2
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] in WITHOUT_LENGTH or data[at + 1] == 0xFF:
            at += 1
            continue
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((marker, at, at + max(4, 2 + length)))
        if marker == SOS:
            break
        at = found[-1][2]
    return found
