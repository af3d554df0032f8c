"""The archive comment of an NPZ as JSON: written, and read with each field's type checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from imagenet_subset.errors import ReadError
from imagenet_subset.npz.crc import crc32
from imagenet_subset.npz.recorded_choice import choice_types
from imagenet_subset.system.text import printable

FORMAT = "imagenet-subset"
FORMAT_VERSIONS = (1, 2)
"""Those that are read. A build writes the first, unless a program that reads only this would
misread the file."""
NAMES = "names"
"""Of the field ``train_id``, which is only there where the ids are made of names."""
_DEEPEST = 8
"""Levels of lists and objects in a provenance; a build writes three."""


def encode_comment(fields: Mapping[str, Any]) -> bytes:
    """Archive comment that carries the fields of a provenance.

    Examples
    --------
    >>> encode_comment({"format": "imagenet-subset"})
    b'{"crc32":"80d10582","format":"imagenet-subset"}'
    """
    crc = crc32(_json({k: v for k, v in fields.items() if k != "crc32"}))
    return _json({**fields, "crc32": f"{crc:08x}"})


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def read_comment(path: Path, comment: bytes) -> dict[str, Any] | None:
    """Fields of a comment, those that are read being of their types; None if it isn't ours.

    Parameters
    ----------
    path
        The file, for messages.

    Raises
    ------
    ReadError
        See `imagenet_subset.npz.provenance.Provenance.from_comment`.
    """
    try:
        fields = json.loads(comment)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        return None
    version = fields.get("format_version")
    if version not in FORMAT_VERSIONS:
        known = " and ".join(map(str, FORMAT_VERSIONS))
        raise ReadError(
            f"{printable(path)} has format version {version!r}, this program reads versions "
            f"{known}; install a newer imagenet-subset"
        )
    if not _is_shallow(fields, _DEEPEST):
        raise _not_ours(path, "it is nested too deep")
    if encode_comment(fields) != comment:
        raise ReadError(
            f"{printable(path)}: the provenance in its ZIP comment is damaged (its own CRC-32 "
            "differs); build the file again"
        )
    del fields["crc32"]
    for name, right in _types(fields):
        if not right:
            raise _not_ours(path, f"{name} is of another kind")
    return fields


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


def _types(fields: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    """Each field that is read, and whether it has its type, the outer ones before the inner.

    A field that isn't there is a fault only where it is needed.
    """
    subset: Any = fields.get("subset")
    yield "subset", isinstance(subset, dict)
    yield "subset.name", isinstance(subset.get("name"), str)
    yield "subset.wnids", _is_list_of_str(subset.get("wnids"))
    labels = subset.get("labels", list(range(len(subset["wnids"]))))
    yield "subset.labels", _are_labels(labels, len(subset["wnids"]))
    names = subset.get("names", [None] * len(set(labels)))
    yield "subset.names", _are_names(names, len(set(labels)))
    yield "splits", _is_list_of_str(fields.get("splits", []))
    pipeline: Any = fields.get("pipeline", {"name": "", "device": "", "versions": {}})
    yield "pipeline", isinstance(pipeline, dict)
    yield "pipeline.name", isinstance(pipeline.get("name"), str)
    yield "pipeline.device", isinstance(pipeline.get("device"), str)
    yield "pipeline.versions", isinstance(pipeline.get("versions"), dict)
    yield "pipeline.versions", _is_list_of_str(list(pipeline["versions"].values()))
    left_out = fields.get("left_out", {})
    yield "left_out", isinstance(left_out, dict)
    yield "left_out", all(type(n) is int and n >= 0 for n in left_out.values())
    reencoded = fields.get("reencoded", 1)
    yield "reencoded", type(reencoded) is int and reencoded > 0
    yield "rule", isinstance(fields.get("rule", {}), dict)
    yield "train_id", fields.get("train_id", NAMES) == NAMES
    if "choice" in fields:
        yield from choice_types(fields["choice"])


def _are_labels(value: Any, count: int) -> bool:
    """Whether there is a label for each of some WNIDs: from 0, each the last one or the next."""
    if not isinstance(value, list) or len(value) != count or any(type(v) is not int for v in value):
        return False
    return value[:1] in ([], [0]) and all(b - a in (0, 1) for a, b in pairwise(value))


def _are_names(value: Any, count: int) -> bool:
    is_list = isinstance(value, list) and len(value) == count
    return is_list and all(name is None or isinstance(name, str) for name in value)


def _is_list_of_str(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
