"""What a PNG of `benchmarks.charts` shows, read from its pixels."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
from PIL import Image

BARS = ((31, 119, 180), (127, 127, 127))
"""matplotlib's tab:blue and tab:gray."""
WIDE = 8
"""Pixels in a row of such a color that are a bar, and no letter."""


def bars_in(png: Path) -> list[int]:
    """Widths of the bars in pixels, from the top down; one of zero can't be seen."""
    with Image.open(png) as image:
        assert image.format == "PNG"
        pixels = np.asarray(image.convert("RGB"))
    colored = np.any([np.all(pixels == color, axis=-1) for color in BARS], axis=0)
    rows = [_width(row) for row in colored]
    groups = itertools.groupby(rows, key=bool)
    return [max(widths) for is_bar, widths in groups if is_bar]


def _width(row: np.ndarray) -> int:
    """The longest stretch of a row; its letters are shorter than a bar."""
    stretches = [len(list(run)) for colored, run in itertools.groupby(row) if colored]
    return max([length for length in stretches if length >= WIDE], default=0)


def margin_is_empty(png: Path, pixels: int = 2) -> bool:
    """Whether the picture's rim is white, as it is when nothing is cut off."""
    with Image.open(png) as image:
        seen = np.asarray(image.convert("RGB"))
    sides = (seen[:pixels], seen[-pixels:], seen[:, :pixels], seen[:, -pixels:])
    return all(bool(np.all(side == 255)) for side in sides)
