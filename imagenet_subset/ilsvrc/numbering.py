"""How ILSVRC 2012 numbers its images.

- Val: the number in ``ILSVRC2012_val_00000001.JPEG``; its class is that line of the ground truth.
- Train: the number in ``ImageSets/CLS-LOC/train_cls.txt`` (``n01440764/n01440764_10026 1``). The
  list is sorted by `rank_key`, so that without it the number is 1 + the photos of all lower WNIDs
  + the rank in the class. This holds only when the class is complete.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable

from imagenet_subset.ilsvrc.classes import ImageClass, val_ground_truth

_VAL_NAME = re.compile(r"ILSVRC2012_val_([0-9]{8})")


def val_name(image_id: int) -> str:
    """File name of a val image, without its suffix."""
    return f"ILSVRC2012_val_{image_id:08d}"


def val_id(stem: str) -> int | None:
    """Number of the val image with this name, None for any other name.

    Examples
    --------
    >>> val_id("ILSVRC2012_val_00000293"), val_id("ILSVRC2012_val_00050001"), val_id("cat")
    (293, None, None)
    """
    match = _VAL_NAME.fullmatch(stem)
    number = int(match[1]) if match else 0
    return number if 1 <= number <= len(val_ground_truth()) else None


def val_ids_of(clsloc_ids: Collection[int]) -> dict[int, list[int]]:
    """Numbers of all val images of each class, ascending, by CLS-LOC id."""
    wanted: dict[int, list[int]] = {clsloc_id: [] for clsloc_id in clsloc_ids}
    for number, clsloc_id in enumerate(val_ground_truth().tolist(), 1):
        if clsloc_id in wanted:
            wanted[clsloc_id].append(number)
    return wanted


def is_train_name(image_class: ImageClass, stem: str) -> bool:
    """Whether a train photo of the class can have this name.

    Examples
    --------
    >>> from imagenet_subset.ilsvrc.classes import class_table
    >>> acorn = class_table()["n12267677"]
    >>> is_train_name(acorn, "n12267677_1008"), is_train_name(acorn, "n12267677_1008 copy")
    (True, False)
    """
    wnid, _, number = stem.partition("_")
    is_number = number.isascii() and number.isdecimal() and number == str(int(number))
    return wnid == image_class.wnid and is_number


def rank_key(stem: str) -> bytes:
    """Sorting key of a photo in its class, by its name without suffix.

    ``train_cls.txt`` puts a shorter number after those that it begins: plain lexicographic order,
    but as if each name ended in ``~``. All known lines of the real list are in this order.

    Examples
    --------
    >>> sorted(["n01440764_1009", "n01440764_101", "n01440764_10095"], key=rank_key)
    ['n01440764_10095', 'n01440764_1009', 'n01440764_101']
    """
    return os.fsencode(stem) + b"~"


def numbers_by_rank(image_class: ImageClass, stems: Iterable[str]) -> dict[str, int]:
    """Numbers of a complete class's photos, by their rank in the order of the train list."""
    ranked = sorted(stems, key=rank_key)
    return {stem: image_class.first_train_id + rank for rank, stem in enumerate(ranked)}
