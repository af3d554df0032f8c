"""Proof that a finished NPZ is what it was: structure, checksums, labels, ids, pixels.

Everything in a file of ours but the image rows follows from the provenance, the labels and the
CRCs, so it is compared byte for byte; the rows are covered by the CRCs.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.classes import class_table, val_ground_truth
from imagenet_subset.errors import ReadError, printable
from imagenet_subset.npz import KEYS, Layout
from imagenet_subset.npzmap import Archive, read_archive
from imagenet_subset.reader import ImagenetSubset, open_subset
from imagenet_subset.records import SPLITS, Split

_BLOCK = 1 << 24
_END_RECORD = b"PK\5\6"
_END_RECORD_NBYTES = 22

Progress = Callable[[int], None]


@dataclass(slots=True)
class VerifyReport:
    """What `verify` found."""

    path: Path
    checked: list[str] = field(default_factory=list)
    """What was checked, a line each."""
    problems: list[str] = field(default_factory=list)
    """What is wrong, a line each; empty for a sound file."""
    readable: bool = False
    """Whether the arrays could be opened at all."""
    compared: int = 0
    """Images decoded again and compared."""
    max_difference: int = 0
    """Largest difference of any compared value, of 255."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_json(self) -> str:
        """The report as a JSON object."""
        return json.dumps(
            {
                "path": printable(self.path),
                "ok": self.ok,
                "checked": self.checked,
                "problems": self.problems,
                "compared": self.compared,
                "max_difference": self.max_difference,
            },
            indent=2,
        )


def verify(path: str | Path, *, progress: Progress | None = None) -> VerifyReport:
    """Check a finished NPZ by itself: structure, CRCs, shapes, labels, ids.

    Parameters
    ----------
    path
        The ``.npz`` file. One of another program, with no provenance, is checked as far as it
        goes.
    progress
        Called with numbers of bytes as they are read.

    Returns
    -------
    VerifyReport
        A damaged file is no exception: its problems are listed.

    Raises
    ------
    imagenet_subset.errors.ReadError
        There is no such file.
    """
    report = VerifyReport(Path(path))
    if not report.path.is_file():
        raise ReadError(f"there is no file {printable(path)}")
    try:
        archive = read_archive(path)
        report.problems += _crc_problems(archive, progress or (lambda _n: None))
        subset = open_subset(path)
        report.readable = True
        report.checked.append(f"CRC-32 of {len(archive.members)} arrays")
        report.problems += _structure_problems(archive, subset, report)
        report.problems += _label_problems(subset)
        report.checked.append("labels against the classes, ids against the ILSVRC tables")
    except ReadError as error:
        report.problems.append(str(error))
    return report


def _crc_problems(archive: Archive, progress: Progress) -> Iterator[str]:
    """Members whose contents don't have the CRC-32 that the archive states."""
    import zipfile

    for member in archive.members.values():
        if member.compressed:
            with zipfile.ZipFile(archive.path) as zip_file:
                try:
                    with zip_file.open(f"{member.key}.npy") as file:
                        while block := file.read(_BLOCK):
                            progress(len(block))
                except (zipfile.BadZipFile, zlib.error, EOFError):
                    yield f"{member.key} is damaged: its contents can't be decompressed"
            continue
        start, crc = member.npy_offset, 0
        stop = member.data_offset + member.nbytes
        for offset in range(start, stop, _BLOCK):
            block = archive.mapped[offset : min(offset + _BLOCK, stop)]
            crc = zlib.crc32(block, crc)
            progress(len(block))
        if crc != member.crc:
            yield (
                f"{member.key} is damaged: its CRC-32 is {crc:08x}, the archive says "
                f"{member.crc:08x}"
            )


def _structure_problems(
    archive: Archive, subset: ImagenetSubset, report: VerifyReport
) -> Iterator[str]:
    """Differences from the format in `imagenet_subset.npz`, outside the arrays' data."""
    tail = archive.mapped[-(1 << 16) - _END_RECORD_NBYTES :].tobytes()
    comment = tail[tail.rindex(_END_RECORD) + _END_RECORD_NBYTES :]
    if subset.provenance is None:
        if comment:
            yield "the archive comment is damaged: it isn't the provenance of a build"
        else:
            report.checked.append("no provenance: a file of another program")
        return
    rows = {split: len(subset.ids(split)) for split in SPLITS}
    layout = Layout.of(rows, subset.provenance)
    crcs = {key: archive.members[key].crc for key in KEYS}
    pieces = [
        (f"header of {m.key}", m.offset, m.local_header(crcs[m.key]) + m.npy_header)
        for m in layout.members
    ]
    pieces.append(("directory", layout.members[-1].end, layout.directory(crcs)))
    for name, offset, expected in pieces:
        if archive.mapped[offset : offset + len(expected)].tobytes() != expected:
            yield f"the {name} at byte {offset} is damaged: it isn't what the format demands"
    if len(archive.mapped) != layout.size:
        yield f"the file has {len(archive.mapped)} bytes, the format demands {layout.size}"
    report.checked.append("structure, byte for byte")


def _label_problems(subset: ImagenetSubset) -> Iterator[str]:
    """The first row of each split that is out of order, out of range or of the wrong class."""
    rows = subset.class_rows
    table = class_table()
    for row in rows:
        known = table.get(row.WNID)
        if known is None or (known.clsloc_id, known.human_label) != (
            row.original_id,
            row.human_label,
        ):
            yield f"class {row.subset_label} ({row.WNID}) differs from the ILSVRC table"
            return
    for split in SPLITS:
        ids = subset.ids(split).astype(np.int64)
        labels = subset.labels(split).astype(np.int64)
        bad = _first(np.diff(ids) <= 0)
        if bad is not None:
            yield (
                f"row {bad + 1} of {split}: id {ids[bad + 1]} behind {ids[bad]}; ids ascend and "
                "none stands twice"
            )
        bad = _first((labels < 0) | (labels >= len(rows))) if rows else None
        if bad is not None:
            yield f"row {bad} of {split}: label {labels[bad]}, but there are {len(rows)} classes"
        elif rows:
            yield from _class_problems(split, ids, labels, [row.WNID for row in rows])


def _class_problems(
    split: Split, ids: NDArray[np.int64], labels: NDArray[np.int64], wnids: list[str]
) -> Iterator[str]:
    expected = np.array([class_table()[wnid].clsloc_id for wnid in wnids], np.int64)
    found = _class_of_ids(split, ids)
    bad = _first(found != expected[labels])
    if bad is None:
        return
    by_id = {c.clsloc_id: c for c in class_table().values()}
    belongs = f"is a {by_id[found[bad]].human_label}" if found[bad] else "doesn't exist"
    label = labels[bad]
    name = class_table()[wnids[label]].human_label
    yield (
        f"row {bad} of {split}: label {label} ({name}), but ILSVRC image {ids[bad]} {belongs}"
    )


def _class_of_ids(split: Split, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """CLS-LOC id of the class of each ILSVRC image, 0 for images that don't exist."""
    if split == "val":
        truth = val_ground_truth().astype(np.int64)
    else:
        classes = class_table().values()
        truth = np.repeat(
            np.array([c.clsloc_id for c in classes], np.int64),
            [c.num_train_images for c in classes],
        )
    exists = (ids >= 1) & (ids <= len(truth))
    return np.where(exists, truth[np.where(exists, ids - 1, 0)], 0)


def _first(wrong: NDArray[np.bool_]) -> int | None:
    rows = np.flatnonzero(wrong)
    return int(rows[0]) if len(rows) else None
