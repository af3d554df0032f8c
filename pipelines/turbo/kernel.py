"""The resample of the crop window as machine code: the two passes of Pillow's resize.

The side of the crop is a constant in it, so each crop has machine code of its own: `shrink_to`.
Importing this module imports numba and does that for the default rule.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numba
from numba import int16, int32, uint64

from pipelines.rule import DEFAULT
from pipelines.taps import FRACTION_BITS
from pipelines.turbo.compiling import Compiled, compiled
from pipelines.turbo.simd import add_weighted

SLACK_BYTES = 64
"""Bytes after the last pixel of a photo. The last group of taps may read them, with weight 0."""

_ROUND = 1 << (FRACTION_BITS - 1)
_BYTES, _STARTS = numba.uint8[::1], int32[::1]
_CROP = DEFAULT.crop
"""Each copy of the functions below that `shrink_to` makes has its own."""


# Indices are unsigned: numba treats a signed one as a Python index, which may be negative.
@numba.njit(error_model="numpy")
def _shrink_rows(photo, width, begin, end, starts, weights, sums, made):  # type: ignore[no-untyped-def]
    """First pass: each row of the photo from ``begin`` to ``end``, scaled, the crop's columns only.

    ``made`` is ``(end - begin, len(starts), 3)``.
    """
    columns, groups = uint64(starts.shape[0]), uint64(weights.shape[1])
    first = uint64(weights.ctypes.data)
    step = groups * uint64(weights.strides[1])
    size = columns * uint64(3)
    for row in range(end - begin):
        line = uint64(photo.ctypes.data) + (begin + row) * width * uint64(3)
        for column in range(columns):
            pixel = line + uint64(starts[column]) * uint64(3)
            taps = first + column * step
            # Four sums are stored; the next column overwrites the fourth.
            at = uint64(sums.ctypes.data) + column * uint64(12)
            add_weighted(pixel, taps, groups, int32(_ROUND), at)  # type: ignore[call-arg]
        for i in range(size):
            made[row * size + i] = sums[i] >> FRACTION_BITS


def _shrink_columns(rows, begin, starts, weights, sums, made):  # type: ignore[no-untyped-def]
    """Second pass: each row of the crop is a weighted sum of whole rows of the first pass.

    Row 0 of ``rows`` is row ``begin`` of the photo.
    """
    size = uint64(_CROP * 3)
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


def _shrink(  # type: ignore[no-untyped-def]
    photo, width, columns, column_weights, begin, end, lines, line_weights, rows, sums, made
):
    """Scale the crop's window of a photo: rows first, then columns, 8 bits between the two.

    Parameters
    ----------
    photo
        ``(height, width, 3) uint8`` as one run of bytes, and `SLACK_BYTES` more: groups of taps
        may read beyond the last pixel, with weight 0.
    columns, column_weights
        For each column of the crop the first column of the photo that makes it up, and the
        weights as `pipelines.turbo.simd.arranged` has them.
    begin, end
        Rows of the photo that the crop needs.
    lines, line_weights
        ``starts`` and ``weights`` of the crop's lines' `pipelines.taps.Taps`.
    rows
        Scratch, ``(end - begin, crop, 3) uint8`` as one run of bytes.
    sums
        Scratch, ``(crop * 3 + 1,) int32``.
    made
        ``(crop, crop, 3) uint8`` as one run of bytes.
    """
    _shrink_rows(photo, width, begin, end, columns, column_weights, sums, rows)
    _shrink_columns(rows, begin, lines, line_weights, sums, made)  # type: ignore[no-untyped-call]


@functools.cache
def shrink_to(crop: int) -> Compiled:
    """`_shrink` for one crop as machine code: compiled, or loaded from numba's cache on disk.

    numba compiles a global in as a constant, but its cache knows a function by name and code
    alone. So the functions are copied for each crop, under a name that has the crop in it: no
    entry of the cache can be taken for another crop's.
    """
    constants = {**globals(), "_CROP": crop}
    columns = _renamed(_shrink_columns, crop, constants)
    constants[_shrink_columns.__name__] = numba.njit(error_model="numpy")(columns)
    return compiled(
        _renamed(_shrink, crop, constants),
        numba.void(
            *(_BYTES, uint64, _STARTS, int16[:, :, :, ::1]),
            *(uint64, uint64, _STARTS, int32[:, ::1]),
            *(_BYTES, _STARTS, _BYTES),
        ),
        nogil=True,
        error_model="numpy",
    )


def _renamed(
    function: Callable[..., None], crop: int, constants: dict[str, Any]
) -> Callable[..., None]:
    """Copy of a function that has the crop in its name, and these globals."""
    copy = FunctionType(function.__code__, constants, f"{function.__name__}_{crop}")
    copy.__qualname__ = copy.__name__
    return copy


shrink_to(DEFAULT.crop)  # so that processes forked later have it, and failures show up here
