"""Photos of a split by class, in columns; and what is missing, counted."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.columns import Indices, Locations, Texts, concatenated, pack
from imagenet_subset.records import Records, Split
from imagenet_subset.sources.base import Photo

_BLOCK = 1 << 16
"""Photos that exist as objects at a time."""
_FIRST = 4
"""Names that are kept of what is missing; messages show one less."""


class Gathered:
    """Photos of a split that are of the subset's classes, in the order in which they came.

    Attributes
    ----------
    stems : Texts
        Their names without folder and suffix.
    locations : Locations
    """

    def __init__(self, labelled: Iterator[tuple[int, Photo]]) -> None:
        labels, stems, locations = [], [], []
        while block := list(itertools.islice(labelled, _BLOCK)):
            labels.append(np.array([label for label, _ in block], np.int32))
            stems.append(Texts.of(photo.stem for _, photo in block))
            locations.append(pack([photo.location for _, photo in block]))
        self.stems = Texts.concatenated(stems)
        self.locations: Locations = concatenated(locations)
        self._labels = np.concatenate(labels) if labels else np.zeros(0, np.int32)
        self._by_label = np.argsort(self._labels, kind="stable")
        self._sorted = self._labels[self._by_label]

    def __len__(self) -> int:
        return len(self._labels)

    def of_class(self, label: int) -> Indices:
        """Indices of the photos with a label."""
        first, end = np.searchsorted(self._sorted, [label, label + 1])
        return self._by_label[first:end]

    def records(self, split: Split, wnids: tuple[str, ...], ids: NDArray[np.int32]) -> Records:
        """The photos that have an id, in ascending id.

        Parameters
        ----------
        ids
            ``(N,)``, for each photo; -1 for none.
        """
        found = np.flatnonzero(ids >= 0)
        rows = found[np.argsort(ids[found])]
        columns = self.stems.take(rows), self.locations.take(rows)
        return Records(split, wnids, ids[rows], self._labels[rows], *columns)


@dataclass(slots=True)
class Missing:
    """Photos that aren't there."""

    count: int = 0
    first: list[str] = field(default_factory=list)
    """The first few, each once."""

    def add(self, names: Iterable[str]) -> None:
        """Count photos by name; a name may be that of several."""
        for name in names:
            self.count += 1
            if len(self.first) < _FIRST and name not in self.first:
                self.first.append(name)
