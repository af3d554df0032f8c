"""Which class each label of an NPZ is: the CSV beside it, written and read.

The columns are ``subset_label``, from 0; ``original_id``, the ILSVRC 2015 CLS-LOC id; ``WNID``;
and ``human_label``, the name. Classes that share a label, of a superclass, have a row each. An NPZ
whose CSV is gone has its classes by its own provenance.
"""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from imagenet_subset.errors import ReadError, ReadRefusedError
from imagenet_subset.npz.names import NpzFiles
from imagenet_subset.npz.provenance import Provenance
from imagenet_subset.selection.subset import Subset
from imagenet_subset.system.files import reading, regular
from imagenet_subset.system.publishing import write_atomically
from imagenet_subset.system.text import gigabytes, printable

_MAX_CSV = 1 << 24
"""Bytes; a thousand classes take some 50,000."""


class ClassRow(NamedTuple):
    """One class, as a line of the metadata CSV."""

    subset_label: int
    original_id: int
    """ILSVRC 2015 CLS-LOC id, 1 to 1000."""
    WNID: str
    human_label: str


def metadata_text(subset: Subset) -> str:
    """Text of the CSV: label, ILSVRC 2015 CLS-LOC id, WordNet ID and name of each class."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(ClassRow._fields)
    for label, c in zip(subset.labels, subset.classes, strict=True):
        writer.writerow([label, c.clsloc_id, c.wnid, c.human_label])
    return text.getvalue()


def write_metadata(path: Path, subset: Subset) -> None:
    """Write the CSV that `metadata_text` makes.

    Raises
    ------
    OSError
        It can't be written; nothing is left under its name that wasn't there before.
    """
    write_atomically(path, metadata_text(subset).encode())


def read_class_rows(path: Path, made: Provenance | None) -> tuple[ClassRow, ...]:
    """Classes of an NPZ, by ascending label; empty where nothing names them.

    Parameters
    ----------
    path
        The NPZ.
    made
        Its provenance, if it has one.

    Raises
    ------
    ReadError
        The CSV isn't one of ours, or names other classes than the provenance.
    ReadRefusedError
        It can't be read.
    """
    beside = NpzFiles.beside(path).csv
    try:
        rows = _rows_of_csv(beside)
    except ReadRefusedError:
        raise
    except ReadError as error:
        remedy = "" if made is None else "; remove it: the NPZ knows its classes itself"
        raise ReadError(f"{error}{remedy}") from error
    if rows is None:
        return () if made is None else _rows_of_wnids(made, path)
    if made is not None and [(row.subset_label, row.WNID) for row in rows] != _named_by(made):
        raise ReadError(
            f"{printable(beside)} names other classes than {printable(path.name)} was built "
            "from; remove it, or put the file's own CSV in its place"
        )
    return rows


def _named_by(made: Provenance) -> list[tuple[int, str]]:
    """Label and WNID of each class."""
    return list(zip(made.labels, made.wnids, strict=True))


def _rows_of_csv(path: Path) -> tuple[ClassRow, ...] | None:
    """Classes by a CSV; None if there is none."""
    rows: list[ClassRow] | None = None
    try:
        with (
            reading(path),
            contextlib.suppress(FileNotFoundError),
            open(path, encoding="utf-8-sig", newline="", opener=regular) as file,  # Excel's BOM
        ):
            if (size := os.fstat(file.fileno()).st_size) > _MAX_CSV:
                raise ReadError(f"{printable(path)} is {gigabytes(size)} long: no list of classes")
            rows = list(_parsed(path, file))
    except (ValueError, csv.Error) as error:
        raise ReadError(f"can't read {printable(path)}: {error}") from error
    if rows is None:
        return None
    labels = [row.subset_label for row in rows]
    if labels[:1] not in ([], [0]) or any(b - a not in (0, 1) for a, b in pairwise(labels)):
        raise ReadError(f"{printable(path)}: subset_label isn't 0, 1, 2, ... in this order")
    return tuple(rows)


def _parsed(path: Path, file: Iterable[str]) -> Iterator[ClassRow]:
    fields = list(ClassRow._fields)
    reader = csv.reader(file)
    header = next(reader, [])
    if header != fields:
        found = printable(",".join(header)[:60])
        raise ReadError(f"{printable(path)}:1: expected {','.join(fields)}, found '{found}'")
    for line in filter(None, reader):
        where = f"{printable(path)}:{reader.line_num}"
        if len(line) != len(fields):
            raise ReadError(f"{where}: expected {len(fields)} fields, found {len(line)}")
        row = ClassRow(int(line[0]), int(line[1]), line[2], line[3])
        if not 0 <= row.original_id < 1 << 31:
            raise ReadError(f"{where}: expected an original_id from 1 to 1000, found {line[1]!r}")
        yield row


def _rows_of_wnids(made: Provenance, path: Path) -> tuple[ClassRow, ...]:
    from imagenet_subset.ilsvrc.classes import class_table

    table = class_table()
    unknown = [wnid for wnid in made.wnids if wnid not in table]
    if unknown:
        raise ReadError(
            f"{printable(path)}: its provenance names {printable(unknown[0])}, no ILSVRC 2012 class"
        )
    return tuple(
        ClassRow(label, table[wnid].clsloc_id, wnid, table[wnid].human_label)
        for label, wnid in _named_by(made)
    )
