"""The resample of the crop window as machine code: the two passes of Pillow's resize.

Importing this module imports numba and compiles the two functions, or loads them from numba's
cache on disk: beside this file, or in the user's cache folder where that can't be written.
"""

from __future__ import annotations

import time

import numba
from numba import int32, uint64

from pipelines.taps import FRACTION_BITS

TAPS = 4
"""`shrink_rows` takes source pixels in groups of this many. A constant, so that LLVM unrolls the
loop over the group; a photo of 500x375 needs one group, one of 1024x768 two."""

_ROUND = 1 << (FRACTION_BITS - 1)
_BYTES = numba.types.Array(numba.uint8, 1, "C")
_started = time.perf_counter()
_slp = numba.config.SLP_VECTORIZE  # type: ignore[attr-defined]
# LLVM turns the four channels' sums into one vector, which doubles the speed of `shrink_rows`.
numba.config.SLP_VECTORIZE = 1  # type: ignore[attr-defined]


# Indices are unsigned: numba treats a signed one as a Python index, which may be negative.
@numba.njit(
    numba.void(_BYTES, uint64, uint64, uint64, int32[::1], int32[:, ::1], _BYTES),
    nogil=True, cache=True, error_model="numpy",
)  # fmt: skip
def shrink_rows(photo, width, begin, end, starts, weights, made):  # type: ignore[no-untyped-def]
    """First pass: each row of the photo from ``begin`` to ``end``, scaled, the crop's columns only.

    Parameters
    ----------
    photo
        ``(height, width, 4) uint8`` as one run of bytes, and a few bytes more: groups of taps may
        read beyond the last pixel, with weight 0.
    starts, weights
        Of `pipelines.taps.Taps`, the number of taps a multiple of `TAPS`.
    made
        ``(end - begin, len(starts), 3) uint8`` as one run of bytes, and one byte more.
    """
    groups = uint64(weights.shape[1] // TAPS)
    out = uint64(0)
    for row in range(begin, end):
        for column in range(uint64(starts.shape[0])):
            at = (row * width + uint64(starts[column])) * uint64(4)
            red = green = blue = spare = int32(_ROUND)
            for group in range(groups):
                for k in range(TAPS):
                    weight = weights[column, group * uint64(TAPS) + uint64(k)]
                    pixel = at + uint64(4 * k)
                    red += int32(photo[pixel]) * weight
                    green += int32(photo[pixel + uint64(1)]) * weight
                    blue += int32(photo[pixel + uint64(2)]) * weight
                    spare += int32(photo[pixel + uint64(3)]) * weight
                at += uint64(4 * TAPS)
            made[out] = red >> FRACTION_BITS
            made[out + uint64(1)] = green >> FRACTION_BITS
            made[out + uint64(2)] = blue >> FRACTION_BITS
            # Four bytes are one store; the next pixel overwrites this one.
            made[out + uint64(3)] = spare >> FRACTION_BITS
            out += uint64(3)


@numba.njit(
    numba.void(_BYTES, uint64, int32[::1], int32[:, ::1], int32[::1], _BYTES),
    nogil=True, cache=True, error_model="numpy",
)  # fmt: skip
def shrink_columns(rows, begin, starts, weights, sums, made):  # type: ignore[no-untyped-def]
    """Second pass: each row of the crop is a weighted sum of whole rows of the first pass.

    Parameters
    ----------
    rows
        What `shrink_rows` made; its first row is row ``begin`` of the photo.
    starts, weights
        Of `pipelines.taps.Taps`.
    sums
        Scratch, ``(224 * 3,) int32``: one row.
    made
        ``(224, 224, 3) uint8`` as one run of bytes.
    """
    size = uint64(sums.shape[0])
    for row in range(uint64(starts.shape[0])):
        for i in range(size):
            sums[i] = _ROUND
        for k in range(uint64(weights.shape[1])):
            weight = weights[row, k]
            if weight:
                at = (uint64(starts[row]) - begin + k) * size
                for i in range(size):
                    sums[i] += int32(rows[at + i]) * weight
        for i in range(size):
            made[row * size + i] = sums[i] >> FRACTION_BITS


numba.config.SLP_VECTORIZE = _slp  # type: ignore[attr-defined]
compiled_seconds = (
    time.perf_counter() - _started
    if any(f.stats.cache_misses for f in (shrink_rows, shrink_columns))
    else 0.0
)
"""How long compiling took; 0 when both functions came from the cache."""
