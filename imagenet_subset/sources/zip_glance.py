"""What a zip has, without going through its directory entry by entry: that takes a second or more.

Names are looked for in the bytes of the directory, and each that is found is checked to be a name.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from imagenet_subset.columns import Span
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.sources import names
from imagenet_subset.sources.zip_directory import (
    MARK,
    RECORD_NBYTES,
    Directory,
    record_at,
    records,
)
from imagenet_subset.system.files import pread
from imagenet_subset.system.text import counted, few, printable

_NAMES = {
    "train": re.compile(rb"n[0-9]{8}_[0-9]+(?:_n[0-9]{8})?\.(?i:jpe?g)"),
    "val": re.compile(rb"ILSVRC2012_val_[0-9]{8}(?:_n[0-9]{8})?\.(?i:jpe?g)"),
    "train_list": re.compile(rb"ImageSets/CLS-LOC/train_cls\.txt"),
    "val_labels": re.compile(rb"LOC_val_solution\.csv"),
}
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
    for place in range(directory.start, directory.end, _PIECE):
        piece = pread(fd, min(_PIECE + _OVERLAP, directory.end - place), place)
        for what in _NAMES.keys() - found.keys():
            for span in _looked_for(what, piece, place):
                found[what] = span
                break
        if len(found) == len(_NAMES):
            break
    splits = frozenset(split for split in SPLITS if split in found)
    return Glance(splits, found.get("train_list"), found.get("val_labels"))


def _looked_for(what: str, piece: bytes, place: int) -> Iterator[Span]:
    for match in _NAMES[what].finditer(piece):
        if (bounds := _around(piece, *match.span())) is None:
            continue
        first, end = bounds
        path = piece[first + RECORD_NBYTES : match.end()].decode("ascii", "surrogateescape")
        name = names.parse(path)
        if what not in SPLITS or (name is not None and name.split == what):
            yield Span(0, place + first, end - first)


def _around(piece: bytes, start: int, end: int) -> tuple[int, int] | None:
    """Where the record begins and ends whose name ends there."""
    first = start
    while (first := piece.rfind(MARK, max(0, start - _OVERLAP), first)) >= 0:
        bounds = record_at(piece, first)
        if bounds is not None and bounds[0] >= end:
            return (first, bounds[1]) if bounds[0] == end else None
    return None


def what_is_there(fd: int, directory: Directory, path: str) -> str:
    """Say what a zip has that has no photos, and the way out.

    Raises
    ------
    ZipFormatError
        Its directory is damaged.
    """
    first, files = [], 0
    for _, piece, at, _, name_end, _ in records(fd, directory):
        name = os.fsdecode(piece[at + RECORD_NBYTES : name_end])
        if name.lower().endswith(_ARCHIVES):
            return f"has no photos of ILSVRC but {printable(name)}; {_unpack(path, name)}"
        if not name.endswith("/"):
            first += [name] if files < _SHOWN else []
            files += 1
    if not files:
        return "has no files"
    return f"has no photos of ILSVRC but {counted(files, 'file')} ({few(first)})"


def _unpack(path: str, name: str) -> str:
    """How to get at an archive in a zip."""
    kind = "zip" if name.lower().endswith(".zip") else "tar"
    gunzip = " | gunzip" if name.lower().endswith("gz") else ""
    command = f"unzip -p {shlex.quote(path)} {shlex.quote(name)}{gunzip} > imagenet.{kind}"
    return f"unpack it by {printable(command)} and give --data_dir imagenet.{kind}"
