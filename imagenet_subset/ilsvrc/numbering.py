"""How ILSVRC 2012 numbers its images.

- Val: the number in ``ILSVRC2012_val_00000001.JPEG``; its class is that line of the ground truth.
- Train: the number in ``ImageSets/CLS-LOC/train_cls.txt`` (``n01440764/n01440764_10026 1``). The
  list is sorted by `rank_key`, so that without it the number is 1 + the photos of all lower WNIDs
  + the rank in the class. This holds only when the class is complete.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import ImageClass, class_table, val_ground_truth
from imagenet_subset.system.files import regular
from imagenet_subset.system.text import printable

_VAL_NAME = re.compile(r"ILSVRC2012_val_([0-9]{8})")
_TRAIN_LINE = re.compile(rb"n[0-9]{8}/(.+) ([0-9]{1,7})\s*")
_TRAIN_LINES = re.compile(r"^n[0-9]{8}/(.+) ([0-9]{1,7})[ \t\r\f\v]*$", re.MULTILINE)


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


class TrainList:
    """``train_cls.txt``: the numbers of the train photos of some classes.

    It has 1.28 million lines. They are kept as they are in the file, and those of a class are
    parsed when they are asked for.

    Parameters
    ----------
    name
        Of the file, for people.
    lines
        The file, open.
    wnids
        Classes that will be asked for. Most lines are of others: they are skipped here.

    Raises
    ------
    SourceError
        The file can't be read, or a line is of no class; names ``file:line``.
    """

    def __init__(self, name: str, lines: Iterable[bytes], wnids: Collection[str]) -> None:
        self.name = name
        self._runs: dict[bytes, list[tuple[int, bytes]]] = {wnid.encode(): [] for wnid in wnids}
        run: list[bytes] = []
        of_class = b""
        number = 0
        with self._readable():
            for number, line in enumerate(lines, 1):
                if number == 1:
                    line = line.removeprefix(codecs.BOM_UTF8)
                if not line.startswith(of_class) or not of_class:
                    self._keep(of_class, number - len(run), run)
                    of_class = line[:9]
                if of_class in self._runs:
                    run.append(line)
                elif line[9:10] != b"/" and line.strip():
                    raise self._wrong(number, _expected(line))
        self._keep(of_class, number + 1 - len(run), run)

    @classmethod
    def read(cls, path: Path, wnids: Collection[str]) -> TrainList:
        """Read the list at ``path``.

        Raises
        ------
        SourceError
            It can't be read, or a line is of no class.
        """
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(open(path, "rb", opener=regular))
            except OSError as error:
                raise _unreadable(str(path), error) from error
            return cls(str(path), file, wnids)

    def _keep(self, of_class: bytes, first: int, run: list[bytes]) -> None:
        """Keep neighbouring lines of a class; ``first`` is the number of the first."""
        if run:
            self._runs[of_class].append((first, b"".join(run)))
            run.clear()

    def numbers(self, wnid: str) -> dict[str, int]:
        """Numbers of the photos of a class, by file name without suffix.

        Raises
        ------
        SourceError
            A line is wrong; names ``file:line``.
        """
        runs = self._runs[wnid.encode()]
        if (numbers := _parsed(wnid, b"".join(run for _, run in runs))) is not None:
            return numbers
        numbers, seen = {}, dict[int, int]()
        for first, run in runs:
            for line_number, line in enumerate(io.BytesIO(run), first):
                try:
                    _take_line(line, line_number, wnid, numbers, seen)
                except ValueError as error:
                    raise self._wrong(line_number, error) from error
        return numbers

    def _wrong(self, line_number: int, what: object) -> SourceError:
        where = f"{printable(self.name)}:{line_number}"
        return SourceError(f"{where}: {what}; is this train_cls.txt of ILSVRC 2012?")

    @contextlib.contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unreadable(self.name, error) from error


def _unreadable(name: str, error: OSError) -> SourceError:
    return SourceError(
        f"can't read {printable(name)}: {error.strerror or error}; put that right, or give "
        "another copy of train_cls.txt by --train_list"
    )


def _parsed(wnid: str, lines: bytes) -> dict[str, int] | None:
    """Numbers by name; None if a line is wrong, or might be."""
    try:
        text = os.fsdecode(lines)
    except ValueError:
        return None
    pairs = _TRAIN_LINES.findall(text)
    numbers = {name: int(number) for name, number in pairs}
    first = class_table()[wnid].first_train_id
    own = range(first, first + class_table()[wnid].num_train_images)
    good = (
        len(pairs) == len(numbers) == len(set(numbers.values()))
        and len(pairs) == text.count("\n") + (not text.endswith("\n")) * bool(text)
        and all(number in own for number in numbers.values())
    )
    return numbers if good else None


def _take_line(
    line: bytes, line_number: int, wnid: str, numbers: dict[str, int], seen: dict[int, int]
) -> None:
    """Note a photo's number, and the line of each number; `ValueError` says what is wrong."""
    match = _TRAIN_LINE.fullmatch(line)
    if match is None:
        raise ValueError(_expected(line))
    name, number = os.fsdecode(match[1]), int(match[2])
    first = class_table()[wnid].first_train_id
    last = first + class_table()[wnid].num_train_images - 1
    if not first <= number <= last:
        raise ValueError(f"number {number}, but the photos of {wnid} are numbers {first} to {last}")
    if name in numbers:
        raise ValueError(f"{printable(name)} is in line {seen[numbers[name]]} already")
    if number in seen:
        raise ValueError(f"number {number} is in line {seen[number]} already")
    numbers[name] = number
    seen[number] = line_number


def _expected(line: bytes) -> str:
    found = line[:60].decode(errors="backslashreplace").strip()
    return f"expected a line like 'n01440764/n01440764_10026 1', found {found!r}"


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
