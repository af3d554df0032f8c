"""The photos of a tree with what forms of ImageNet say of them, and the tools that make forms."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from imagenet_subset.ilsvrc.classes import class_table, val_ground_truth
from imagenet_subset.ilsvrc.numbering import val_id

SORTED_WNIDS = tuple(class_table())
"""A place in it is the label of Hugging Face, timm and torchvision."""
_WNID_OF_CLSLOC = {c.clsloc_id: c.wnid for c in class_table().values()}


@dataclass(frozen=True, slots=True)
class Original:
    """A photo of a tree."""

    split: str
    stem: str
    """``n01440764_10026`` or ``ILSVRC2012_val_00000293``."""
    wnid: str
    path: Path

    @property
    def name(self) -> str:
        """Name of its file as ILSVRC has it."""
        return f"{self.stem}.JPEG"

    @property
    def hf_name(self) -> str:
        """Name of its file as Hugging Face has it."""
        return f"{self.stem}_{self.wnid}.JPEG"

    @property
    def label(self) -> int:
        return SORTED_WNIDS.index(self.wnid)


def small_tree(root: Path) -> Path:
    """``Data/CLS-LOC`` of four classes with 6 train and 50 val photos each, odd ones among them."""
    return write_demo_tree(root / "ILSVRC", wnids=DEMO_WNIDS[:4], train_per_class=6)


def originals(tree: Path, split: str) -> list[Original]:
    """Photos of a split, by class, then in plain order of their names."""
    found = []
    for path in (tree / split).rglob("*.JPEG"):
        wnid = path.parent.name if split == "train" else _wnid_of_val(path.stem)
        found.append(Original(split, path.stem, wnid, path))
    return sorted(found, key=lambda photo: (photo.wnid, photo.stem))


def shuffled(photos: Iterable[Original]) -> list[Original]:
    """Photos in an order that isn't that of their names or classes."""
    order = list(photos)
    random.Random(1).shuffle(order)
    return order


def run_tool(command: list[str], folder: Path, stdin: str = "") -> None:
    """Run a program in a folder; skip the test if it isn't installed."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} isn't installed")
    done = subprocess.run(command, cwd=folder, input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def train_list(tree: Path) -> Path:
    """``train_cls.txt`` of a tree."""
    return tree.parent.parent / "ImageSets" / "CLS-LOC" / "train_cls.txt"


def _wnid_of_val(stem: str) -> str:
    number = val_id(stem)
    assert number is not None
    return _WNID_OF_CLSLOC[int(val_ground_truth()[number - 1])]
