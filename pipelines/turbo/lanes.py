"""How the kernel takes its weights, and the parts of the arithmetic that its machine code shares.

The first pass takes four pixels of a photo's row at a time, for two columns of the crop. Channels
are put in pairs of neighbouring pixels, since CPUs multiply pairs of 16-bit numbers and add the two
products in one instruction::

    in memory    R0 G0 B0 R1 G1 B1 R2 G2 B2 R3 G3 B3
    in pairs     R0 R1 G0 G1 B0 B1 .. ..     and     R2 R3 G2 G3 B2 B3 .. ..

Weights have up to 23 bits (1.0 is ``2 ** 22``), too many for that, so each is split:
``weight = high * 2 ** 11 + low``. The two sums are put together in 32 bits, exactly.

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
"""Bytes of a row that the second pass makes at a time. The smallest crop's rows
have so many (`pipelines.rule.SMALLEST_CROP`)."""
_CHANNELS = 4
"""Pairs of lanes of either half of a group; the last is no channel."""


def arranged(weights: NDArray[np.int32]) -> NDArray[np.int16]:
    """Weights in the lanes in which the first pass takes them.

    Parameters
    ----------
    weights
        ``(n, taps) int32`` of up to 23 bits; n a multiple of `COLUMNS`, taps of `GROUP`.

    Returns
    -------
    ndarray
        ``(n // 2, taps // 4, 2, 2, 2, 8) int16``. The axes: two columns, group, high or low bits of
        the weights, half of the group, column, lane.
    """
    count, taps = weights.shape
    pairs, groups = count // COLUMNS, taps // GROUP
    made = np.empty((pairs, groups, 2, 2, COLUMNS, _CHANNELS, 2), np.int16)
    for part, bits in enumerate((weights >> LOW_BITS, weights & (1 << LOW_BITS) - 1)):
        by_pixel = bits.reshape(pairs, COLUMNS, groups, 2, 1, 2)
        made[:, :, part] = by_pixel.transpose(0, 2, 3, 1, 4, 5)
    return made.reshape(pairs, groups, 2, 2, COLUMNS, 2 * _CHANNELS)
