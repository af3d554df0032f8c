"""Scaling and cropping with Pillow, also where the scaled image itself would fill the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.geometry import CROP, RESIZE, crop_box, resized_size

if TYPE_CHECKING:
    from PIL import Image

WHOLE_LIMIT = 16_000_000
"""Scaled images with more pixels are never made as a whole: Pillow takes 4 bytes for each.

Only a strip 250 times as long as wide gets there; a 1x20000 one would take 5 GB."""

_FIXED_POINT = 22
"""Fraction bits of the weights with which Pillow scales 8-bit samples."""


def scale_and_crop(image: Image.Image) -> Image.Image:
    """Apply the pixel rule to an RGB image: 224x224, exactly Pillow's ``resize`` and ``crop``."""
    from PIL import Image

    width, height = resized_size(*image.size)
    # Where the shorter side shrinks, the scaled image is smaller than the decoded one.
    if width * height > WHOLE_LIMIT and min(image.size) < RESIZE:
        return scale_and_crop_strip(image)
    scaled = image.resize((width, height), Image.Resampling.BILINEAR)
    return scaled.crop(crop_box(*image.size))


def scale_and_crop_strip(image: Image.Image) -> Image.Image:
    """Do the same for an image that grows, making no more than the crop of its longer side.

    Pillow scales rows first and columns then, in 8 bits between the two. So does this: Pillow
    scales the shorter side, numpy the longer one.
    """
    from PIL import Image

    bilinear = Image.Resampling.BILINEAR
    left, top, right, bottom = crop_box(*image.size)
    width, height = resized_size(*image.size)
    if width > height:
        taps = _taps(image.width, width, left)
        begin, end = _span(taps)
        columns = np.asarray(image.crop((begin, 0, end, image.height))).swapaxes(0, 1)
        strip = Image.fromarray(_blend(columns, taps).swapaxes(0, 1).copy())
        return strip.resize((CROP, height), bilinear).crop((0, top, CROP, bottom))
    taps = _taps(image.height, height, top)
    begin, end = _span(taps)
    strip = image.crop((0, begin, image.width, end)).resize((width, end - begin), bilinear)
    return Image.fromarray(_blend(np.asarray(strip), taps)).crop((left, 0, right, CROP))


Taps = list[tuple[int, NDArray[np.int64]]]
"""For each row of the crop: the first row of the photo that it takes from, and the weights."""


def _taps(rows: int, scaled_rows: int, first: int) -> Taps:
    """Weights of Pillow's bilinear filter where an image grows, for 224 rows from ``first`` on.

    Sample centers lie at half-integers; the filter is a triangle two rows wide.
    """
    scale = rows / scaled_rows
    taps = []
    for k in range(first, first + CROP):
        center = (k + 0.5) * scale
        low, high = max(0, int(center - 0.5)), min(rows, int(center + 1.5))
        weights = np.array([max(0.0, 1 - abs(row + 0.5 - center)) for row in range(low, high)])
        fixed = weights / weights.sum() * (1 << _FIXED_POINT) + 0.5
        taps.append((low, fixed.astype(np.int64)))
    return taps


def _span(taps: Taps) -> tuple[int, int]:
    """First row that is used, and the one behind the last."""
    return taps[0][0], max(low + len(weights) for low, weights in taps)


def _blend(rows: NDArray[np.uint8], taps: Taps) -> NDArray[np.uint8]:
    """Weighted sums of ``(n, ...) uint8`` rows, of which row 0 is the first that is used."""
    begin = taps[0][0]
    made = np.empty((CROP, *rows.shape[1:]), np.uint8)
    for row, (low, weights) in zip(made, taps, strict=True):
        used = rows[low - begin : low - begin + len(weights)]
        total = np.tensordot(weights, used.astype(np.int64), axes=1)
        row[...] = (total + (1 << (_FIXED_POINT - 1))) >> _FIXED_POINT
    return made
