"""How ILSVRC 2012 numbers its images.

- Val: the number in ``ILSVRC2012_val_00000001.JPEG``; its class is that line of the ground truth.
- Train: the number in ``ImageSets/CLS-LOC/train_cls.txt`` (``n01440764/n01440764_10026 1``). The
  list is in plain lexicographic order, so that without it the number is 1 + the photos of all
  lower WNIDs + the rank in the class; which holds only when the class is complete.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path

from imagenet_subset.classes import ImageClass, val_ground_truth
from imagenet_subset.errors import SourceError, printable

_VAL_NAME = re.compile(r"ILSVRC2012_val_([0-9]{8})")
_TRAIN_LINE = re.compile(rb"(n[0-9]{8})/(\S+) ([0-9]{1,7})\r?\n?")


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
    wanted = {wnid.encode(): numbers[wnid] for wnid in wnids}
    seen: dict[int, int] = {}
    try:
        with open(path, "rb") as file:
            for line_number, line in enumerate(file, 1):
                of_class = wanted.get(line[:9])
                if of_class is None and (line[9:10] == b"/" or not line.strip()):
                    continue  # another class: 1.28 million lines, so looked at no further
                match = _TRAIN_LINE.fullmatch(line)
                where = f"{printable(path)}:{line_number}"
                if of_class is None or match is None:
                    raise SourceError(
                        f"{where}: expected a line like 'n01440764/n01440764_10026 1', found "
                        f"{line[:60].decode(errors='backslashreplace').strip()!r}; is this "
                        "train_cls.txt?"
                    )
                name, number = match[2].decode("utf-8", "surrogateescape"), int(match[3])
                if name in of_class or number in seen:
                    what = f"{printable(name)}" if name in of_class else f"number {number}"
                    raise SourceError(f"{where}: {what} stands twice in the list")
                of_class[name] = number
                seen[number] = line_number
    except OSError as error:
        raise SourceError(f"can't read {printable(path)}: {error.strerror or error}") from error
    return numbers


def numbers_by_rank(image_class: ImageClass, stems: Iterable[str]) -> dict[str, int]:
    """Numbers of a complete class's photos, by their rank in plain lexicographic order."""
    ranked = sorted(stems, key=lambda stem: stem.encode("utf-8", "surrogateescape"))
    return {stem: image_class.first_train_id + rank for rank, stem in enumerate(ranked)}
