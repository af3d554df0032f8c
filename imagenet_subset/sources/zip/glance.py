"""What a zip has, without going through its directory entry by entry: that takes a second or more.

Names are looked for in the bytes of the directory, and each that is found is checked to be a name.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from imagenet_subset.columns import Span
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.sources import names
from imagenet_subset.sources.zip.directory import (
    AGAIN,
    MARK,
    RECORD_NBYTES,
    Directory,
    ZipFormatError,
    record_at,
    records,
)
from imagenet_subset.system.checksum import crc32
from imagenet_subset.system.files import pread
from imagenet_subset.system.text import counted, few, printable

_NAMES = {
    "train": re.compile(rb"n[0-9]{8}_[0-9]+(?:_n[0-9]{8})?\.(?i:jpe?g)"),
    "val": re.compile(rb"ILSVRC2012_val_[0-9]{8}(?:_n[0-9]{8})?\.(?i:jpe?g)"),
    "train_list": re.compile(rb"ImageSets/CLS-LOC/train_cls\.txt"),
    "val_labels": re.compile(rb"LOC_val_solution\.csv"),
}
_LONGEST_PATH = 1 << 12
_MOST_STRAY = 1000
_SHOWN = 4
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip")
_PIECE, _OVERLAP = 1 << 22, 1 << 17


class Glance(NamedTuple):
    """What a zip has. A span is that of a record of the directory."""

    splits: frozenset[Split]
    """Of which it has photos."""
    train_list: Span | None
    """``train_cls.txt``."""
    val_labels: Span | None
    """``LOC_val_solution.csv``."""


def glance(fd: int, directory: Directory) -> Glance:
    """Look for photos and for lists.

    Raises
    ------
    OSError
        The directory can't be read.
    """
    found: dict[str, Span] = {}
    search = _Search()
    for place in range(directory.start, directory.end, _PIECE):
        piece = pread(fd, min(_PIECE + _OVERLAP, directory.end - place), place)
        for what in _NAMES.keys() - found.keys():
            for span in search.find(what, piece, place):
                found[what] = span
                break
        if len(found) == len(_NAMES):
            break
    splits = frozenset(split for split in SPLITS if split in found)
    return Glance(splits, found.get("train_list"), found.get("val_labels"))


class _Search:
    """Looks for names. It gives up a directory that has many where no record is."""

    def __init__(self) -> None:
        self._stray = 0

    def find(self, what: str, piece: bytes, place: int) -> Iterator[Span]:
        for match in _NAMES[what].finditer(piece):
            first, name_end, end = self._around(piece, *match.span())
            if name_end != match.end():
                continue
            path = piece[first + RECORD_NBYTES : name_end].decode("ascii", "surrogateescape")
            name = names.parse(path)
            if what not in SPLITS or (name is not None and name.split == what):
                yield Span(0, place + first, end - first, crc32(piece[first:end]))

    def _around(self, piece: bytes, start: int, name_end: int) -> tuple[int, int, int]:
        """Where the record around a name begins, its name ends, and it ends; or noughts."""
        first = start
        while (first := piece.rfind(MARK, max(0, start - _LONGEST_PATH), first)) >= 0:
            bounds = record_at(piece, first)
            if bounds is not None and bounds[0] >= name_end:
                return first, *bounds
        self._stray += 1
        if self._stray > _MOST_STRAY:
            raise ZipFormatError(f"has a directory that is damaged{AGAIN}")
        return 0, 0, 0


def has_backslashes(fd: int, directory: Directory) -> bool:
    """Whether photos are there under paths of Windows, which no zip may have."""
    return any(_is_windows_photo(name) for name in _names(fd, directory))


def _is_windows_photo(name: str) -> bool:
    return "\\" in name and names.parse(name.replace("\\", "/")) is not None


def _names(fd: int, directory: Directory) -> Iterator[str]:
    for _, piece, at, _, name_end, _ in records(fd, directory):
        yield piece[at + RECORD_NBYTES : name_end].decode(errors="backslashreplace")


def what_is_there(fd: int, directory: Directory, path: str) -> str:
    """Say what a zip has that has no photos, and the way out.

    Raises
    ------
    ZipFormatError
        Its directory is damaged.
    """
    first, files = [], 0
    for name in _names(fd, directory):
        if _is_windows_photo(name):
            return (
                f"has {printable(name)}, with backslashes where a zip has slashes; unpack it, and "
                "give the folder, or make it anew by another program"
            )
        if name.lower().endswith(_ARCHIVES):
            return f"has no photos of ILSVRC but {printable(name)}; {_unpack(path, name)}"
        if not name.endswith("/"):
            first += [name] if files < _SHOWN else []
            files += 1
    if not files:
        return "has no files; give the zip that has ILSVRC's train/ or val/"
    return (
        f"has no photos of ILSVRC but {counted(files, 'file')} ({few(first)}); give the "
        "zip that has ILSVRC's train/ or val/"
    )


def _unpack(path: str, name: str) -> str:
    """How to get at an archive in a zip."""
    kind = "zip" if name.lower().endswith(".zip") else "tar"
    gunzip = " | gunzip" if name.lower().endswith("gz") else ""
    command = f"unzip -p {shlex.quote(path)} {shlex.quote(name)}{gunzip} > imagenet.{kind}"
    return f"unpack it by {printable(command)} and give --data_dir imagenet.{kind}"
