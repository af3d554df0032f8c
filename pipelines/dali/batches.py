"""Photos on their way through DALI: what it is fed of each, in which batches, and what comes out.

Nothing here touches DALI.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.base import Batch, DecodeError, Key
from pipelines.dali.graph import IN_TWO_PASSES, Region
from pipelines.jpeg import doubt, has_stray_marker, route
from pipelines.pillow import decode
from pipelines.resample import only_for_pillow
from pipelines.rule import Interpolation, PixelRule

REACH: dict[Interpolation, int] = {"bilinear": 1, "bicubic": 2, "lanczos": 3}
"""How far each filter reaches from a sample, to either side: in scaled pixels where the photo
shrinks, in its own where it grows."""


@dataclass(slots=True)
class Tally:
    """What became of the images that were for DALI in one batch, however it was taken apart."""

    left: int
    """Images that are still to be decoded."""
    accepted: bool = False
    """Whether DALI decoded any."""
    by_pillow: int = 0
    """Images that DALI refused and Pillow decoded."""


@dataclass(slots=True)
class Image(Generic[Key]):
    """A photo, and who decodes it."""

    key: Key
    data: bytes
    roi: Region | None
    """For DALI; None leaves the image to Pillow."""
    reason: str
    """Why it is left to Pillow."""
    pixels: int = 0
    """Of the whole photo, where it is for DALI."""
    tally: Tally | None = None
    """What became of the batch in which it was first launched; None if it never was."""
    failed: bool = False
    """Whether Pillow can't decode it either."""


class Limits(Protocol):
    """How large a batch may be; it may change between two batches."""

    @property
    def batch_size(self) -> int:
        """Images."""
        ...

    @property
    def batch_pixels(self) -> int:
        """Pixels before scaling, unless a single photo has more."""
        ...


def routed(key: Key, data: bytes, rule: PixelRule) -> Image[Key]:
    """Say who decodes a photo, and which region of it the crop shows."""
    header = route(data)
    if isinstance(header, str):
        return Image(key, data, None, header)
    if has_stray_marker(data, header.scan):
        return Image(key, data, None, "a marker amid the compressed data")
    width, height = header.width, header.height
    if rule.interpolation in IN_TWO_PASSES and (reason := only_for_pillow(width, height)):
        return Image(key, data, None, reason)
    if needs_more_than_there_is(rule, width, height):
        return Image(key, data, None, "a crop up to the photo's edge")
    return Image(key, data, rule.crop_roi(width, height), "", width * height)


@functools.lru_cache(maxsize=1024)
def needs_more_than_there_is(rule: PixelRule, width: int, height: int) -> bool:
    """Whether the filter reaches beyond the photo's edge from a sample of the crop.

    There DALI repeats the last pixel, and Pillow goes without and gives its weight to all others in
    proportion.

    Examples
    --------
    >>> [needs_more_than_there_is(PixelRule(72, crop), 500, 375) for crop in (70, 71)]
    [False, True]
    >>> [needs_more_than_there_is(PixelRule(72, crop, "lanczos"), 500, 375) for crop in (66, 67)]
    [False, True]
    """
    left, top, right, bottom = rule.crop_box(width, height)
    scaled_width, scaled_height = rule.resized_size(width, height)
    reach = REACH[rule.interpolation]
    return _reaches_out(width, scaled_width, left, right, reach) or _reaches_out(
        height, scaled_height, top, bottom, reach
    )


def _reaches_out(length: int, scaled: int, first: int, end: int, reach: int) -> bool:
    """Whether a filter reaches out of a photo's rows or columns from the crop's, ``first`` on.

    In the photo's pixels, a sample of the crop lies in the middle of its ``step``, and the centres
    of the first pixels that the photo hasn't are at -0.5 and ``length + 0.5``.
    """
    step = length / scaled
    if reach == 1 and step <= 1:
        return False  # all that is beyond is the last pixel's weight, and Pillow gives it that too
    support = reach * max(step, 1.0)
    return (first + 0.5) * step - support < -0.5 or (end - 0.5) * step + support > length + 0.5


def divided(images: Iterator[Image[Key]], limits: Limits) -> Iterator[list[Image[Key]]]:
    """Divide images into batches, each as soon as it is full."""
    batch: list[Image[Key]] = []
    pixels = 0
    for image in images:
        if batch and pixels + image.pixels > limits.batch_pixels:
            yield _tallied(batch)
            batch, pixels = [], 0
        batch.append(image)
        pixels += image.pixels
        if len(batch) >= limits.batch_size:
            yield _tallied(batch)
            batch, pixels = [], 0
    if batch:
        yield _tallied(batch)


def _tallied(batch: list[Image[Key]]) -> list[Image[Key]]:
    for_dali = [image for image in batch if image.roi is not None]
    tally = Tally(len(for_dali))
    for image in for_dali:
        image.tally = tally
    return batch


def parts(images: list[Image[Key]], size: int) -> list[list[Image[Key]]]:
    """Cut a batch into pieces of ``size`` images."""
    return [images[i : i + size] for i in range(0, len(images), size)]


def delivered(
    images: list[Image[Key]], pixels: NDArray[np.uint8] | None, rule: PixelRule
) -> Batch[Key]:
    """Put DALI's pixels and Pillow's together, in the order in which the images were fed.

    Parameters
    ----------
    pixels
        DALI's, of the images that were for it; None if none was.
    """
    if pixels is not None and all(image.roi is not None for image in images):
        return Batch([image.key for image in images], pixels)
    rows = iter(() if pixels is None else pixels)
    batch = Batch[Key]([], np.empty((len(images), *rule.shape), np.uint8))
    for image in images:
        try:
            row = next(rows) if image.roi is not None else decode(image.data, rule)
        except DecodeError as error:
            image.failed = True
            batch.failures.append((image.key, str(error)))
        else:
            batch.images[len(batch.keys)] = row
            batch.keys.append(image.key)
            if image.roi is None and (what := doubt(image.data)):
                batch.doubts.append((image.key, what))
        if image.roi is None:
            batch.fallbacks.append((image.key, image.reason))
    batch.images = batch.images[: len(batch.keys)]
    return batch
