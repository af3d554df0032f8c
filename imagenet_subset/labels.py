"""Which class each label of an NPZ stands for: by the CSV beside it, or by its own provenance."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from imagenet_subset.errors import ReadError, printable
from imagenet_subset.npz import FORMAT_VERSION, encode_comment


class ClassRow(NamedTuple):
    """One class, as a line of the metadata CSV."""

    subset_label: int
    original_id: int
    """ILSVRC 2015 CLS-LOC id, 1 to 1000."""
    WNID: str
    human_label: str


def read_provenance(path: Path, comment: bytes) -> dict[str, Any] | None:
    """Provenance in an archive's comment; None for files of other programs.

    Raises
    ------
    ReadError
        A newer version of the program wrote the file, or the comment is mangled.
    """
    try:
        provenance = json.loads(comment)
    except (ValueError, RecursionError):
        return None
    if not isinstance(provenance, dict) or provenance.get("format") != "imagenet-subset":
        return None
    version = provenance.get("format_version")
    if version != FORMAT_VERSION:
        raise ReadError(
            f"{printable(path)} has format version {version!r}, this program reads version "
            f"{FORMAT_VERSION}; install a newer imagenet-subset"
        )
    if encode_comment(provenance) != comment:
        raise ReadError(
            f"{printable(path)}: the provenance in its ZIP comment is damaged (its own CRC-32 "
            "differs); build the file again"
        )
    del provenance["crc32"]
    return provenance


def read_class_rows(path: Path, provenance: Mapping[str, Any] | None) -> tuple[ClassRow, ...]:
    """Classes of the NPZ at ``path``, by ascending label; empty where nothing names them.

    Raises
    ------
    ReadError
        The CSV isn't one of ours, or names other classes than the provenance.
    """
    wnids = None if provenance is None else tuple(provenance["subset"]["wnids"])
    beside = path.with_name(f"{path.stem}_metadata.csv")
    if beside.is_file():
        try:
            rows = _rows_of_csv(beside)
        except ReadError as error:
            remedy = "" if wnids is None else "; remove it: the NPZ knows its classes itself"
            raise ReadError(f"{error}{remedy}") from error
        if wnids is not None and tuple(row.WNID for row in rows) != wnids:
            raise ReadError(
                f"{printable(beside)} names other classes than {printable(path.name)} was built "
                "from; remove it, or put the file's own CSV in its place"
            )
        return rows
    return () if wnids is None else _rows_of_wnids(wnids, path)


def _rows_of_csv(path: Path) -> tuple[ClassRow, ...]:
    fields = list(ClassRow._fields)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:  # Excel begins with a BOM
            reader = csv.reader(file)
            header = next(reader, [])
            if header != fields:
                found = printable(",".join(header)[:60])
                raise ReadError(
                    f"{printable(path)}:1: expected {','.join(fields)}, found {found!r}"
                )
            rows = []
            for line in filter(None, reader):
                if len(line) != len(fields):
                    where = f"{printable(path)}:{reader.line_num}"
                    raise ReadError(f"{where}: expected {len(fields)} fields, found {len(line)}")
                rows.append(ClassRow(int(line[0]), int(line[1]), line[2], line[3]))
    except (OSError, ValueError, csv.Error) as error:
        raise ReadError(f"can't read {printable(path)}: {error}") from error
    if [row.subset_label for row in rows] != list(range(len(rows))):
        raise ReadError(f"{printable(path)}: subset_label isn't 0, 1, 2, ... in this order")
    return tuple(rows)


def _rows_of_wnids(wnids: tuple[str, ...], path: Path) -> tuple[ClassRow, ...]:
    from imagenet_subset.classes import class_table

    table = class_table()
    unknown = [wnid for wnid in wnids if wnid not in table]
    if unknown:
        raise ReadError(
            f"{printable(path)}: its provenance names {unknown[0]}, no ILSVRC 2012 class"
        )
    return tuple(
        ClassRow(label, table[wnid].clsloc_id, wnid, table[wnid].human_label)
        for label, wnid in enumerate(wnids)
    )
