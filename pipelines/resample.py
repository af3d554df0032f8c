"""Scaling and cropping with Pillow, also where the scaled image itself would fill the memory."""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.rule import Interpolation, PixelRule
from pipelines.taps import FRACTION_BITS, Taps, filter_taps, nearest_samples, samples_used

if TYPE_CHECKING:
    from PIL import Image

WHOLE_LIMIT = 16_000_000
"""Scaled images with more pixels are never made as a whole: Pillow takes 4 bytes for each.

By the default rule only a strip 250 times as long as wide gets there; a 1x20000 one would take 5
GB."""
ALONE_LIMIT = 4_000_000
"""Photos with more pixels are scaled by one call of Pillow's: copies of parts of them would take
memory, and Pillow warns of large ones."""


def only_for_pillow(width: int, height: int) -> str | None:
    """Why no other two passes, rows first, give Pillow's pixels of a photo; None if they do.

    From version 13 on, Pillow does the passes of tall photos in another order.
    """
    return "a tall photo" if height > 2 * width else None


def scale_and_crop(image: Image.Image, rule: PixelRule) -> Image.Image:
    """Apply a pixel rule to an RGB image: exactly Pillow's ``resize`` and ``crop``."""
    width, height = rule.resized_size(*image.size)
    # Where the shorter side shrinks, the scaled image is smaller than the decoded one.
    if width * height > WHOLE_LIMIT and min(image.size) < rule.resize:
        return scale_and_crop_strip(image, rule)
    return image.resize((width, height), _filter(rule)).crop(rule.crop_box(*image.size))


def scale_crop_alone(image: Image.Image, rule: PixelRule) -> NDArray[np.uint8]:
    """Do the same in less time: Pillow's passes one by one, each for what the crop needs of it.

    A call of Pillow's that changes one side alone is one pass. Between the two all columns beside
    the crop are cut off. Of an upright photo the rows that the crop doesn't need aren't scaled
    either; black ones are in their place then, so that all others are where they belong.
    """
    width, height = image.size
    scaled_width, scaled_height = rule.resized_size(width, height)
    if (
        width == height
        or only_for_pillow(width, height)
        or max(width * height, scaled_width * scaled_height) > ALONE_LIMIT
        or not has_two_passes(rule.interpolation)
    ):
        return np.asarray(scale_and_crop(image, rule))
    left, top, right, bottom = rule.crop_box(width, height)
    begin, end, kernel = 0, height, _filter(rule)
    if height > width:  # in other ones the crop needs most rows, and to cut them out takes time too
        begin, end = samples_used(height, scaled_height, top, rule.crop, rule.interpolation)
        image = image.crop((0, begin, width, end))
    rows = image.resize((scaled_width, end - begin), kernel)
    rows = rows.crop((left, -begin, right, height - begin))
    return np.asarray(rows.resize((rule.crop, scaled_height), kernel))[top:bottom]


@functools.cache
def has_two_passes(interpolation: Interpolation) -> bool:
    """Whether this Pillow scales rows first and columns then by a filter, as all so far do.

    It is tried out, on small pictures of noise: versions to come might do it otherwise.
    """
    from PIL import Image

    if interpolation == "nearest":
        return False
    kernel = Image.Resampling[interpolation.upper()]
    noise = hashlib.shake_128(b"noise").digest(3 * 36 * 24)
    for width, height in ((36, 24), (24, 36)):
        image, scaled = Image.frombytes("RGB", (width, height), noise), (width // 2, height // 2)
        in_two = image.resize((scaled[0], height), kernel).resize(scaled, kernel)
        if in_two.tobytes() != image.resize(scaled, kernel).tobytes():
            return False
    return True


def scale_and_crop_strip(image: Image.Image, rule: PixelRule) -> Image.Image:
    """Do the same for an image that grows, making no more than the crop of its longer side.

    Pillow scales rows first and columns then, in 8 bits between the two. So does this: Pillow
    scales the shorter side, numpy the longer one.
    """
    from PIL import Image

    if rule.interpolation == "nearest":
        return _picked(image, rule)
    left, top, right, bottom = rule.crop_box(*image.size)
    width, height = rule.resized_size(*image.size)
    if width > height:
        taps = filter_taps(image.width, width, left, rule.crop, rule.interpolation)
        columns = np.asarray(image.crop((taps.begin, 0, taps.end, image.height))).swapaxes(0, 1)
        strip = Image.fromarray(_blend(columns, taps).swapaxes(0, 1).copy())
        return strip.resize((rule.crop, height), _filter(rule)).crop((0, top, rule.crop, bottom))
    taps = filter_taps(image.height, height, top, rule.crop, rule.interpolation)
    part = image.crop((0, taps.begin, image.width, taps.end))
    rows = np.asarray(part.resize((width, part.height), _filter(rule)))
    return Image.fromarray(_blend(rows, taps)).crop((left, 0, right, rule.crop))


def _filter(rule: PixelRule) -> Image.Resampling:
    """Pillow's name for the rule's filter."""
    from PIL import Image

    return Image.Resampling[rule.interpolation.upper()]


def _picked(image: Image.Image, rule: PixelRule) -> Image.Image:
    """The crop of an image whose samples are picked, not blended."""
    from PIL import Image

    left, top, _, _ = rule.crop_box(*image.size)
    width, height = rule.resized_size(*image.size)
    columns = nearest_samples(image.width, width, left, rule.crop)
    rows = nearest_samples(image.height, height, top, rule.crop)
    box = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    part = np.asarray(image.crop(box))
    return Image.fromarray(part[rows[:, None] - rows[0], columns - columns[0]])


def _blend(rows: NDArray[np.uint8], taps: Taps) -> NDArray[np.uint8]:
    """Weighted means of ``(n, ...) uint8`` rows, of which row 0 is the first that any uses."""
    total = np.full((len(taps.starts), *rows.shape[1:]), 1 << (FRACTION_BITS - 1), np.int32)
    for k, weights in enumerate(taps.weights.T):
        used = np.minimum(taps.starts + k, taps.end - 1) - taps.begin
        total += rows[used] * weights[:, None, None]
    total >>= FRACTION_BITS
    return total.clip(0, 255, out=total).astype(np.uint8)
