"""Which photo of a store each row of a finished NPZ was made from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from imagenet_subset.checking.file import VerifyReport
from imagenet_subset.columns import Indices
from imagenet_subset.errors import ReadError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.records import SPLITS, Record, Records
from imagenet_subset.selection import Subset
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.system.text import printable


@dataclass(frozen=True, slots=True)
class _OfSplit:
    """Rows of a split whose photos are in the store."""

    store: Records
    rows: Indices
    """``(n,)``, in the file."""
    places: Indices
    """``(n,)``, among the store's records."""


@dataclass(frozen=True, slots=True)
class Originals:
    """The rows of a file whose photos are in a store, numbered over all splits."""

    _splits: tuple[_OfSplit, ...]

    def __len__(self) -> int:
        return sum(len(split.rows) for split in self._splits)

    def sample(self, count: int | None, seed: int) -> Indices:
        """So many of them, drawn at random, ascending; None for all."""
        if count is None or count >= len(self):
            return np.arange(len(self))
        return np.sort(np.random.default_rng(seed).choice(len(self), count, replace=False))

    def records(self, chosen: Indices) -> Iterator[Record]:
        """Records of some of them, which ascend; each has the file's row."""
        first = 0
        for split in self._splits:
            end = first + len(split.rows)
            for index in (chosen[(chosen >= first) & (chosen < end)] - first).tolist():
                record = split.store[int(split.places[index])]
                yield replace(record, row=int(split.rows[index]))
            first = end


def find_originals(
    subset: ImagenetSubset, store: Store, train_list: Path | None, report: VerifyReport
) -> Originals:
    """Find the photo of each row; those that aren't there are reported.

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
    listing = list_images(known, splits, store, train_list, on_missing="ignore")
    found: list[_OfSplit] = []
    for split in splits:
        records, ids = listing.records[split], subset.ids(split).astype(np.int64)
        there = np.isin(ids, records.ids)
        if not there.all():
            absent = ids[~there]
            report.source_problems.append(
                f"{len(absent)} photos of {split} aren't in the source, the first of id {absent[0]}"
            )
        rows = np.flatnonzero(there)
        found.append(_OfSplit(records, rows, np.searchsorted(records.ids, ids[rows])))
    return Originals(tuple(found))
