"""How ILSVRC 2012 numbers its images.

- Val: the number in ``ILSVRC2012_val_00000001.JPEG``; its class is that line of the ground truth.
- Train: the number in ``ImageSets/CLS-LOC/train_cls.txt`` (``n01440764/n01440764_10026 1``). The
  list is sorted by `rank_key`, so that without it the number is 1 + the photos of all lower WNIDs
  + the rank in the class. This holds only when the class is complete.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import ImageClass, class_table, val_ground_truth
from imagenet_subset.system.files import regular
from imagenet_subset.system.text import printable

_VAL_NAME = re.compile(r"ILSVRC2012_val_([0-9]{8})")
_TRAIN_LINE = re.compile(rb"(n[0-9]{8})/(.+) ([0-9]{1,7})\s*")


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


def read_train_list(path: Path, wnids: Collection[str]) -> dict[str, dict[str, int]]:
    """Numbers of the train photos of some classes, from ``train_cls.txt``.

    Returns
    -------
    dict[str, dict[str, int]]
        By WNID and by file name without suffix.

    Raises
    ------
    SourceError
        The file can't be read, or a line of it is wrong; names ``file:line``.
    """
    numbers: dict[str, dict[str, int]] = {wnid: {} for wnid in wnids}
    wanted = {wnid.encode() for wnid in wnids}
    seen: dict[int, int] = {}
    line_number = 0
    try:
        with open(path, "rb", opener=regular) as file:
            for line_number, line in enumerate(file, 1):
                if line_number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                # Most of the 1.28 million lines are of other classes: they are skipped here.
                if line[:9] in wanted or (line[9:10] != b"/" and line.strip()):
                    _take_line(line, line_number, numbers, seen)
    except ValueError as error:
        raise SourceError(
            f"{printable(path)}:{line_number}: {error}; is this train_cls.txt of ILSVRC 2012?"
        ) from error
    except OSError as error:
        raise SourceError(
            f"can't read {printable(path)}: {error.strerror or error}; put that right, or give "
            "another copy of train_cls.txt by --train_list"
        ) from error
    return numbers


def _take_line(
    line: bytes, line_number: int, numbers: dict[str, dict[str, int]], seen: dict[int, int]
) -> None:
    """Note a photo's number, and the line of each number; `ValueError` says what is wrong."""
    match = _TRAIN_LINE.fullmatch(line)
    wnid = match[1].decode() if match else ""
    if match is None or wnid not in numbers:
        found = line[:60].decode(errors="backslashreplace").strip()
        raise ValueError(f"expected a line like 'n01440764/n01440764_10026 1', found {found!r}")
    name, number = os.fsdecode(match[2]), int(match[3])
    first = class_table()[wnid].first_train_id
    last = first + class_table()[wnid].num_train_images - 1
    if not first <= number <= last:
        raise ValueError(f"number {number}, but the photos of {wnid} are numbers {first} to {last}")
    of_class = numbers[wnid]
    if name in of_class:
        raise ValueError(f"{printable(name)} is in line {seen[of_class[name]]} already")
    if number in seen:
        raise ValueError(f"number {number} is in line {seen[number]} already")
    of_class[name] = number
    seen[number] = line_number


def is_train_name(image_class: ImageClass, stem: str) -> bool:
    """Whether a train photo of the class can have this name.

    Examples
    --------
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
