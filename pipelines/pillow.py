"""The reference: Pillow decodes, scales and crops, bit by bit as torchvision would with it.

What is refused, and what can't be
----------------------------------
An image is refused, with its reason, if Pillow can't identify it, if it ends before its last row
(``ImageFile.LOAD_TRUNCATED_IMAGES`` stays off) or if it is too large (`pipelines.base.MAX_PIXELS`,
twice the size of which Pillow begins to warn).

A JPEG has no checksum. If bits of its compressed data are flipped, libjpeg goes on as well as it
can, with gray or wrong blocks from there on; it counts warnings, but Pillow hands no count on. Such
a photo is accepted, here as in every program that reads with Pillow. PNG's checksums are checked.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from pipelines.base import MAX_PIXELS, DecodeError
from pipelines.quiet import quiet_pillow
from pipelines.refusal import FORMATS, why_refused
from pipelines.resample import scale_and_crop
from pipelines.rule import DEFAULT, PixelRule

Scale = Callable[[Image.Image, PixelRule], Image.Image | NDArray[np.uint8]]

DECODING_ERRORS = (
    OSError,  # cut short, broken data, not identified
    SyntaxError,  # a header or a chunk that breaks its format's rules
    ValueError,  # a size, a mode or a text chunk out of bounds
    EOFError,  # a frame or a chunk missing
    IndexError,  # tables and palettes that end early
    KeyError,  # a colour type or a compression that doesn't exist
    TypeError,  # a field that is missing where one must be
    AssertionError,  # a palette or a transparency that contradicts its mode
    OverflowError,  # a length beyond what C can count
    struct.error,  # fields cut short
    zlib.error,  # a PNG's compressed data
    Image.DecompressionBombError,  # far over the pixel limit
)
"""What Pillow raises on a damaged file. `MemoryError` isn't among them: after the pixel limit it
speaks of the machine, not of the file."""


def decode(
    data: bytes, rule: PixelRule = DEFAULT, scale: Scale = scale_and_crop
) -> NDArray[np.uint8]:
    """Decode, scale and crop one image.

    Parameters
    ----------
    data : bytes
        A whole image file.
    rule : PixelRule
        Which pixels to make of it.
    scale : callable
        What scales and crops a decoded image: this, or what does the same in less time.

    Returns
    -------
    ndarray
        ``rule.shape uint8``, RGB; not writable.

    Raises
    ------
    DecodeError
        The file can't be decoded, with the reason in one line.
    """
    try:
        with quiet_pillow():
            image = _open_rgb(data)
    except DECODING_ERRORS as error:
        raise DecodeError(why_refused(data, error)) from error
    except Warning:
        # Meanwhile another thread has put a filter before ours that raises warnings.
        return decode(data, rule, scale)
    return np.asarray(scale(image, rule))


def _open_rgb(data: bytes) -> Image.Image:
    """Decode to RGB as ``Image.open(...).convert("RGB")``, refusing bombs from their header."""
    image: Image.Image = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = image.size
    if not width or not height:
        raise DecodeError("no size in the header")
    if width * height > MAX_PIXELS:
        raise DecodeError(f"{width}x{height} is more than {MAX_PIXELS:,} pixels")
    if image.mode != "RGB":
        return image.convert("RGB")
    image.load()
    return image


def versions() -> dict[str, str]:
    """Versions of the libraries that decide the pixels."""
    turbo = features.version("libjpeg_turbo")
    jpeg = {"libjpeg_turbo": turbo} if turbo else {"libjpeg": features.version("jpg") or "none"}
    return {"pillow": features.version("pil") or "unknown", **jpeg}
