"""Pillow's filters as fixed-point weights: which samples make up each scaled one.

Pillow's resize of 8-bit images is separable: rows first, then columns, rounded and clipped to 8
bits between the two. A scaled sample is a weighted mean of its neighbours, the weights a curve as
wide as the filter's support: in scaled samples where the image shrinks and in source samples where
it grows. The weights are computed in double precision, normalised, and rounded to 22 fractional
bits (``precompute_coeffs`` and ``normalize_coeffs_8bpc`` in Pillow's ``Resample.c``). Each step
here is the same operation on the same doubles in the same order, so that the weights are the same
integers.

``nearest`` is no such filter: each scaled sample is one source sample, see `nearest_samples`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.rule import DEFAULT, Interpolation

FRACTION_BITS = 22
_CHUNK = 1 << 20
"""Samples whose places are summed up at a time: a strip may have 130 million."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Taps:
    """For each of ``n`` scaled samples, a run of source samples and their weights."""

    starts: NDArray[np.int32]
    """``(n,)``: the first source sample of each."""
    weights: NDArray[np.int32]
    """``(n, taps)``, in units of ``2 ** -FRACTION_BITS``; shorter runs end in zeros."""
    begin: int
    """First source sample that any uses."""
    end: int
    """One past the last source sample that any uses."""


def _box(x: Doubles) -> Doubles:
    return np.where((x > -0.5) & (x <= 0.5), 1.0, 0.0)


def _bilinear(x: Doubles) -> Doubles:
    return np.maximum(1.0 - np.abs(x), 0.0)


def _bicubic(x: Doubles) -> Doubles:
    x, a = np.abs(x), -0.5
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _lanczos(x: Doubles) -> Doubles:
    return np.where((x >= -3.0) & (x < 3.0), _sinc(x) * _sinc(x / 3), 0.0)


def _sinc(x: Doubles) -> Doubles:
    # Of the C library, as Pillow's: numpy has a sine of its own.
    x = x * math.pi
    sine = np.fromiter(map(math.sin, x.flat), np.float64, x.size).reshape(x.shape)
    return np.divide(sine, x, out=np.ones_like(x), where=x != 0.0)


_CURVES: dict[Interpolation, tuple[Callable[[Doubles], Doubles], float]] = {
    "box": (_box, 0.5),
    "bilinear": (_bilinear, 1.0),
    "bicubic": (_bicubic, 2.0),
    "lanczos": (_lanczos, 3.0),
}
"""Weight by distance, and how far the filter reaches to either side."""


def filter_taps(
    length: int,
    scaled: int,
    first: int,
    count: int,
    interpolation: Interpolation = DEFAULT.interpolation,
    *,
    group: int = 1,
) -> Taps:
    """Weights of ``count`` scaled samples from ``first`` on, where ``length`` become ``scaled``.

    Parameters
    ----------
    interpolation
        Any but ``nearest``.
    group
        The number of taps is a multiple of this.

    Examples
    --------
    >>> taps = filter_taps(4, 2, 0, 2)
    >>> taps.starts.tolist(), (taps.weights / 2**22).round(3).tolist()
    ([0, 1], [[0.429, 0.429, 0.143], [0.143, 0.429, 0.429]])
    """
    curve, reach = _CURVES[interpolation]
    scale = length / scaled
    stretch = max(scale, 1.0)
    support = reach * stretch
    center = (np.arange(first, first + count) + 0.5) * scale
    starts = np.maximum((center - support + 0.5).astype(np.int64), 0)
    ends = np.minimum((center + support + 0.5).astype(np.int64), length)
    most = int((ends - starts).max())
    sample = starts[:, None] + np.arange(-(-most // group) * group)
    weights = curve((sample - center[:, None] + 0.5) * (1.0 / stretch))
    weights = np.where(sample < ends[:, None], weights, 0.0)
    total = np.zeros(count)
    for column in weights.T:  # one after the other: another order rounds otherwise
        total += column
    weights = weights / total[:, None] * (1 << FRACTION_BITS)
    fixed = (np.copysign(0.5, weights) + weights).astype(np.int32)
    return Taps(starts.astype(np.int32), fixed, int(starts[0]), int(ends.max()))


def samples_used(
    length: int, scaled: int, first: int, count: int, interpolation: Interpolation
) -> tuple[int, int]:
    """First sample, and one past the last, that `filter_taps` would use: it takes a microsecond.

    Examples
    --------
    >>> samples_used(500, 341, 58, 224, "bilinear")
    (84, 414)
    """
    scale = length / scaled
    support = _CURVES[interpolation][1] * max(scale, 1.0)
    begin = int((first + 0.5) * scale - support + 0.5)
    end = int((first + count - 1 + 0.5) * scale + support + 0.5)
    return max(begin, 0), min(end, length)


def nearest_samples(length: int, scaled: int, first: int, count: int) -> NDArray[np.intp]:
    """Source samples that ``count`` scaled ones from ``first`` on are, where ``length`` grow.

    Pillow adds up the places from the first sample on (``ImagingScaleAffine`` in its
    ``Geometry.c``), so what the sums are off by belongs to the rule. The crop lies too far from the
    end of what grows for a sum to leave the photo.

    Examples
    --------
    >>> nearest_samples(3, 8, 1, 6).tolist()
    [0, 0, 1, 1, 2, 2]
    """
    step = length / scaled
    place = step * 0.5
    for begin in range(0, first, _CHUNK):
        place = _sums(place, step, min(_CHUNK, first - begin) + 1)[-1]
    return _sums(place, step, count).astype(np.intp)


def _sums(start: float, step: float, count: int) -> Doubles:
    """``start``, and ``step`` added again and again, each sum rounded."""
    terms = np.full(count, step)
    terms[0] = start
    return np.add.accumulate(terms)
