"""How far each pipeline's images may lie from Pillow's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a pipeline promises, in steps of 255."""

    largest: int
    """Difference of any sample of any image."""
    mean: float
    """Mean difference over the samples of an image."""


EXACT = Bounds(0, 0.0)
"""Pillow is the reference, and turbo gives its very bytes."""

DALI_CPU = Bounds(1, 0.5)
"""Both decode with libjpeg-turbo. Pillow scales in fixed point and DALI in floating point, so only
the last rounding of a sample may differ, and for fewer than half of them."""

DALI_GPU = Bounds(6, 1.5)
"""Reasoned, not measured. nvJPEG's inverse transform may round Y, Cb and Cr by 1 otherwise than
libjpeg-turbo's, and its interpolation of chroma by 1 more. Blue is Y + 1.772 Cb, the colour that
amplifies most: 1 + 2 * 1.772, and half a step for its own rounding, is 5. Scaling takes weighted
means, which amplify nothing, and rounds once more: 6. For that all roundings must fall together;
on average more than one step would mean another rule somewhere."""


def bounds_of(name: str, device: str) -> Bounds:
    """Bounds of a pipeline.

    Examples
    --------
    >>> bounds_of("turbo", "cpu").largest
    0
    """
    if name != "dali":
        return EXACT
    return DALI_GPU if device == "gpu" else DALI_CPU
