"""How many images each class of a build has, which have few, and which share a name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.ilsvrc.classes import VAL_IMAGES, ImageClass
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.selection.choice import PerClass

_SMALL = 0.5
"""A class is small that has less than this share of the median."""


@dataclass(frozen=True, slots=True)
class ClassImages:
    """Images of a class."""

    label: int
    image_class: ImageClass
    counts: dict[Split, int]

    def to_dict(self) -> dict[str, Any]:
        """The class as JSON takes it: the names of the CSV, and the number of each split."""
        return {
            "subset_label": self.label,
            "original_id": self.image_class.clsloc_id,
            "WNID": self.image_class.wnid,
            "human_label": self.image_class.human_label,
            "title": self.image_class.title,
            "train": self.counts["train"],
            "val": self.counts["val"],
        }


@dataclass(frozen=True, slots=True)
class Spread:
    """The fewest, the usual and the most images that a class has."""

    fewest: int
    median: float
    most: int

    @classmethod
    def of(cls, counts: Sequence[int]) -> Spread:
        """Spread of at least one number.

        Examples
        --------
        >>> Spread.of([732, 1300, 1300])
        Spread(fewest=732, median=1300.0, most=1300)
        """
        return cls(min(counts), float(np.median(counts)), max(counts))

    def to_dict(self) -> dict[str, Any]:
        """The spread as JSON takes it."""
        return {"fewest": self.fewest, "median": self.median, "most": self.most}


@dataclass(frozen=True, slots=True)
class Balance:
    """The classes of a build in numbers."""

    classes: tuple[ClassImages, ...]
    """In the order of the subset file."""
    spreads: dict[Split, Spread]
    """Over classes, of each split that is built."""
    label_spreads: dict[Split, Spread]
    """The same over labels; empty where each class has its own."""
    wanted: int | None
    """Train images of each class that ``per_class`` asks for; None where it doesn't."""

    @classmethod
    def of(cls, plan: BuildPlan) -> Balance:
        """Count the images of a plan."""
        subset, splits = plan.subset, plan.options.ordered_splits
        counts = {
            split: np.bincount(plan.records[split].classes, minlength=len(subset.classes)).tolist()
            for split in SPLITS
        }
        classes = tuple(
            ClassImages(label, c, {split: counts[split][place] for split in SPLITS})
            for place, (label, c) in enumerate(zip(subset.labels, subset.classes, strict=True))
        )
        of_labels = {
            split: np.bincount(subset.labels, weights=counts[split]).astype(int).tolist()
            for split in (splits if subset.has_superclasses else ())
        }
        return cls(
            classes,
            {split: Spread.of(counts[split]) for split in splits},
            {split: Spread.of(number) for split, number in of_labels.items()},
            plan.choice.count if isinstance(plan.choice, PerClass) else None,
        )

    @property
    def small(self) -> list[ClassImages]:
        """Classes with less than half as many train images as the median, the smallest first."""
        if "train" not in self.spreads:
            return []
        return self._below("train", _SMALL * self.spreads["train"].median)

    @property
    def short(self) -> list[ClassImages]:
        """Classes with fewer train images than ``per_class`` asks for, the smallest first."""
        return [] if self.wanted is None else self._below("train", self.wanted)

    @property
    def few_val(self) -> list[ClassImages]:
        """Classes with fewer val images than ILSVRC has of each, the smallest first."""
        return self._below("val", VAL_IMAGES) if "val" in self.spreads else []

    def _below(self, split: Split, limit: float) -> list[ClassImages]:
        below = [each for each in self.classes if each.counts[split] < limit]
        return sorted(below, key=lambda each: each.counts[split])

    @property
    def equal_names(self) -> dict[str, list[ImageClass]]:
        """Classes whose name, as the CSV has it, is that of another one too, by name."""
        by_name: dict[str, list[ImageClass]] = {}
        for each in self.classes:
            by_name.setdefault(each.image_class.human_label, []).append(each.image_class)
        return {name: classes for name, classes in by_name.items() if len(classes) > 1}

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON takes them; of classes that are named again, the WNIDs."""
        return {
            "images_of_a_class": {s: spread.to_dict() for s, spread in self.spreads.items()},
            "images_of_a_label": {s: spread.to_dict() for s, spread in self.label_spreads.items()},
            "small_classes": [each.image_class.wnid for each in self.small],
            "short_of_per_class": [each.image_class.wnid for each in self.short],
            "few_val": [each.image_class.wnid for each in self.few_val],
            "equal_names": {
                name: [c.wnid for c in classes] for name, classes in self.equal_names.items()
            },
            "classes": [each.to_dict() for each in self.classes],
        }
