"""Pillow's bilinear filter as fixed-point weights: which samples make up each scaled one.

Pillow's resize of 8-bit images is separable: rows first, then columns, rounded to 8 bits between
the two. A scaled sample is a weighted mean of its neighbours, with a triangle for the weights that
is two scaled samples wide where the image shrinks and two source samples wide where it grows. The
weights are computed in double precision, normalised, and rounded to 22 fractional bits
(``precompute_coeffs`` and ``normalize_coeffs_8bpc`` in Pillow's ``Resample.c``). Each step here is
the same operation on the same doubles in the same order, so that the weights are the same integers.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRACTION_BITS = 22


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


@functools.lru_cache(maxsize=1024)
def bilinear_taps(length: int, scaled: int, first: int, count: int, group: int = 1) -> Taps:
    """Weights of ``count`` scaled samples from ``first`` on, where ``length`` become ``scaled``.

    Parameters
    ----------
    group
        The number of taps is a multiple of this.

    Examples
    --------
    >>> taps = bilinear_taps(4, 2, 0, 2)
    >>> taps.starts.tolist(), (taps.weights / 2**22).round(3).tolist()
    ([0, 1], [[0.429, 0.429, 0.143], [0.143, 0.429, 0.429]])
    """
    scale = length / scaled
    support = max(scale, 1.0)
    center = (np.arange(first, first + count) + 0.5) * scale
    starts = np.maximum((center - support + 0.5).astype(np.int64), 0)
    ends = np.minimum((center + support + 0.5).astype(np.int64), length)
    most = int((ends - starts).max())
    sample = starts[:, None] + np.arange(-(-most // group) * group)
    distance = np.abs((sample - center[:, None] + 0.5) * (1.0 / support))
    weights = np.where((distance < 1.0) & (sample < ends[:, None]), 1.0 - distance, 0.0)
    total = np.zeros(count)
    for column in weights.T:  # one after the other: another order rounds otherwise
        total += column
    fixed = 0.5 + weights / total[:, None] * (1 << FRACTION_BITS)
    return Taps(starts.astype(np.int32), fixed.astype(np.int32), int(starts[0]), int(ends.max()))
