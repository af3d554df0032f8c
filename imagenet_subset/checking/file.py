"""Proof that a finished NPZ is what it was: structure, checksums, labels, ids.

Everything in a file of ours but the data of the arrays follows from the provenance, the number of
rows and the CRCs, so it is compared byte for byte; the data is covered by the CRCs. Pixels are
compared with the photos by `imagenet_subset.checking.pixels`.
"""

from __future__ import annotations

import functools
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from imagenet_subset.checking.labels import label_problems
from imagenet_subset.errors import ReadError, ReadRefusedError
from imagenet_subset.npz.archive import Archive, open_archive
from imagenet_subset.npz.crc import combine, combine_rows, crc32
from imagenet_subset.npz.layout import KEYS, Layout, headers
from imagenet_subset.npz.member import NpzMember
from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.records import SPLITS
from imagenet_subset.system.files import pread_into, reading
from imagenet_subset.system.text import printable
from pipelines.rule import DEFAULT

_BLOCK = 1 << 23

Progress = Callable[[int], object]


@dataclass(slots=True)
class VerifyReport:
    """What `verify` found."""

    path: Path
    """The file."""
    checked: list[str] = field(default_factory=list)
    """What was checked, a line each."""
    problems: list[str] = field(default_factory=list)
    """What is wrong with the file, a line each; empty for a sound one."""
    unread: int = 0
    """How many of them are arrays that the disk or the network can't read, sound or not."""
    source_problems: list[str] = field(default_factory=list)
    """Why photos couldn't be compared with the file, a line each."""
    readable: bool = False
    """Whether the arrays could be opened at all, and read."""
    compared: int = 0
    """Images decoded again and compared."""
    max_difference: int = 0
    """Largest difference of any compared value, of 255."""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong, and all that was to be checked could be."""
        return not (self.problems or self.source_problems)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON takes it."""
        return {
            "path": str(self.path),
            "ok": self.ok,
            "checked": self.checked,
            "problems": self.problems,
            "unread": self.unread,
            "source_problems": self.source_problems,
            "compared": self.compared,
            "max_difference": self.max_difference,
        }


def verify(
    path: str | Path, *, workers: int = 1, progress: Progress = lambda _: None
) -> VerifyReport:
    """Check a finished NPZ by itself: structure, CRCs, shapes, labels, ids.

    Parameters
    ----------
    path
        The ``.npz`` file. One of another program, with no provenance, is checked as far as it
        goes.
    workers
        Threads that compute checksums.
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
    imagenet_subset.errors.ReadRefusedError
        The system doesn't let the file, or the CSV beside it, be read: it may be sound.
    """
    report = VerifyReport(Path(path))
    try:
        _check_is_file(report.path)
        _check_contents(report, workers, progress)
    except ReadRefusedError as error:
        if not report.problems:
            unknown = f"whether {printable(path)} is sound is unknown"
            raise ReadRefusedError(f"{unknown}: {error}") from error
        report.problems.append(str(error))
    return report


def _check_is_file(path: Path) -> None:
    with reading(path):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ReadError(f"{printable(path)} doesn't exist") from error
    if not stat.S_ISREG(mode):
        what = "a folder, not a file" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise ReadError(f"{printable(path)} is {what}")


def _check_contents(report: VerifyReport, workers: int, progress: Progress) -> None:
    try:
        # One open file for all of it: a build may put a new file under the name meanwhile.
        with open_archive(report.path) as archive:
            _check(archive, report, workers, progress)
    except ReadRefusedError:
        raise
    except ReadError as error:
        report.problems.append(str(error))


