"""How far the images of a pipeline may lie from Pillow's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a pipeline promises, in steps of 255."""

    largest: int
    """Difference of any sample of any image."""
    mean: float
    """Mean difference over the samples of an image."""

    def judge(self, difference: tuple[int, float]) -> str:
        """Say what is wrong with an image; empty if nothing is.

        Parameters
        ----------
        difference : tuple of int and float
            Largest and mean difference of its samples from Pillow's.

        Examples
        --------
        >>> Bounds(1, 0.5).judge((1, 0.25))
        ''
        >>> Bounds(1, 0.5).judge((3, 0.25)), Bounds(1, 0.5).judge((1, 0.75))
        ('up to 3 of 255, 1 allowed', '0.75 of 255 on average, 0.5 allowed')
        """
        largest, mean = difference
        if largest > self.largest:
            return f"up to {largest} of 255, {self.largest} allowed"
        if mean > self.mean:
            return f"{mean:.2f} of 255 on average, {self.mean} allowed"
        return ""


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
