"""What the kernel is told of a photo's size: a plan, made once for each size.

All that is derived from the size is in it, so that a call takes four addresses and no more.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.rule import Interpolation, PixelRule
from pipelines.taps import Taps, filter_taps
from pipelines.turbo.lanes import BLOCK, COLUMNS, GROUP, arranged

NAME = "shrink"
"""The kernel's function."""
KERNEL_FILTER: Interpolation = "bilinear"
"""Its filter: its sums have no room for weights below 0."""
KEPT = 256
"""Sizes of photos whose plans are kept, and as many of each of a plan's parts. By the default rule
that takes 6 MB where sides have 300 to 600 pixels, and 40 MB where all have 3,000 to 6,000."""
PLAN = (
    "photo_stride",  # bytes of a row of the photo
    "begin",  # first row of the photo that is needed
    "count",  # how many are needed
    "columns",  # address: for each column of the crop, the byte where its first pixel is in a row
    "column_weights",  # address: as `pipelines.turbo.lanes.arranged` has them
    "pairs",  # pairs of columns
    "groups",  # groups of taps of a column
    "stride",  # bytes of a row of the scratch
    "crop",  # rows of the crop
    "size",  # bytes of a row of the crop
    "blocks",  # blocks of a row of the crop
    "lines",  # address: for each row of the crop, the byte where its first row is in the scratch
    "line_weights",  # address: ``(crop, taps) int32``
    "taps",  # taps of a row
)


@dataclass(frozen=True, slots=True)
class SizePlan:
    """A photo's size, for the kernel."""

    address: int
    photo_nbytes: int
    """Size of the memory for the decoded photo: the last group of taps may read beyond the last
    pixel, with weight 0."""
    scratch_nbytes: int
    """Size of the rows between the two passes."""
    kept: tuple[object, ...]
    """What owns the memory at the addresses in the plan, and the plan's own."""


@dataclass(frozen=True, slots=True)
class _Side:
    """One pass: what it reads and the weights, for each column or row of the crop."""

    begin: int
    end: int
    reach: int
    """How far reading goes, beyond `end` perhaps: the rows, or the bytes of a row."""
    taps: int
    offsets: int
    weights: int
    """Addresses of the two arrays."""
    kept: tuple[NDArray[np.generic], ...]


def plan_of(rule: PixelRule, width: int, height: int) -> SizePlan:
    """Plan for photos of one size.

    The sizes and offsets in it are those by which the kernel reads and writes: all are derived
    here, and the kernel checks none.
    """
    scaled_width, scaled_height = rule.resized_size(width, height)
    left, top, _, _ = rule.crop_box(width, height)
    columns = _columns(width, scaled_width, left, rule.crop)
    lines = _lines(height, scaled_height, top, rule.crop)
    stride, size = _stride(rule.crop), rule.crop * 3
    fields = {
        "photo_stride": width * 3,
        "begin": lines.begin,
        "count": lines.end - lines.begin,
        "columns": columns.offsets,
        "column_weights": columns.weights,
        "pairs": _pairs(rule.crop),
        "groups": columns.taps // GROUP,
        "stride": stride,
        "crop": rule.crop,
        "size": size,
        "blocks": -(-size // BLOCK),
        "lines": lines.offsets,
        "line_weights": lines.weights,
        "taps": lines.taps,
    }
    plan = np.array([fields[name] for name in PLAN], np.int64)
    nbytes = max(width * height * 3, (lines.end - 1) * width * 3 + columns.reach)
    scratch_nbytes = (lines.reach - lines.begin) * stride
    return SizePlan(plan.ctypes.data, nbytes, scratch_nbytes, (columns, lines, plan))


@functools.lru_cache(KEPT)
def _columns(width: int, scaled: int, left: int, crop: int) -> _Side:
    """First pass. Photos of the same width share it if they are scaled to the same."""
    taps = filter_taps(width, scaled, left, crop, KERNEL_FILTER, group=GROUP)
    offsets, weights = taps.starts.astype(np.int64) * 3, taps.weights
    if odd := _pairs(crop) * COLUMNS - crop:
        # There is a column more than needed. It is scaled into the scratch's slack.
        offsets = np.pad(offsets, (0, odd), "edge")
        weights = np.pad(weights, ((0, odd), (0, 0)), "edge")
    # A group is loaded with 4 bytes more than it has.
    reach = int(offsets.max()) + weights.shape[1] * 3 + 4
    return _side(taps, reach, offsets, arranged(weights))


@functools.lru_cache(KEPT)
def _lines(height: int, scaled: int, top: int, crop: int) -> _Side:
    """Second pass. Photos of the same height share it if they are scaled to the same."""
    taps = filter_taps(height, scaled, top, crop, KERNEL_FILTER)
    offsets = (taps.starts.astype(np.int64) - taps.begin) * _stride(crop)
    # Taps beyond a photo's last row have weight 0; what they read is there, and may be anything.
    reach = max(taps.end, int(taps.starts.max()) + taps.weights.shape[1])
    return _side(taps, reach, offsets, np.ascontiguousarray(taps.weights))


def _side(
    taps: Taps, reach: int, offsets: NDArray[np.int64], weights: NDArray[np.signedinteger]
) -> _Side:
    addresses = offsets.ctypes.data, weights.ctypes.data
    count = taps.weights.shape[1]
    return _Side(taps.begin, taps.end, reach, count, *addresses, (offsets, weights))


def _pairs(crop: int) -> int:
    """Pairs of columns."""
    return -(-crop // COLUMNS)


def _stride(crop: int) -> int:
    """Bytes of a row of the scratch: its last column's fourth byte is beyond the crop."""
    return -(-(_pairs(crop) * COLUMNS * 3 + 1) // 64) * 64
