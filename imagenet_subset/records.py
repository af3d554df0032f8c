"""The small values that all other modules use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Split = Literal["train", "val"]
SPLITS: tuple[Split, ...] = ("train", "val")


@dataclass(frozen=True, slots=True)
class Record:
    """One image of the subset."""

    row: int
    """Row in ``X_<split>``; rows ascend by image id."""
    split: Split
    image_id: int
    """ILSVRC number: line of ``train_cls.txt``, or the number in the val file's name."""
    label: int
    """0-based line of the class in the subset file."""
    wnid: str
    location: str
    """Whatever the source needs to read the image; for a folder, the path below its root."""
