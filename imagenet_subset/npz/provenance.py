"""How a file was made: the JSON in an NPZ's archive comment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from imagenet_subset.errors import ReadError
from imagenet_subset.npz.crc import crc32
from imagenet_subset.system.text import printable

FORMAT_VERSION = 1


def encode_comment(provenance: Mapping[str, Any]) -> bytes:
    """Archive comment that carries a provenance.

    Examples
    --------
    >>> encode_comment({"format": "imagenet-subset"})
    b'{"crc32":"80d10582","format":"imagenet-subset"}'
    """
    crc = crc32(_json({k: v for k, v in provenance.items() if k != "crc32"}))
    return _json({**provenance, "crc32": f"{crc:08x}"})


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


_DEEPEST = 8
"""Levels of lists and objects in a provenance; a build writes three."""


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
