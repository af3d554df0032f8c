"""How much of the page an image may take.

A page is mailed and put on a shared disk, so it has a size that doesn't depend on the photos: each
image has its share of `PAGE_BUDGET`. With few images these are as large as those of the file; with
many they are smaller, and a photo that is hard to compress loses quality rather than room.
"""

from __future__ import annotations

from dataclasses import dataclass

PAGE_BUDGET = 12_000_000
"""Bytes of all images of a page as they are in it, in base64."""
_SIDES = (224, 192, 160, 144, 128, 112, 96, 80, 64)
# Of a JPEG at a quality of some 70: tables and headers, and what the pixels of a photo take.
_HEADER_BYTES, _BYTES_PER_PIXEL = 400, 0.2


@dataclass(frozen=True, slots=True)
class Encoding:
    """What an image may take on the page."""

    side: int
    """Pixels of its longer side, at most."""
    nbytes: int
    """Bytes of its JPEG; one that takes more at the lowest quality stays as it is."""


def encoding_for(n_images: int) -> Encoding:
    """Encoding with which so many images keep to the page's budget.

    Examples
    --------
    >>> encoding_for(100).side, encoding_for(1600).side, encoding_for(4000).side
    (224, 160, 96)
    """
    nbytes = PAGE_BUDGET * 3 // 4 // max(n_images, 1)
    pixels = (nbytes - _HEADER_BYTES) / _BYTES_PER_PIXEL
    side = next((side for side in _SIDES if side * side <= pixels), _SIDES[-1])
    return Encoding(side, nbytes)
