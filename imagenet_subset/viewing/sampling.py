"""Draws a few images of each class, the same ones for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.npz.labels import Label
from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.reading.summary import count_classes
from imagenet_subset.records import Split


@dataclass(frozen=True, slots=True)
class ClassSample:
    """One label, and the rows of some of its images."""

    label: Label
    counts: dict[str, int]
    """Images of the class in each split."""
    rows: dict[Split, list[int]]
    """Rows in ``X_<split>``, ascending, for each split that was drawn from."""

    @property
    def name(self) -> str:
        """Name to show: spaces for the class table's underscores."""
        return self.label.title.replace("_", " ")


def sample_classes(
    subset: ImagenetSubset, splits: Sequence[Split], per_class: int, seed: int
) -> list[ClassSample]:
    """Draw up to ``per_class`` images of every class and split, by ascending label.

    The draw of a class depends on the seed, its label and its own images of the split only.
    """
    rows_of = {split: _rows_by_label(subset.labels(split)) for split in splits}
    samples = []
    for label, counts in count_classes(subset.y_train, subset.y_val, subset.named_labels):
        none = np.zeros(0, np.intp)
        drawn = {
            split: _draw(rows_of[split].get(label.number, none), per_class, seed, label.number)
            for split in splits
        }
        samples.append(ClassSample(label, counts, drawn))
    return samples


def _draw(rows: NDArray[np.intp], most: int, seed: int, label: int) -> list[int]:
    random = np.random.default_rng([seed, label & 0xFFFFFFFF])
    return sorted(random.choice(rows, min(most, len(rows)), replace=False).tolist())


def _rows_by_label(y: NDArray[np.integer[Any]]) -> dict[int, NDArray[np.intp]]:
    order = np.argsort(y, kind="stable")
    labels, starts = np.unique(np.asarray(y)[order], return_index=True)
    return {
        int(label): rows for label, rows in zip(labels, np.split(order, starts)[1:], strict=True)
    }


PER_CLASS = 8
"""Images of each class, where nobody asks for another number."""
_IMAGES_OF_A_PAGE = 4000


def per_class_of_page(n_classes: int, n_splits: int) -> int:
    """Images of each class and split on a page, where nobody asks for another number.

    Examples
    --------
    >>> per_class_of_page(100, 2), per_class_of_page(500, 2), per_class_of_page(1000, 2)
    (8, 4, 2)
    """
    fitting = _IMAGES_OF_A_PAGE // max(n_classes * n_splits, 1)
    return max(1, min(PER_CLASS, fitting))


Progress = Callable[[int], object]
"""Called with the number of classes just drawn."""


def default_split(subset: ImagenetSubset) -> Split:
    """The split to show when none is named: train, unless only val has images."""
    return "train" if len(subset.y_train) or not len(subset.y_val) else "val"
