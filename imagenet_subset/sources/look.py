"""One look for the images of a split: what is there, what is missing, what is odd."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.columns import Location
from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import ImageClass
from imagenet_subset.records import Records, Split
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources.base import Photo, Store
from imagenet_subset.sources.gathered import Gathered, Missing
from imagenet_subset.system.text import printable

OnMissing = Literal["error", "skip", "ignore"]
"""What a look does about photos that aren't there: ``"error"`` refuses; ``"skip"`` lists the
others, but refuses a class without any; ``"ignore"`` lists what there is, even if that is
nothing."""


class Look(ABC):
    """One look for the images of a split.

    Attributes
    ----------
    missing : Missing
    bare : list of ImageClass
        Classes without a single photo.
    incomplete : list of str
        Class folders whose photos can't be numbered, each with what it has and lacks.
    notes : list of str
        What looked odd, a line each.
    """

    split: Split

    def __init__(self, subset: Subset, store: Store, on_missing: OnMissing) -> None:
        self.subset, self.store, self.on_missing = subset, store, on_missing
        self.missing = Missing()
        self.bare: list[ImageClass] = []
        self.incomplete: list[str] = []
        self.notes: list[str] = []

    def find(self, photos: Iterator[Photo]) -> Records:
        """Choose the images among the photos of the split, and number them.

        Raises
        ------
        SourceError
            Photos are in a wrong class or there twice, or can't be numbered or listed.
        """
        gathered = Gathered(photos, self.classes_of, len(self.subset.classes))
        self._gathered = gathered
        ids = self.ids()
        self.finish()
        return gathered.into_records(self.split, self.subset, ids)

    def ids(self) -> NDArray[np.int32]:
        """Id of each photo, numbered class by class; 0 for one that has none."""
        ids = np.zeros(len(self._gathered), np.int32)
        for place, image_class in enumerate(self.subset.classes):
            indices, stems = self.of_class(place)
            places = self._places(stems, indices)
            numbers = self.numbers(image_class, places)
            ids_of_class = ids[indices.start : indices.stop]
            ids_of_class[:] = [numbers.get(stem, 0) for stem in stems]
            if not ids_of_class.any() and self.wants(image_class):
                self.bare.append(image_class)
        return ids

    def wants(self, image_class: ImageClass) -> bool:
        """Whether a class has to have a photo."""
        return True

    def of_class(self, place: int) -> tuple[range, list[str]]:
        """Indices and names of the photos of the class at a place."""
        indices = self._gathered.of_class(place)
        return indices, self._gathered.stems.between(indices.start, indices.stop)

    @abstractmethod
    def finish(self) -> None:
        """Note what only all classes together show, and let go of what was needed for it."""

    def _places(self, stems: list[str], indices: range) -> dict[str, int]:
        """Index of each photo of a class by its name."""
        places = dict(zip(stems, indices, strict=True))
        if len(places) < len(stems):
            first = dict(zip(reversed(stems), reversed(indices), strict=True))
            twice = next(
                (index, places[stem]) for stem, index in first.items() if index != places[stem]
            )
            raise self._twice(*(self._gathered.locations[index] for index in twice))
        return places

    def _twice(self, one: Location, other: Location) -> SourceError:
        """Error for a photo that is in two places."""
        paths = [self.store.describe(at) for at in (one, other)]
        files = [self.store.file(at) for at in (one, other)]
        first, second = map(printable, paths)
        if paths[0] == paths[1]:
            return SourceError(
                f"{first} is there twice; make this archive anew, or unpack it and give the folder"
            )
        which = "them"
        if files[0] != files[1] and files != paths:
            names = [printable(os.path.relpath(file, self.store.root)) for file in files]
            which = f"the two files, {names[0]} or {names[1]}"
        return SourceError(
            f"{first} and {second} are the same {self.split} photo; remove one of {which}"
        )

    def path(self, at: Location) -> str:
        """Where a photo is, for a message."""
        return printable(self.store.describe(at))

    def name(self, index: int) -> str:
        """File name of a photo, for people."""
        return os.path.basename(self.store.describe(self._gathered.locations[index]))

    @abstractmethod
    def classes_of(self, photos: Sequence[Photo]) -> list[int]:
        """Place in the subset of the class of each photo; -1 for one that is of none.

        Raises
        ------
        SourceError
            A photo is in a wrong class.
        """

    @abstractmethod
    def numbers(self, image_class: ImageClass, places: Mapping[str, int]) -> Mapping[str, int]:
        """Id of each photo of a class that has one, by its name; 0 is none.

        Parameters
        ----------
        places
            Index of each photo by its name, for `name`.
        """
