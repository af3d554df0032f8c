"""The last look at a file before it gets its final name: it holds what was written to it.

Any other program may write to the file while it is built. A look at one row in 64 finds a file that
was cut short, overwritten from some place on or exchanged in large parts; it can miss a change of a
few rows, which `imagenet_subset.checking.file.verify` finds at any time by reading all.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.errors import OutputError
from imagenet_subset.npz.crc import crc32
from imagenet_subset.npz.layout import Layout, pieces
from imagenet_subset.records import Split
from imagenet_subset.system.cores import available_cores
from imagenet_subset.system.files import forget_clean_pages, pread_into, regular
from imagenet_subset.system.publishing import check_in_place, sync
from imagenet_subset.system.text import printable

_STEP = 64
"""One row in so many is read back."""
_AT_A_TIME = 64
"""Rows that a thread reads before it hears of a stop."""
_READERS = 8
"""Threads at most. Reading and checksums leave Python to the others; a disk has its limit too."""

RowCrcs = Mapping[Split, NDArray[np.uint32]]


def check_written(
    fd: int,
    path: Path,
    layout: Layout,
    row_crcs: RowCrcs,
    columns: Mapping[str, NDArray[np.int32]],
    *,
    every_row: bool = False,
    from_disk: bool = False,
) -> None:
    """Read back headers, labels, ids, and some rows of images: one in 64 and the last.

    Parameters
    ----------
    fd, path
        The open file and its name.
    layout, row_crcs, columns
        As `imagenet_subset.npz.layout.finish` wrote them.
    every_row
        Read all rows, by a descriptor opened for that, which on a network disk asks the server what
        other machines wrote.
    from_disk
        Sync the file first, and have that descriptor read nothing that this machine remembers.

    Raises
    ------
    OutputError
        Something differs, or the name is that of another file.
    """
    with contextlib.ExitStack() as stack:
        if every_row:
            file = stack.enter_context(open(path, "rb", buffering=0, opener=regular))
            check_in_place(file.fileno(), path)
            check_in_place(fd, path)
            if from_disk:
                sync(fd)
                forget_clean_pages(file.fileno())
            fd = file.fileno()
        size = os.fstat(fd).st_size
        if size != layout.size:
            raise changed(path, f"it has {size} bytes and not {layout.size}")
        for name, offset, expected in pieces(layout, row_crcs, columns):
            found = memoryview(bytearray(len(expected)))
            if pread_into(fd, found, offset) != len(expected) or found != expected:
                raise changed(path, f"the {name} at byte {offset} differs")
        _check_rows(fd, path, layout, row_crcs, 1 if every_row else _STEP)


def _check_rows(fd: int, path: Path, layout: Layout, row_crcs: RowCrcs, step: int) -> None:
    parts = list(_parts(row_crcs, step))
    pool = ThreadPoolExecutor(min(_READERS, available_cores()))
    try:
        differing = functools.partial(_differing, fd, layout, row_crcs)
        found = [row for part in pool.map(differing, parts) for row in part]
    finally:
        pool.shutdown(cancel_futures=True)
    if found:
        looked_at = sum(len(rows) for _, rows in parts)
        first = f"{len(found):,} of {looked_at:,} rows read back differ, the first {found[0]}"
        raise changed(path, first)


def _differing(
    fd: int, layout: Layout, row_crcs: RowCrcs, part: tuple[Split, Sequence[int]]
) -> list[str]:
    """Those rows of a part that don't have their CRC-32."""
    split, rows = part
    buffer = memoryview(bytearray(layout.rows.nbytes))
    found = []
    for row in rows:
        n = pread_into(fd, buffer, layout.rows.offset_of(split, row))
        if n != len(buffer) or crc32(buffer) != row_crcs[split][row]:
            found.append(f"row {row} of X_{split}")
    return found


def _parts(row_crcs: RowCrcs, step: int) -> Iterator[tuple[Split, Sequence[int]]]:
    """The rows to look at: one in ``step`` and the last of each split, some at a time."""
    for split, crcs in row_crcs.items():
        rows = range(0, len(crcs), step)
        for first in range(0, len(rows), _AT_A_TIME):
            yield split, rows[first : first + _AT_A_TIME]
        if rows and rows[-1] != len(crcs) - 1:
            yield split, [len(crcs) - 1]


def changed(path: Path, what: str) -> OutputError:
    """Error for a file that doesn't hold what was written to it."""
    return OutputError(
        f"{printable(path)} doesn't hold what was written to it: {what}; another program wrote to "
        "it, or the disk failed; run the same command again, which decodes again what differs"
    )