def _check(archive: Archive, report: VerifyReport, workers: int, progress: Progress) -> None:
    report.problems += _crc_problems(archive, report, workers, progress)
    if report.unread:
        return  # what is checked below is read through a map: a failing disk ends the process
    subset = ImagenetSubset.of(archive)  # which decompresses and checks what is compressed
    report.readable = True
    report.checked.append(f"CRC-32 of {len(archive.members)} arrays")
    for key in archive.unreadable:
        report.checked.append(f"not {printable(key)}: it can't be read, and no subset needs it")
    report.problems += _structure_problems(archive, subset, report)
    report.problems += label_problems(subset)
    report.checked.append(
        "labels against the classes, ids against the tables of ILSVRC 2012"
        if subset.class_rows
        else "ids only: nothing says which classes the labels are"
    )
    if subset.by_name:
        report.checked[-1] += "; train ids are made of the photos' names"


def _crc_problems(
    archive: Archive, report: VerifyReport, workers: int, progress: Progress
) -> Iterator[str]:
    """Stored members whose contents can't be read or don't have the CRC-32 that is stated."""
    for member in archive.members.values():
        if member.compressed:
            continue
        try:
            crc = _crc(archive, member, workers, progress)
        except OSError as error:
            report.unread += 1
            yield f"{printable(member.key)} can't be read: {error.strerror or error}"
            continue
        if crc != member.crc:
            yield (
                f"{printable(member.key)} is damaged: its CRC-32 is {crc:08x}, the archive says "
                f"{member.crc:08x}"
            )


def _crc(archive: Archive, member: NpzMember, workers: int, progress: Progress) -> int:
    """CRC-32 of a stored member.

    The file is read and not mapped: from a failing disk, a read ends in an error, and a map in
    the end of the process.
    """
    size = member.npy_nbytes
    starts = range(0, size, _BLOCK)
    sizes = [min(_BLOCK, size - start) for start in starts]
    crcs: list[int] = []
    pool = ThreadPoolExecutor(workers)  # reading and zlib leave Python to the other threads
    try:
        block_crc = functools.partial(_block_crc, archive.file.fileno(), member)
        for crc, nbytes in zip(pool.map(block_crc, starts, sizes), sizes, strict=True):
            crcs.append(crc)
            progress(nbytes)
    finally:
        pool.shutdown(cancel_futures=True)
    *full, last = crcs
    if not full:
        return last
    return combine(combine_rows(np.array(full, np.uint32), _BLOCK), last, sizes[-1])


def _block_crc(fd: int, member: NpzMember, start: int, nbytes: int) -> int:
    buffer = memoryview(bytearray(nbytes))
    n = pread_into(fd, buffer, member.npy_offset + start)
    return crc32(buffer[:n])


def _structure_problems(
    archive: Archive, subset: ImagenetSubset, report: VerifyReport
) -> Iterator[str]:
    """Differences from the format in `imagenet_subset.npz.layout`, outside the arrays' data."""
    rows = {split: len(subset.ids(split)) for split in SPLITS}
    # An array without images may claim any size for them.
    shape = archive.members["X_train" if rows["train"] else "X_val"].shape[1:]
    layout = Layout.of(rows, shape, b"" if subset.made is None else subset.made.to_comment())
    if subset.made is None:
        if all(archive.members[m.key].data_offset == m.data_offset for m in layout.members):
            yield "the archive comment is damaged: it isn't the provenance of a build"
        else:
            report.checked.append("no provenance: a file of another program")
        return
    rule = subset.made.rule
    if rule and rule.shape != shape:
        yield f"its images are {shape}, and its pixel rule makes {rule.shape}"
    crcs = {key: archive.members[key].crc for key in KEYS}
    for name, offset, expected in headers(layout, crcs):
        if archive.mapped[offset : offset + len(expected)].tobytes() != expected:
            yield f"the {name} at byte {offset} is damaged: it isn't what the format demands"
    if len(archive.mapped) != layout.size:
        yield f"the file has {len(archive.mapped)} bytes, the format demands {layout.size}"
    size = ""
    if rule and rule != DEFAULT:
        size = f"; images of {rule.crop}x{rule.crop}, as its rule makes them"
    report.checked.append(f"structure, byte for byte{size}")
