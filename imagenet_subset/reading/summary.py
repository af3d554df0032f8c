"""What an NPZ holds, as one JSON-ready dictionary; and the numbers for Normalize."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.errors import ReadError
from imagenet_subset.npz.archive import Archive, open_archive
from imagenet_subset.npz.class_csv import ClassRow, read_class_rows
from imagenet_subset.npz.provenance import read_provenance
from imagenet_subset.reading.subset import ImagenetSubset, check_members
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.system.text import printable

_CHUNK = 256  # images, 39 MB


def summarize(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Describe an NPZ by its headers, labels and provenance; no image is read.

    Returns
    -------
    dict
        ``path``, ``size`` (bytes), ``arrays`` (one dict per key: ``key``, ``shape``, ``dtype``,
        ``nbytes``, ``offset``, ``compressed``), ``unreadable`` (key and reason of arrays that
        can't be read and that no subset needs), ``provenance`` (dict or None), ``classes`` (see
        `count_classes`; one dict per label: the CSV's columns, ``train`` and ``val``) and
        ``not_a_subset``: None, or in one line why ``classes`` is empty.

    Raises
    ------
    ReadError
        The file can't be read or is no NPZ.
    """
    with open_archive(path) as archive:
        return _summary(archive)


def _summary(archive: Archive) -> dict[str, Any]:
    provenance = read_provenance(archive.path, archive.comment)
    summary: dict[str, Any] = {
        "path": str(archive.path),
        "size": len(archive.mapped),
        "arrays": [
            {
                "key": member.key,
                "shape": list(member.shape),
                "dtype": str(member.dtype),
                "nbytes": member.nbytes,
                "offset": member.data_offset if member.mappable else None,
                "compressed": member.compressed,
            }
            for member in archive.members.values()
        ],
        "unreadable": archive.unreadable,
        "provenance": provenance,
    }
    try:
        check_members(archive)
    except ReadError as error:
        return {**summary, "classes": [], "not_a_subset": str(error)}
    rows = read_class_rows(archive.path, provenance)
    return {**summary, "classes": _class_table(archive, rows), "not_a_subset": None}


def _class_table(archive: Archive, rows: tuple[ClassRow, ...]) -> list[dict[str, Any]]:
    labels = {split: archive.array(f"y_{split}") for split in SPLITS}
    return [
        {**row._asdict(), **counts}
        for row, counts in count_classes(labels["train"], labels["val"], rows)
    ]


def count_classes(
    y_train: NDArray[np.integer[Any]],
    y_val: NDArray[np.integer[Any]],
    rows: tuple[ClassRow, ...],
) -> list[tuple[ClassRow, dict[str, int]]]:
    """Images of each class and split, by ascending label.

    A label that no row names, as all do in a file without provenance and CSV, gets a row with
    the id 0 and empty names.
    """
    counts: dict[int, dict[str, int]] = {row.subset_label: {"train": 0, "val": 0} for row in rows}
    for split, y in zip(SPLITS, (y_train, y_val), strict=True):
        for label, n in zip(*np.unique(y, return_counts=True), strict=True):
            counts.setdefault(int(label), {"train": 0, "val": 0})[split] = int(n)
    named = {row.subset_label: row for row in rows}
    return [
        (named.get(label, ClassRow(label, 0, "", "")), counts[label]) for label in sorted(counts)
    ]


def describe_provenance(provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Provenance for people: a name and a value for each line."""
    subset, pipeline = provenance["subset"], provenance.get("pipeline", {})
    versions = ", ".join(f"{name} {v}" for name, v in pipeline.get("versions", {}).items())
    left_out = provenance.get("left_out", {})
    lines = [
        ("subset", f"{subset['name']}, {len(subset['wnids'])} classes"),
        ("splits", ", ".join(provenance.get("splits", []))),
        ("written by", f"imagenet-subset {provenance.get('program_version')}"),
        ("pipeline", f"{pipeline.get('name')} on {pipeline.get('device')} ({versions})"),
        ("pixel rule", str(provenance.get("pixel_rule"))),
        ("left out", ", ".join(f"{n} {why}" for why, n in left_out.items())),
    ]
    return [(name, printable(value)) for name, value in lines]


def split_stats(
    subset: ImagenetSubset, split: Split, progress: Callable[[int], object] = lambda _: None
) -> dict[str, list[float]] | None:
    """`channel_stats` of a split, in constant memory however large it is.

    Parameters
    ----------
    progress
        Called with the number of images just done.
    """
    return channel_stats(_chunks(subset, split, progress))


def _chunks(
    subset: ImagenetSubset, split: Split, progress: Callable[[int], object]
) -> Iterator[NDArray[np.uint8]]:
    mapped = f"X_{split}" not in subset.in_memory
    for start in range(0, len(subset.labels(split)), _CHUNK):
        chunk = subset.images(split)[start : start + _CHUNK]
        yield chunk
        progress(len(chunk))
        if mapped:
            # The pages of a map that were touched count as memory of the process as long as the
            # map lives, so go on with a fresh one. A copy opens the file anew.
            subset = copy.copy(subset)


def channel_stats(chunks: Iterable[NDArray[np.uint8]]) -> dict[str, list[float]] | None:
    """Mean and standard deviation of each channel over all pixels, on the scale 0 to 1.

    These are the numbers for ``Normalize``. The sums are exact integers, so the result doesn't
    depend on how the images are cut into chunks.

    Parameters
    ----------
    chunks
        Images, each ``(n, H, W, 3) uint8``.

    Returns
    -------
    dict or None
        ``mean`` and ``std`` (of the population: divided by the number of pixels), three values
        each. None if there are no pixels.

    Examples
    --------
    >>> channel_stats([np.array([0, 255], np.uint8).reshape(2, 1, 1, 1).repeat(3, axis=3)])
    {'mean': [0.5, 0.5, 0.5], 'std': [0.5, 0.5, 0.5]}
    """
    n, sums, squares = 0, [0, 0, 0], [0, 0, 0]
    for image in (image for chunk in chunks for image in chunk if image.size):
        height, width, _ = image.shape
        # Adding up image rows first keeps NumPy's inner loop long; 255 ** 2 fits in uint16.
        rows = np.asarray(image).reshape(height, width * 3)
        for totals, values in ((sums, rows), (squares, np.square(rows, dtype=np.uint16))):
            by_column = values.sum(axis=0, dtype=np.uint64).reshape(width, 3)
            for channel, total in enumerate(by_column.sum(axis=0)):
                totals[channel] += int(total)
        n += height * width
    if not n:
        return None
    return {
        "mean": [s / (255 * n) for s in sums],
        "std": [math.sqrt(q * n - s * s) / (255 * n) for s, q in zip(sums, squares, strict=True)],
    }
