"""Which photo of a store each row of a finished NPZ was made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.checking.file import VerifyReport
from imagenet_subset.columns import Indices
from imagenet_subset.errors import ReadError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.records import SPLITS, Records
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.system.text import printable


@dataclass(frozen=True, slots=True)
class Originals:
    """The rows of a split whose photos are in a store.

    Examples
    --------
    >>> none = Originals.found(Records.none("val", (), ()), np.array([3, 5]))
    >>> len(none), none.absent.tolist()
    (0, [3, 5])
    """

    records: Records
    """Record of each of these rows; its own row is the place here."""
    rows: Indices
    """``(n,)``, in the file, ascending."""
    absent: NDArray[np.int64]
    """Ids of the other rows."""

    @classmethod
    def found(cls, records: Records, ids: NDArray[np.int64]) -> Originals:
        """Find the ids of a file's rows among a store's records, which ascend by id."""
        there = np.isin(ids, records.ids)
        rows = np.flatnonzero(there)
        return cls(records.take(np.searchsorted(records.ids, ids[rows])), rows, ids[~there])

    def take(self, chosen: Indices) -> Originals:
        """Some of them."""
        return Originals(self.records.take(chosen), self.rows[chosen], self.absent)

    def __len__(self) -> int:
        return len(self.rows)


def sampled(originals: list[Originals], count: int | None, seed: int) -> list[Originals]:
    """So many rows of all splits together, drawn at random; None for all."""
    sizes = [len(split) for split in originals]
    if count is None or count >= sum(sizes):
        return originals
    drawn = np.sort(np.random.default_rng(seed).choice(sum(sizes), count, replace=False))
    ends = np.cumsum([0, *sizes])
    parts = np.split(drawn, np.searchsorted(drawn, ends[1:-1]))
    return [o.take(part - end) for o, part, end in zip(originals, parts, ends[:-1], strict=True)]


def find_originals(
    subset: ImagenetSubset, store: Store, train_list: Path | None, report: VerifyReport
) -> list[Originals]:
    """Find the photo of each row of each split that has any; what isn't there is reported.

    Raises
    ------
    imagenet_subset.errors.ReadError
        Nothing says which classes the labels are.
    imagenet_subset.errors.SourceError
        The photos can't be listed or numbered.
    """
    classes = tuple(
        class_table()[row.WNID] for row in subset.class_rows if row.WNID in class_table()
    )
    if not classes:
        raise ReadError(f"{printable(report.path)}: nothing says which classes its labels are")
    splits = [split for split in SPLITS if len(subset.ids(split))]
    known = Subset(subset.name, classes)
    listing = list_images(
        known, splits, store, train_list, on_missing="ignore", by_name=subset.by_name
    )
    originals = [
        Originals.found(listing.records[split], subset.ids(split).astype(np.int64))
        for split in splits
    ]
    for split, absent in ((o.records.split, o.absent) for o in originals if len(o.absent)):
        report.source_problems.append(
            f"{len(absent)} photos of {split} aren't in the source, the first of id {absent[0]}"
        )
    return originals
