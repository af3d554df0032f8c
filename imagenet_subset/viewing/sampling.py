"""Draws a few images of each class, the same ones for the same seed."""

from __future__ import annotations

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
    rows: list[int]
    """Rows in ``X_<split>``, ascending."""

    @property
    def name(self) -> str:
        """Name to show: spaces for the class table's underscores."""
        return self.label.title.replace("_", " ")


def sample_classes(
    subset: ImagenetSubset, split: Split, per_class: int, seed: int
) -> list[ClassSample]:
    """Draw up to ``per_class`` images of every class, by ascending label.

    The draw of a class depends on the seed, its label and its own images only.
    """
    rows_of = _rows_by_label(subset.labels(split))
    samples = []
    for label, counts in count_classes(subset.y_train, subset.y_val, subset.named_labels):
        rows = rows_of.get(label.number, np.zeros(0, np.intp))
        random = np.random.default_rng([seed, label.number & 0xFFFFFFFF])
        drawn = random.choice(rows, min(per_class, len(rows)), replace=False)
        samples.append(ClassSample(label, counts, sorted(drawn.tolist())))
    return samples


def _rows_by_label(y: NDArray[np.integer[Any]]) -> dict[int, NDArray[np.intp]]:
    order = np.argsort(y, kind="stable")
    labels, starts = np.unique(np.asarray(y)[order], return_index=True)
    return {
        int(label): rows for label, rows in zip(labels, np.split(order, starts)[1:], strict=True)
    }


def default_split(subset: ImagenetSubset) -> Split:
    """The split to show when none is named: train, unless only val has images."""
    return "train" if len(subset.y_train) or not len(subset.y_val) else "val"
