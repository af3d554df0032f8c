"""The small values that all other modules use: an image of the subset, and many of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.columns import Indices, Location, Locations, Texts

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")


@dataclass(frozen=True, slots=True)
class Record:
    """One image of the subset."""

    row: int
    """Row in ``X_<split>``; rows ascend by image id."""
    split: Split
    image_id: int
    """ILSVRC number: line of ``train_cls.txt``, or the number in the val file's name; negative
    where it is made of a train photo's name, see `imagenet_subset.ilsvrc.numbering.name_id`."""
    label: int
    """0-based line of the class in the subset file, comments left out."""
    wnid: str
    stem: str
    """Name of the photo as ILSVRC has it, without folder and suffix."""
    location: Location
    """What the store needs to read the photo."""


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """All images of a split, in columns; a `Record` is made when it is asked for.

    Examples
    --------
    >>> ids, classes = np.array([7, 9], np.int32), np.array([1, 0], np.int32)
    >>> names = Texts.of(["n02690373_2", "n12267677_1"])
    >>> wnids = "n12267677", "n02690373"
    >>> Records("train", wnids, (0, 0), ids, classes, names, names)[0].wnid
    'n02690373'
    """

    split: Split
    wnids: tuple[str, ...]
    """In the order of the subset file."""
    labels_of_wnids: tuple[int, ...]
    """Label of each."""
    ids: NDArray[np.int32]
    """``(N,)``, ascending: `Record.image_id`."""
    classes: NDArray[np.int32]
    """``(N,)``: place of the image's class in ``wnids``."""
    stems: Texts
    """Names of the photos as ILSVRC has them, without folder and suffix."""
    locations: Locations

    @classmethod
    def none(
        cls, split: Split, wnids: tuple[str, ...], labels_of_wnids: tuple[int, ...]
    ) -> Records:
        """No images."""
        empty = np.zeros(0, np.int32)
        return cls(split, wnids, labels_of_wnids, empty, empty, Texts.of([]), Texts.of([]))

    @property
    def labels(self) -> NDArray[np.int32]:
        """``(N,)``: `Record.label`."""
        return np.array(self.labels_of_wnids, np.int32)[self.classes]

    def take(self, rows: Indices) -> Records:
        """These rows, in this order; each gets the row that is its place there."""
        return Records(
            self.split,
            self.wnids,
            self.labels_of_wnids,
            self.ids[rows],
            self.classes[rows],
            self.stems.take(rows),
            self.locations.take(rows),
        )

    def __getitem__(self, row: int) -> Record:
        """Image of a row; a negative one counts from the end.

        Raises
        ------
        IndexError
            There is no such row.
        """
        row = range(len(self))[row]
        place = int(self.classes[row])
        label, wnid = self.labels_of_wnids[place], self.wnids[place]
        image_id, stem = int(self.ids[row]), self.stems[row]
        return Record(row, self.split, image_id, label, wnid, stem, self.locations[row])

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Record]:
        return (self[row] for row in range(len(self)))
