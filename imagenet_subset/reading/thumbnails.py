"""Small pictures of images: for the contact sheet, the web page and notebooks."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

# From fine to coarse; below 30 faces and fur are blocks.
_QUALITIES = (88, 80, 70, 62, 54, 46, 38, 30)
_USUAL_QUALITY = 70
SMOOTH = 2
"""An image enlarged so many times still looks smooth."""


def thumbnail(image: NDArray[np.uint8], size: int) -> Image.Image:
    """``(H, W, 3) uint8`` image, scaled to ``size`` pixels on its longer side.

    One that gets more than `SMOOTH` times larger shows its pixels: a blur would look like a photo
    of more pixels, out of focus.
    """
    from PIL import Image  # which to open a file takes none of

    made = Image.fromarray(image)
    longer = max(made.size)
    if longer == size:
        return made
    width, height = (max(1, round(side * size / longer)) for side in made.size)
    coarse = size > SMOOTH * longer
    return made.resize(
        (width, height), Image.Resampling.NEAREST if coarse else Image.Resampling.LANCZOS
    )


def data_uri(image: Image.Image, most: int | None = None) -> str:
    """Image as a JPEG inside a URI, for the ``src`` of an HTML page.

    Parameters
    ----------
    image
        What to encode.
    most
        Bytes of the JPEG: it is the best one that keeps to them, or the coarsest. None for one of
        the usual quality.
    """
    for quality in (_USUAL_QUALITY,) if most is None else _QUALITIES:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality, optimize=most is not None)
        if most is None or file.tell() <= most:
            break
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
