"""What the kernel is told of a photo's size: a plan, made once for each size.

All that is derived from the size is in it, so that a call takes four addresses and no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipelines.rule import Interpolation, PixelRule
from pipelines.taps import filter_taps
from pipelines.turbo.lanes import BLOCK, COLUMNS, GROUP, arranged

NAME = "shrink"
"""The kernel's function."""
KERNEL_FILTER: Interpolation = "bilinear"
"""Its filter: its sums have no room for weights below 0."""
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
    kept: tuple[NDArray[np.generic], ...]
    """The arrays whose addresses are in the plan, and the plan's own."""


def plan_of(rule: PixelRule, width: int, height: int) -> SizePlan:
    """Plan for photos of one size.

    The sizes and offsets in it are those by which the kernel reads and writes: all are derived
    here, and it checks none.
    """
    scaled_width, scaled_height = rule.resized_size(width, height)
    left, top, _, _ = rule.crop_box(width, height)
    pairs = -(-rule.crop // COLUMNS)
    # Of an odd crop there is a column more than needed. It is scaled into the scratch's slack.
    columns = filter_taps(width, scaled_width, left, rule.crop, KERNEL_FILTER, group=GROUP)
    lines = filter_taps(height, scaled_height, top, rule.crop, KERNEL_FILTER)
    odd = (0, pairs * COLUMNS - rule.crop)
    size, taps = rule.crop * 3, lines.weights.shape[1]
    stride = -(-(pairs * COLUMNS * 3 + 1) // 64) * 64
    kept = (
        np.pad(columns.starts.astype(np.int64) * 3, odd, "edge"),
        arranged(np.pad(columns.weights, (odd, (0, 0)), "edge")),
        (lines.starts.astype(np.int64) - lines.begin) * stride,
        np.ascontiguousarray(lines.weights),
    )
    addresses = [array.ctypes.data for array in kept]
    fields = {
        "photo_stride": width * 3,
        "begin": lines.begin,
        "count": lines.end - lines.begin,
        "columns": addresses[0],
        "column_weights": addresses[1],
        "pairs": pairs,
        "groups": columns.weights.shape[1] // GROUP,
        "stride": stride,
        "crop": rule.crop,
        "size": size,
        "blocks": -(-size // BLOCK),
        "lines": addresses[2],
        "line_weights": addresses[3],
        "taps": taps,
    }
    plan = np.array([fields[name] for name in PLAN], np.int64)
    # Taps beyond a photo's last row have weight 0; what they read is there, and may be anything.
    rows = max(lines.end, int(lines.starts.max()) + taps) - lines.begin
    # A group is loaded with 4 bytes more than it has.
    read = (lines.end - 1) * width * 3 + int(kept[0].max()) + columns.weights.shape[1] * 3 + 4
    nbytes = max(width * height * 3, read)
    return SizePlan(plan.ctypes.data, nbytes, rows * stride, (*kept, plan))
