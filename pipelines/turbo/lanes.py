"""How the kernel takes its weights, and the parts of the arithmetic that its machine code shares.

The first pass takes four pixels of a photo's row at a time, for two columns of the crop. Channels
are put in pairs of neighbouring pixels, since CPUs multiply pairs of 16-bit numbers and add the two
products in one instruction::

    in memory    R0 G0 B0 R1 G1 B1 R2 G2 B2 R3 G3 B3
    in pairs     R0 R1 G0 G1 B0 B1 .. ..     and     R2 R3 G2 G3 B2 B3 .. ..

Weights have 22 bits, too many for that, so each is split: ``weight = high * 2 ** 11 + low``. The
two sums are put together in 32 bits, exactly.

A group is loaded as 16 bytes, 4 more than it has.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GROUP = 4
"""Pixels at a time."""
COLUMNS = 2
"""Columns of the crop at a time."""
LOW_BITS = 11
BLOCK = 24
"""Bytes of a row that the second pass makes at a time. The smallest crop's rows have so many."""
_PIXELS = np.array([[0, 1] * 4, [2, 3] * 4])
"""Pixel of the group for each lane, of either half of the group."""


def arranged(weights: NDArray[np.int32]) -> NDArray[np.int16]:
    """Weights in the lanes in which the first pass takes them.

    Parameters
    ----------
    weights
        ``(n, taps) int32`` of up to 22 bits; n a multiple of `COLUMNS`, taps of `GROUP`.

    Returns
    -------
    ndarray
        ``(n // 2, taps // 4, 2, 2, 2, 8) int16``. The axes: two columns, group, high or low bits of
        the weights, half of the group, column, lane.
    """
    count, taps = weights.shape
    by_lane = weights.reshape(count // COLUMNS, COLUMNS, taps // GROUP, GROUP)[..., _PIXELS]
    by_lane = by_lane.transpose(0, 2, 3, 1, 4)
    parts = [by_lane >> LOW_BITS, by_lane & (1 << LOW_BITS) - 1]
    return np.ascontiguousarray(np.stack(parts, axis=2), np.int16)
