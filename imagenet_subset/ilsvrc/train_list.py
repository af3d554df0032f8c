"""``train_cls.txt``, ILSVRC's list of train photos and their numbers."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.system.files import regular
from imagenet_subset.system.text import printable

_LINE = re.compile(rb"n[0-9]{8}/(.+) ([0-9]{1,7})\s*")
_LINES = re.compile(r"^n[0-9]{8}/(.+) ([0-9]{1,7})[ \t\r\f\v]*$", re.MULTILINE)


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
    pairs = _LINES.findall(text)
    numbers = {name: int(number) for name, number in pairs}
    own = class_table()[wnid].train_ids
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
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(_expected(line))
    name, number = os.fsdecode(match[1]), int(match[2])
    own = class_table()[wnid].train_ids
    if number not in own:
        raise ValueError(
            f"number {number}, but the photos of {wnid} are numbers {own[0]} to {own[-1]}"
        )
    if name in numbers:
        raise ValueError(f"{printable(name)} is in line {seen[numbers[name]]} already")
    if number in seen:
        raise ValueError(f"number {number} is in line {seen[number]} already")
    numbers[name] = number
    seen[number] = line_number


def _expected(line: bytes) -> str:
    found = line[:60].decode(errors="backslashreplace").strip()
    return f"expected a line like 'n01440764/n01440764_10026 1', found {found!r}"
