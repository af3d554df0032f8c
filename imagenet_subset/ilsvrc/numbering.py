"""How ILSVRC 2012 numbers its images.

- Val: the number in ``ILSVRC2012_val_00000001.JPEG``; its class is that line of the ground truth.
- Train: the number in ``ImageSets/CLS-LOC/train_cls.txt`` (``n01440764/n01440764_10026 1``). The
  list is sorted by `rank_key`, so that without it the number is 1 + the photos of all lower WNIDs
  + the rank in the class. This holds only when the class is complete.
- Where neither is known a train photo has an id of ours, which is made of its name: `name_id`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable

from imagenet_subset.ilsvrc.classes import ImageClass, val_ground_truth, wnid_of_index

NAMES_OF_A_CLASS = 2_000_000
"""The number in a train photo's name is below this. The ids of all 1,000 classes fit in int32."""

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
    is_number = number.isascii() and number.isdecimal() and (number[0] != "0" or number == "0")
    return wnid == image_class.wnid and is_number


def name_id(image_class: ImageClass, stem: str) -> int:
    """Id of a train photo whose ILSVRC number isn't known: negative, and made of its name.

    It is ``-(2_000_000 * k + n)``: ``k`` is the place of the WNID among the 1,000 in ascending
    order, from 1, and ``n`` the number in the name.

    Raises
    ------
    ValueError
        No train photo of the class has this name, or ``n`` is 2,000,000 or more.

    Examples
    --------
    >>> from imagenet_subset.ilsvrc.classes import class_table
    >>> name_id(class_table()["n01440764"], "n01440764_10026")
    -2010026
    >>> name_id(class_table()["n15075141"], "n15075141_1999999")
    -2001999999
    """
    if not is_train_name(image_class, stem):
        raise ValueError(f"{stem!r} is no train photo's name of {image_class.wnid}")
    digits = stem.partition("_")[2]
    if len(digits) > len(str(NAMES_OF_A_CLASS)) or int(digits) >= NAMES_OF_A_CLASS:
        raise ValueError(f"the number in {stem!r} is {NAMES_OF_A_CLASS:,} or more")
    return -(NAMES_OF_A_CLASS * (image_class.index + 1) + int(digits))


def name_of_id(image_id: int) -> tuple[str, str] | None:
    """WNID and name, without suffix, of the train photo with an id of `name_id`; None if none is.

    Examples
    --------
    >>> name_of_id(-2010026)
    ('n01440764', 'n01440764_10026')
    >>> name_of_id(-1), name_of_id(1), name_of_id(-2002000000)
    (None, None, None)
    """
    place, number = divmod(-image_id, NAMES_OF_A_CLASS)
    wnid = wnid_of_index(place - 1)
    return None if wnid is None else (wnid, f"{wnid}_{number}")


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
