"""Photos of a split by class, in columns; and what is missing, counted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.columns import BLOCK, LocationsBuilder, TextsBuilder
from imagenet_subset.records import Records, Split
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources.base import Photo

FEW = 4
"""Names that are kept of many; messages show one less."""


class Gathered:
    """Photos of a split that are of the subset's classes, class by class.

    Within a class they are in the order in which they came.

    Parameters
    ----------
    photos
        Those of the store.
    classes_of
        Place in the subset of the class of each of some photos; -1 for one that is of none.
    classes
        How many classes there are.

    Attributes
    ----------
    stems : Texts
        Their names without folder and suffix.
    locations : Texts or Spans
    """

    def __init__(
        self,
        photos: Iterator[Photo],
        classes_of: Callable[[Sequence[Photo]], list[int]],
        classes: int,
    ) -> None:
        places = [np.zeros(0, np.int32)]
        stems, locations = TextsBuilder(), LocationsBuilder()
        while block := list(itertools.islice(photos, BLOCK)):
            of_block = np.array(classes_of(block), np.int32)
            if (of_block < 0).any():
                block = [block[k] for k in np.flatnonzero(of_block >= 0).tolist()]
            places.append(of_block[of_block >= 0])
            stems.add([photo.stem for photo in block])
            locations.add([photo.location for photo in block])
        self._classes = np.concatenate(places)
        self.stems, self.locations = stems.column(), locations.column()
        if (np.diff(self._classes) < 0).any():
            by_class = np.argsort(self._classes, kind="stable")
            self._classes = self._classes[by_class]
            self.stems, self.locations = self.stems.take(by_class), self.locations.take(by_class)
        self._bounds = np.searchsorted(self._classes, np.arange(classes + 1)).tolist()

    def __len__(self) -> int:
        return len(self._classes)

    def of_class(self, place: int) -> range:
        """Indices of the photos of the class at a place."""
        return range(self._bounds[place], self._bounds[place + 1])

    def into_records(self, split: Split, subset: Subset, ids: NDArray[np.int32]) -> Records:
        """The photos that have an id, in ascending id; empties this.

        Parameters
        ----------
        ids
            ``(N,)``, for each photo; 0 for none.
        """
        found = np.flatnonzero(ids)
        rows = found[np.argsort(ids[found])]
        # One column after the other, so that no more than one is there twice.
        stems = self.stems.take(rows)
        del self.stems
        locations = self.locations.take(rows)
        del self.locations
        of_rows = ids[rows], self._classes[rows], stems, locations
        return Records(split, subset.wnids, subset.labels, *of_rows)


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
            if len(self.first) < FEW and name not in self.first:
                self.first.append(name)
