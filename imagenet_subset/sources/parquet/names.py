"""What the rows of ILSVRC's parquet files are of: name and label, without the photos."""

from __future__ import annotations

from collections.abc import Iterator

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import wnid_of_index, wnid_of_val
from imagenet_subset.records import Split
from imagenet_subset.sources.names import Name, parse
from imagenet_subset.sources.parquet.files import listing, names_of, place_of
from imagenet_subset.system.text import counted

_TEST = -1
"""Label of the photos of test."""


def glance(path: str) -> tuple[set[Split], str]:
    """Splits that the names in the first and the last row group are of, and a name of none.

    Raises
    ------
    imagenet_subset.errors.SourceError
        The file can't be read, or has other columns.
    """
    splits: set[Split] = set()
    lost = ""
    with listing(path) as file:
        for group in sorted({0, file.num_row_groups - 1} - {-1}):
            for _, text, label in names_of(file, path, group):
                if name := parse(text or ""):
                    splits.add(name.split)
                elif label != _TEST:
                    lost = lost or repr(text)
    return splits, lost


def photos_in(path: str) -> Iterator[tuple[int, int, bytes, Name]]:
    """Row group, row, what the file says of it, and name of each photo of train and val.

    Raises
    ------
    imagenet_subset.errors.SourceError
        A name is none of ILSVRC's, or a label isn't that of the name.
    """
    lost, first, parsed = 0, "", False
    with listing(path) as file:
        for group in range(file.num_row_groups):
            place = place_of(file, path, group)
            for row, text, label in names_of(file, path, group):
                if label == _TEST:
                    continue
                where = f"row {row} of row group {group}"
                name = parse(text or "")
                if name is None:
                    lost, first = lost + 1, first or f"{where} has {text!r}"
                    continue
                parsed = True
                _check_label(f"{path}: {where}", name, label)
                yield group, row, place + (text or "").encode(), name
    if lost and not parsed:
        raise names_lost(path, first)
    if lost:
        raise SourceError(
            f"{path}: the name in {counted(lost, 'row')} is none of ILSVRC's ({first})"
        )


def names_lost(where: object, example: str) -> SourceError:
    """Why a file whose names are none of ILSVRC's can't be taken."""
    return SourceError(
        f"{where}: the names of the photos are lost (image.path: {example}), and without them "
        "their ILSVRC numbers aren't known; take ILSVRC/imagenet-1k on Hugging Face"
    )


def _check_label(where: str, name: Name, label: int | None) -> None:
    expected = name.stem[:9] if name.split == "train" else wnid_of_val(int(name.stem[-8:]))
    found = None if label is None else wnid_of_index(label)
    if expected is None or found != expected or name.wnid not in (None, expected):
        raise SourceError(
            f"{where}, {name.stem}, isn't as ILSVRC has it: expected {expected}, found label "
            f"{label} ({found}) and class {name.wnid} in its name"
        )
