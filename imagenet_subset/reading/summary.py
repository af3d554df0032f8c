"""What an NPZ holds, and the numbers for Normalize."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.errors import ReadError
from imagenet_subset.npz.archive import Archive, open_archive
from imagenet_subset.npz.class_csv import read_class_rows
from imagenet_subset.npz.labels import Label, labels_of
from imagenet_subset.npz.member import NpzMember
from imagenet_subset.npz.provenance import Provenance
from imagenet_subset.reading.subset import ImagenetSubset, check_members
from imagenet_subset.records import SPLITS, Split

_CHUNK = 256  # images, 39 MB


@dataclass(frozen=True, slots=True)
class Summary:
    """What an NPZ holds, by its headers, labels and provenance."""

    path: Path
    size: int
    """Of the file, in bytes."""
    arrays: tuple[NpzMember, ...]
    unreadable: dict[str, str]
    """Arrays that can't be read and that no subset needs, and why, a line each."""
    provenance: Provenance | None
    classes: list[tuple[Label, dict[str, int]]]
    """See `count_classes`; empty if the file is no subset."""
    not_a_subset: str | None
    """Why it is no subset, in one line; None if it is one."""
    stats: dict[Split, dict[str, list[float]] | None] | None = None
    """`split_stats` of each split; None if they weren't asked for."""

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON takes it, all of a class and its counts in one dictionary."""
        summary: dict[str, Any] = {
            "path": str(self.path),
            "size": self.size,
            "arrays": [_array(member) for member in self.arrays],
            "unreadable": self.unreadable,
            "provenance": None if self.provenance is None else self.provenance.to_dict(),
            "classes": [{**label.to_dict(), **counts} for label, counts in self.classes],
            "not_a_subset": self.not_a_subset,
        }
        return summary if self.stats is None else {**summary, "stats": self.stats}


def _array(member: NpzMember) -> dict[str, Any]:
    return {
        "key": member.key,
        "shape": list(member.shape),
        "dtype": str(member.dtype),
        "nbytes": member.nbytes,
        "offset": member.data_offset if member.mappable else None,
        "compressed": member.compressed,
    }


def summarize(path: str | os.PathLike[str]) -> Summary:
    """Describe an NPZ; no image is read.

    Raises
    ------
    ReadError
        The file can't be read or is no NPZ.
    """
    with open_archive(path) as archive:
        return _summary(archive)


def _summary(archive: Archive) -> Summary:
    provenance = Provenance.from_comment(archive.path, archive.comment)
    classes: list[tuple[Label, dict[str, int]]] = []
    not_a_subset = None
    try:
        check_members(archive)
    except ReadError as error:
        not_a_subset = str(error)
    else:
        rows = read_class_rows(archive.path, provenance)
        labels = labels_of(rows, () if provenance is None else provenance.names)
        classes = count_classes(archive.array("y_train"), archive.array("y_val"), labels)
    return Summary(
        archive.path,
        len(archive.mapped),
        tuple(archive.members.values()),
        archive.unreadable,
        provenance,
        classes,
        not_a_subset,
    )


def count_classes(
    y_train: NDArray[np.integer[Any]],
    y_val: NDArray[np.integer[Any]],
    labels: tuple[Label, ...],
) -> list[tuple[Label, dict[str, int]]]:
    """Images of each label and split, by ascending label.

    A label that nothing names, as all in a file without provenance and CSV, has no classes here.
    """
    counts: dict[int, dict[str, int]] = {label.number: {"train": 0, "val": 0} for label in labels}
    for split, y in zip(SPLITS, (y_train, y_val), strict=True):
        for number, n in zip(*np.unique(y, return_counts=True), strict=True):
            counts.setdefault(int(number), {"train": 0, "val": 0})[split] = int(n)
    known = {label.number: label for label in labels}
    return [(known.get(number, Label(number, "", ())), counts[number]) for number in sorted(counts)]


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
