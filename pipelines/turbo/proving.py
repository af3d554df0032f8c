"""Does simplejpeg decode as Pillow does here? Each brings a libjpeg-turbo, of its own version."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import simplejpeg
from PIL import Image, JpegImagePlugin

from pipelines.packages import wheel_version

SIZE = 90, 70
"""Width and height of the image that is tried."""


def image_to_try() -> Image.Image:
    """Smooth noise, which shows any difference."""
    noise = hashlib.shake_128(b"turbo").digest(27 * 19 * 3)
    return Image.frombytes("RGB", (27, 19), noise).resize(SIZE, Image.Resampling.BICUBIC)


def prove_decoder() -> None:
    """Compare with Pillow on a small photo of each sampling.

    Raises
    ------
    RuntimeError
        The pixels are others.
    """
    pixels = np.asarray(image_to_try())
    for sampling in ("444", "422", "420"):
        data = simplejpeg.encode_jpeg(pixels, quality=80, colorsubsampling=sampling)
        decoded = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
        if simplejpeg.decode_jpeg(data, "RGB").tobytes() != decoded.tobytes():
            raise RuntimeError(
                f"simplejpeg {wheel_version('simplejpeg')} decodes {':'.join(sampling)} otherwise "
                "than Pillow here"
            )
