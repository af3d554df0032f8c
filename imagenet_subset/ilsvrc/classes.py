"""The 1,000 classes of ILSVRC 2012, and the ground truth of its val images."""

from __future__ import annotations

import csv
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHIPPED = Path(__file__).parents[1] / "aux_files"
AUX_FILES = _SHIPPED if _SHIPPED.is_dir() else Path(__file__).parents[2] / "aux_files"
"""In a wheel it is inside the package, in a clone next to it."""

MEANINGS = {
    "n02012849": "bird",
    "n03126707": "machine",
    "n02113186": "dog",
    "n02963159": "garment",
    "n03710637": "tights",
    "n03710721": "swimsuit",
}
"""Meanings of the classes that share their name with another, from WordNet's glosses."""

VAL_IMAGES = 50
"""Val images of each class."""


@dataclass(frozen=True, slots=True)
class ImageClass:
    """One of the 1,000 classes."""

    wnid: str
    """WordNet ID of the synset, ``n`` and 8 digits."""
    clsloc_id: int
    """ILSVRC 2015 CLS-LOC id, 1 to 1000, in the devkit's order; not torchvision's index."""
    num_train_images: int
    human_label: str
    first_train_id: int
    """ILSVRC number of its first train photo; the others follow without a gap."""
    index: int
    """Place among the sorted WNIDs, from 0: its label by torchvision, see `wnid_of_index`."""

    @property
    def train_ids(self) -> range:
        """ILSVRC numbers of its train photos."""
        return range(self.first_train_id, self.first_train_id + self.num_train_images)

    @property
    def title(self) -> str:
        """Name for people; classes of equal names get their meaning added.

        Examples
        --------
        >>> [c.title for c in find_classes("crane")]
        ['crane (bird)', 'crane (machine)']
        """
        meaning = MEANINGS.get(self.wnid)
        return f"{self.human_label} ({meaning})" if meaning else self.human_label

    def to_dict(self) -> dict[str, Any]:
        """The class as JSON takes it, its CLS-LOC id and name called as in the CSV of a build.

        ``index`` is its label by torchvision; ``title`` is its name, with its meaning where another
        class has the same.
        """
        return {
            "WNID": self.wnid,
            "original_id": self.clsloc_id,
            "index": self.index,
            "human_label": self.human_label,
            "title": self.title,
            "train_photos": self.num_train_images,
        }


@functools.cache
def class_table() -> Mapping[str, ImageClass]:
    """All classes by WNID, in ascending WNID.

    Examples
    --------
    >>> acorn = class_table()["n12267677"]
    >>> acorn.human_label, acorn.index, len(class_table())
    ('acorn', 988, 1000)
    """
    table: dict[str, ImageClass] = {}
    first = 1
    with open(AUX_FILES / "ilsvrc2012_classes.csv", encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            number = int(row["num_train_images"])
            table[row["wnid"]] = ImageClass(
                row["wnid"], int(row["clsloc_id"]), number, row["human_label"], first, len(table)
            )
            first += number
    return MappingProxyType(table)


@functools.cache
def val_ground_truth() -> NDArray[np.int16]:
    """CLS-LOC id of each val image: ``(50000,) int16``, read-only; image ``n`` at ``[n - 1]``."""
    truth = np.loadtxt(AUX_FILES / "ilsvrc2012_val_clsloc_ids.txt", dtype=np.int16)
    truth.setflags(write=False)
    return truth


def wnid_of_index(index: int) -> str | None:
    """Class by its place among the sorted WNIDs, from 0; None if there is no such class.

    This is the label that torchvision, Hugging Face, timm and TensorFlow Datasets give it.

    Examples
    --------
    >>> wnid_of_index(0), wnid_of_index(1000)
    ('n01440764', None)
    """
    wnids = _sorted_wnids()
    return wnids[index] if 0 <= index < len(wnids) else None


def wnid_of_val(image_id: int) -> str | None:
    """Class of a val image by the ground truth; None if there is no image of this number.

    Examples
    --------
    >>> wnid_of_val(293), wnid_of_val(0)
    ('n01440764', None)
    """
    truth = val_ground_truth()
    if not 1 <= image_id <= len(truth):
        return None
    return _wnids_by_clsloc_id()[int(truth[image_id - 1])]


@functools.cache
def _sorted_wnids() -> tuple[str, ...]:
    return tuple(class_table())


@functools.cache
def _wnids_by_clsloc_id() -> dict[int, str]:
    return {c.clsloc_id: c.wnid for c in class_table().values()}


def find_classes(pattern: str | None = None) -> list[ImageClass]:
    """Classes whose WNID, name or CLS-LOC id matches, in ascending WNID.

    Parameters
    ----------
    pattern
        Parts of a name, in any order and case, spaces and underscores alike; a part of a WNID; or
        a CLS-LOC id, which is any number of up to four digits. None for all classes.

    Examples
    --------
    >>> [c.wnid for c in find_classes("white great")], [c.human_label for c in find_classes("449")]
    (['n01484850'], ['tench'])
    """
    words = plain(pattern or "").split("_")
    return [c for c in class_table().values() if all(_matches(c, word) for word in words)]


def _matches(c: ImageClass, word: str) -> bool:
    if word.isdecimal() and len(word) <= 4:
        return word == str(c.clsloc_id)
    return word in c.wnid or word in plain(c.human_label)


def plain(text: str) -> str:
    """Name in the form in which names are compared: lower case, underscores for spaces."""
    return text.strip().lower().replace(" ", "_")
