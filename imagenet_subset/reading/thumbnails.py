"""Small pictures of images: for the contact sheet, the web page and notebooks."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

# About 3 KB for 112 pixels, so that a page of 100 classes of 8 stays at some 4 MB.
_JPEG_QUALITY = 70


def thumbnail(image: NDArray[np.uint8], size: int) -> Image.Image:
    """``(H, W, 3) uint8`` image, scaled to ``size`` pixels on its longer side."""
    from PIL import Image  # which to open a file takes none of

    made = Image.fromarray(image)
    longer = max(made.size)
    width, height = (max(1, round(side * size / longer)) for side in made.size)
    return made.resize((width, height), Image.Resampling.LANCZOS)


def data_uri(image: Image.Image) -> str:
    """Image as a JPEG inside a URI, for the ``src`` of an HTML page."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
