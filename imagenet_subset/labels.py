"""Which class each label of an NPZ stands for: by the CSV beside it, or by its own provenance."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from imagenet_subset.errors import ReadError, ReadRefusedError, printable, reading
from imagenet_subset.fileio import gigabytes, regular
from imagenet_subset.npz import FORMAT_VERSION, encode_comment

_MAX_CSV = 1 << 24
"""Bytes; a thousand classes take some 50,000."""
_DEEPEST = 8
"""Levels of lists and objects in a provenance; a build writes three."""


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
        A newer version of the program wrote the file, the comment is mangled, or a field that
        is read has another type than a build writes.
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
    if not _is_shallow(provenance, _DEEPEST):
        raise _not_ours(path, "it is nested too deep")
    if encode_comment(provenance) != comment:
        raise ReadError(
            f"{printable(path)}: the provenance in its ZIP comment is damaged (its own CRC-32 "
            "differs); build the file again"
        )
    del provenance["crc32"]
    for field, right in _fields(provenance):
        if not right:
            raise _not_ours(path, f"{field} is of another kind")
    return provenance


def _is_shallow(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inside = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_is_shallow(v, levels - 1) for v in inside)


def _not_ours(path: Path, why: str) -> ReadError:
    return ReadError(
        f"{printable(path)}: the provenance in its ZIP comment isn't one that a build writes "
        f"({why}); build the file again"
    )


def _fields(provenance: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Each field that is read, and whether it has its type, the outer ones before the inner.

    A field that isn't there is a fault only where it is needed.
    """
    subset: Any = provenance.get("subset")
    yield "subset", isinstance(subset, dict)
    yield "subset.name", isinstance(subset.get("name"), str)
    yield "subset.wnids", _is_list_of_str(subset.get("wnids"))
    yield "splits", _is_list_of_str(provenance.get("splits", []))
    pipeline: Any = provenance.get("pipeline", {"name": "", "device": "", "versions": {}})
    yield "pipeline", isinstance(pipeline, dict)
    yield "pipeline.name", isinstance(pipeline.get("name"), str)
    yield "pipeline.device", isinstance(pipeline.get("device"), str)
    yield "pipeline.versions", isinstance(pipeline.get("versions"), dict)
    yield "pipeline.versions", _is_list_of_str(list(pipeline["versions"].values()))
    left_out = provenance.get("left_out", {})
    yield "left_out", isinstance(left_out, dict)
    yield "left_out", all(type(n) is int and n >= 0 for n in left_out.values())


def _is_list_of_str(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def read_class_rows(path: Path, provenance: Mapping[str, Any] | None) -> tuple[ClassRow, ...]:
    """Classes of the NPZ at ``path``, by ascending label; empty where nothing names them.

    Raises
    ------
    ReadError
        The CSV isn't one of ours, or names other classes than the provenance.
    ReadRefusedError
        It can't be read.
    """
    wnids = None if provenance is None else tuple(provenance["subset"]["wnids"])
    beside = path.with_name(f"{path.stem}_metadata.csv")
    try:
        rows = _rows_of_csv(beside)
    except ReadRefusedError:
        raise
    except ReadError as error:
        remedy = "" if wnids is None else "; remove it: the NPZ knows its classes itself"
        raise ReadError(f"{error}{remedy}") from error
    if rows is None:
        return () if wnids is None else _rows_of_wnids(wnids, path)
    if wnids is not None and tuple(row.WNID for row in rows) != wnids:
        raise ReadError(
            f"{printable(beside)} names other classes than {printable(path.name)} was built "
            "from; remove it, or put the file's own CSV in its place"
        )
    return rows


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
    if [row.subset_label for row in rows] != list(range(len(rows))):
        raise ReadError(f"{printable(path)}: subset_label isn't 0, 1, 2, ... in this order")
    return tuple(rows)


def _parsed(path: Path, file: Iterable[str]) -> Iterator[ClassRow]:
    fields = list(ClassRow._fields)
    reader = csv.reader(file)
    header = next(reader, [])
    if header != fields:
        found = printable(",".join(header)[:60])
        raise ReadError(f"{printable(path)}:1: expected {','.join(fields)}, found {found!r}")
    for line in filter(None, reader):
        where = f"{printable(path)}:{reader.line_num}"
        if len(line) != len(fields):
            raise ReadError(f"{where}: expected {len(fields)} fields, found {len(line)}")
        row = ClassRow(int(line[0]), int(line[1]), line[2], line[3])
        if not 0 <= row.original_id < 1 << 31:
            raise ReadError(f"{where}: expected an original_id from 1 to 1000, found {line[1]!r}")
        yield row


def _rows_of_wnids(wnids: tuple[str, ...], path: Path) -> tuple[ClassRow, ...]:
    from imagenet_subset.classes import class_table

    table = class_table()
    unknown = [wnid for wnid in wnids if wnid not in table]
    if unknown:
        raise ReadError(
            f"{printable(path)}: its provenance names {printable(unknown[0])}, no ILSVRC 2012 class"
        )
    return tuple(
        ClassRow(label, table[wnid].clsloc_id, wnid, table[wnid].human_label)
        for label, wnid in enumerate(wnids)
    )
