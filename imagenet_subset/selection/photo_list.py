"""A list of train photos, as SimCLR's ``1percent.txt``: a stem, a file name or a path a line."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.columns import BLOCK
from imagenet_subset.errors import SubsetError
from imagenet_subset.ilsvrc.classes import ImageClass, class_table
from imagenet_subset.selection.choice import Choice, Listed, Names
from imagenet_subset.system.files import regular
from imagenet_subset.system.text import counted, few, printable

_LINE = re.compile(
    rb"(?:.*[/\\])?((n[0-9]{8})_(?:0|[1-9][0-9]{0,9}))(?:_\2)?(?:\.(?i:jpe?g))?(?:[ \t]+[0-9]+)?",
    re.DOTALL,
)
"""Hugging Face appends the class to the stem. A number may follow, as in ``train_cls.txt``."""
_EXPECTED = "a train photo a line, such as n01440764_10026.JPEG"
_READ_AT_A_TIME = 1 << 20
_SHOWN = 60
_FEW = 4
"""Names that are kept of many; messages show one less."""


@dataclass(frozen=True, slots=True, eq=False)
class PhotoList(Choice):
    """Train photos that are named in a file, each once.

    Examples
    --------
    >>> photos = PhotoList.parsed("a.txt", [[b"x/n12267677_2.JPEG", b"n12267677_10", b"cat"]])
    >>> photos.named("n12267677"), photos.strange, photos.first_strange
    (['n12267677_10', 'n12267677_2'], 1, ('cat',))
    >>> photos.of("n12267677", ["n12267677_1", "n12267677_2"])
    ['n12267677_2']
    """

    listed: Listed
    stems: NDArray[np.bytes_]
    """``(N,)``, sorted."""
    strange: int
    """Lines that are no train photo's name."""
    first_strange: tuple[str, ...]

    @classmethod
    def parsed(cls, name: str, blocks: Iterable[Sequence[bytes]]) -> PhotoList:
        """List of a file that has these lines, some at a time.

        Parameters
        ----------
        name
            Of the file.
        """
        parts, strange = [np.zeros(0, "S1")], 0
        first: list[str] = []
        for lines in blocks:
            named, others = _parsed(lines)
            parts.append(np.unique(np.array(named, np.bytes_)))
            strange += len(others)
            first += [os.fsdecode(line[:_SHOWN]) for line in others[: _FEW - len(first)]]
        stems = np.unique(np.concatenate(parts))
        return cls(Listed(name, _summed(stems)), stems, strange, tuple(first))

    @property
    def record(self) -> Listed:
        """See `Choice.record`."""
        return self.listed

    def named(self, wnid: str) -> list[str]:
        """See `Choice.named`."""
        return _decoded(self.stems[self._places(wnid)])

    def of(self, wnid: str, names: Collection[str]) -> list[str]:
        """See `Choice.of`."""
        there = set(names)
        return [stem for stem in self.named(wnid) if stem in there]

    def notes(self, classes: Collection[ImageClass]) -> Iterator[str]:
        """See `Choice.notes`."""
        name = printable(self.listed.name)
        if self.strange:
            lines = counted(self.strange, "line")
            yield f"{name} has {lines} with no train photo's name ({few(self.first_strange)})"
        others = np.ones(len(self.stems), np.bool_)
        for c in classes:
            others[self._places(c.wnid)] = False
        if n := int(np.count_nonzero(others)):
            first = few(_decoded(self.stems[np.flatnonzero(others)[:_FEW]]))
            yield f"{name} has {counted(n, 'photo')} of other classes than the subset's ({first})"

    def _places(self, wnid: str) -> slice:
        """Where the photos of a class are."""
        bounds = np.searchsorted(self.stems, [f"{wnid}{c}".encode() for c in ("_", "`")])
        return slice(*bounds.tolist())


def read_photo_list(path: Path, classes: Collection[ImageClass]) -> PhotoList:
    """Read a list; blank lines and ``#`` comments are skipped.

    Parameters
    ----------
    classes
        Of which it has to name a photo.

    Raises
    ------
    SubsetError
        It can't be read, is no text, or names no photo of these classes.
    """
    try:
        with open(path, "rb", opener=regular) as file:
            photos = PhotoList.parsed(path.name, _blocks(path, file))
    except OSError as error:
        raise SubsetError(f"can't read {printable(path)}: {error.strerror or error}") from error
    if any(photos.named(c.wnid) for c in classes):
        return photos
    if len(photos.stems):
        names = counted(len(photos.stems), "train photo")
        raise SubsetError(f"{printable(path)} names {names}, and none is of the subset's classes")
    found = f", found {few(photos.first_strange[:1])}" if photos.strange else ""
    raise SubsetError(f"{printable(path)} names no train photo; expected {_EXPECTED}{found}")


def _blocks(path: Path, file: BinaryIO) -> Iterator[list[bytes]]:
    """Lines of a file, some at a time."""
    start = file.read(_READ_AT_A_TIME)
    if b"\0" in start:
        raise SubsetError(
            f"{printable(path)} is no text in UTF-8: save it so; expected {_EXPECTED}"
        )
    file.seek(len(codecs.BOM_UTF8) if start.startswith(codecs.BOM_UTF8) else 0)
    while lines := file.readlines(_READ_AT_A_TIME):
        yield lines


def _parsed(lines: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Stems of the train photos that lines name, and the lines that name none."""
    wnids = {wnid.encode() for wnid in class_table()}
    stems, others = [], []
    for line in map(bytes.strip, lines):
        if not line or line.startswith(b"#"):
            continue
        match = _LINE.fullmatch(line) or _LINE.fullmatch(line.partition(b"#")[0].rstrip())
        if match and match[2] in wnids:
            stems.append(match[1])
        else:
            others.append(line)
    return stems, others


def _summed(stems: NDArray[np.bytes_]) -> Names:
    blocks = (stems[first : first + BLOCK].tolist() for first in range(0, len(stems), BLOCK))
    return Names.of_lines(len(stems), (b"".join(b"%b\n" % s for s in block) for block in blocks))


def _decoded(stems: NDArray[np.bytes_]) -> list[str]:
    return [stem.decode("ascii") for stem in stems.tolist()]
