"""The image rows of a file under their three numbers: index, row of a split, offset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.columns import are_neighbours
from imagenet_subset.records import SPLITS, Split

_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows a file has, and where they are.

    A row has an index, under which the journal keeps it: from 0, all rows of train first, then all
    of val. It is a row of its split, from 0. And it is at an offset in the file, in bytes.

    Examples
    --------
    >>> rows = Rows(counts=(3, 2), starts=(4096, 8192), nbytes=100)
    >>> rows.index("val", 1), rows.place(4), rows.offset(4)
    (4, ('val', 1), 8292)
    """

    counts: tuple[int, ...]
    """Number of rows of each split, in the order of `SPLITS`."""
    starts: tuple[int, ...]
    """Offset of the first row of each split, likewise."""
    nbytes: int
    """Size of a row."""

    def __len__(self) -> int:
        return sum(self.counts)

    def indices(self, split: Split) -> range:
        """Indices of the rows of a split."""
        place = SPLITS.index(split)
        first = sum(self.counts[:place])
        return range(first, first + self.counts[place])

    def index(self, split: Split, row: int) -> int:
        """Index of a row of a split."""
        return self.indices(split).start + row

    def place(self, index: int) -> tuple[Split, int]:
        """Split and row of an index.

        Raises
        ------
        IndexError
            There is no such row.
        """
        for split in SPLITS:
            indices = self.indices(split)
            if index in indices:
                return split, index - indices.start
        raise IndexError(f"no row {index} among {len(self)}")

    def offset(self, index: int) -> int:
        """Where the row of an index starts in the file.

        Raises
        ------
        IndexError
            There is no such row.
        """
        return self.offset_of(*self.place(index))

    def offset_of(self, split: Split, row: int) -> int:
        """Where a row of a split starts in the file."""
        return self.starts[SPLITS.index(split)] + row * self.nbytes

    def offsets(self, indices: Sequence[int]) -> list[int]:
        """Where the rows of these indices, all of one split, start in the file."""
        if not indices:
            return []
        split, row = self.place(indices[0])
        start = self.offset_of(split, row) - indices[0] * self.nbytes
        return [start + index * self.nbytes for index in indices]

    def by_split(self, values: NDArray[_Value]) -> dict[Split, NDArray[_Value]]:
        """Values of all rows by index, as those of each split by row; views, no copies."""
        parts = {split: self.indices(split) for split in SPLITS}
        return {split: values[part.start : part.stop] for split, part in parts.items()}


def runs(indices: Sequence[int]) -> Iterator[range]:
    """Runs of neighbours among indices in any order, ascending.

    Examples
    --------
    >>> list(runs([7, 3, 4, 5, 8]))
    [range(3, 6), range(7, 9)]
    """
    if are_neighbours(indices):  # as a rule
        yield range(indices[0], indices[-1] + 1)
        return
    start = stop = 0
    for index in sorted(indices):
        if index != stop:
            if start != stop:
                yield range(start, stop)
            start = index
        stop = index + 1
    if start != stop:
        yield range(start, stop)
