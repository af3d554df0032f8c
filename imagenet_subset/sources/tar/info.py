"""``_info.json`` beside a set of shards, as timm has it: which files the set has."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Sequence

from imagenet_subset.system.files import regular
from imagenet_subset.system.text import few

_NAME = "_info.json"
_MOST = 16 << 20
"""In bytes; timm's has 60 kB."""
_LONGEST = 255
"""Characters of a name."""
_SPLITS = ("train", "validation")


def lacking(folder: str, files: Collection[str]) -> Iterator[str]:
    """Say which files of a set aren't there; of a split that isn't there at all, nothing.

    Parameters
    ----------
    files
        Those that are there: their paths below the folder.
    """
    there = {*files, *map(os.path.basename, files)}
    splits = _field(_read(os.path.join(folder, _NAME)), "splits")
    for split in _SPLITS:
        names = _names(_field(_field(splits, split), "filenames"))
        absent = [name for name in names if os.path.normpath(name) not in there]
        if 0 < len(absent) < len(names):
            verb = "isn't" if len(absent) == 1 else "aren't"
            yield (
                f"of the {len(names):,} {split} files in {_NAME} {len(absent):,} {verb} there "
                f"({few(absent)})"
            )


def _read(path: str) -> object:
    """What a JSON file says; None if it can't be read: it is of use, and not needed."""
    try:
        with open(path, "rb", opener=regular) as file:
            text = file.read(_MOST + 1)
        return json.loads(text) if len(text) <= _MOST else None
    except (OSError, ValueError, RecursionError):
        return None


def _field(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _names(value: object) -> Sequence[str]:
    """Names of files, each once; none if it is anything else."""
    if not isinstance(value, list):
        return []
    names = [name for name in value if isinstance(name, str) and 0 < len(name) <= _LONGEST]
    return list(dict.fromkeys(names)) if len(names) == len(value) else []
