"""How far the images of a pipeline may lie from Pillow's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.rule import INTERPOLATIONS, Interpolation


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
"""Bilinear. Both decode with libjpeg-turbo. Pillow scales in fixed point and DALI in floating
point, so only the last rounding of a sample may differ, and for fewer than half of them."""

DALI_CPU_IN_TWO_PASSES = Bounds(2, 0.5)
"""Bicubic and lanczos, whose weights are negative in part: DALI scales rows first and columns then,
with 8 bits between as Pillow has them. A sample of the first pass is off by 1 at most, where fixed
and floating point round it otherwise. The second pass adds up what its samples are off by, times
the weights: taken without their signs these come to 1.27 for bicubic and 1.55 for lanczos, at the
scale and the place where that is most. That is less than 2, with what the arithmetic itself is off
by, and two numbers less than 2 apart are at most 2 apart once rounded.

Measured: 2 at most. Of 4,432 pieces of real photographs in ImageNet's sizes and qualities, made to
72/64, 256/224, 288/256 and 32/24, and every eighth to 584/512, the mean difference is 0.003 on
average and 0.035 at most, and 1 sample in 2 million is 2 off. Of noise and of black and white
alone, up and down, the mean is 0.17 at most (a crop of 8 x 8), and 1 sample in 10,000 is 2 off.

In a single pass DALI keeps what overshoots beyond black and white, where Pillow clips. Then it
would be 31 off for bicubic and 55 for lanczos, as measured on hard edges; in theory that share of
255 that the negative weights come to, 0.13 and 0.28, and the rounding: 35 and 72."""

DALI_GPU = Bounds(6, 1.5)
"""Reasoned, not measured. nvJPEG's inverse transform may round Y, Cb and Cr by 1 otherwise than
libjpeg-turbo's, and its interpolation of chroma by 1 more. Blue is Y + 1.772 Cb, the colour that
amplifies most: 1 + 2 * 1.772, and half a step for its own rounding, is 5. Scaling takes weighted
means, which amplify nothing, and rounds once more: 6. For that all roundings must fall together;
on average more than one step would mean another rule somewhere."""

DALI_GPU_BICUBIC = Bounds(9, 1.5)
"""Reasoned from `DALI_GPU`, not measured: the decoder's 5, times 1.27, is 6.3 before it is rounded
and 7 then; times 1.27 once more, 8.9 and 9. The mean isn't amplified, since the squares of the
weights come to less than 1."""

DALI_GPU_LANCZOS = Bounds(13, 1.5)
"""As `DALI_GPU_BICUBIC`, with 1.55: 7.8 and 8 after the first pass, 12.4 and 13 in the end."""

BoundsByFilter = Mapping[Interpolation, Bounds]

EXACT_BY_ALL: BoundsByFilter = dict.fromkeys(INTERPOLATIONS, EXACT)
DALI_CPU_BY_FILTER: BoundsByFilter = {
    "bilinear": DALI_CPU,
    "bicubic": DALI_CPU_IN_TWO_PASSES,
    "lanczos": DALI_CPU_IN_TWO_PASSES,
}
"""DALI has no box filter, and its nearest picks other pixels than Pillow's where a sample lies near
the border of two: then a sample can be anything (255 off, measured on hard edges)."""
DALI_GPU_BY_FILTER: BoundsByFilter = {
    "bilinear": DALI_GPU,
    "bicubic": DALI_GPU_BICUBIC,
    "lanczos": DALI_GPU_LANCZOS,
}
