r"""Which rows of an unfinished NPZ are done: the file beside it that makes a rerun a resume.

The file is::

    magic               b"imagenet-subset journal 1\n"
    header length       uint32, little-endian
    header CRC-32       uint32, little-endian
    header              JSON: ``fingerprint``, everything that decides the NPZ's bytes, and
                        ``source``, where the photos were when it was begun
    entries             uint64 each, little-endian; rows of train, then rows of val
    moved               uint64, little-endian; how many rows have begun to move up

An entry is ``2**32 + CRC-32 of the row``; every other value, a torn or missing entry among them,
means that the row is pending. The journal never has to reach the disk in any order: a rerun
believes an entry only when the row's bytes in the NPZ have that CRC.

``moved`` is 0 but while rows move up to close the gaps of images that are left out
(`imagenet_subset.building.leaving_out.move_rows_up`); a journal without it says the same as 0.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.errors import ResumeMismatchError
from imagenet_subset.npz.crc import crc32
from imagenet_subset.npz.differences import compare
from imagenet_subset.npz.rows import runs
from imagenet_subset.system.files import (
    open_for_update,
    pread_into,
    pwrite_all,
    regular,
    writing,
)
from imagenet_subset.system.publishing import remove_opened, write_atomically
from imagenet_subset.system.text import printable

MAGIC = b"imagenet-subset journal 1\n"
_HEAD = struct.Struct("<2I")
_MAX_HEADER = 1 << 20  # a provenance has 64 KiB at most
_DONE = np.uint64(1 << 32)


class Journal:
    """An open journal: its entries in memory, each change written through.

    Attributes
    ----------
    fingerprint : dict
    source : str
        Where the photos were when the build began; they may have moved since.
    entries : NDArray[np.uint64]
        ``(N_train + N_val,)``, as in the file.
    moved : int
        How many rows had begun to move up when a move was cut short; 0 if none was.
    """

    def __init__(
        self, path: Path, file: IO[bytes], start: int, header: dict[str, Any], rows: int
    ) -> None:
        self._path = path
        self._file = file
        self._start = start
        self.fingerprint: dict[str, Any] = header["fingerprint"]
        self.source: str = header["source"]
        buffer = bytearray(8 * (rows + 1))
        pread_into(file.fileno(), memoryview(buffer), start)
        values = np.frombuffer(buffer, "<u8").astype(np.uint64)
        self.entries, self.moved = values[:rows], int(values[rows])

    @property
    def done(self) -> NDArray[np.bool_]:
        """``(N,) bool``: the rows that have a CRC."""
        done: NDArray[np.bool_] = (self.entries >> np.uint64(32)) == 1
        return done

    @property
    def crcs(self) -> NDArray[np.uint32]:
        """``(N,) uint32``: CRC-32 of each row that is done, anything for the others."""
        return (self.entries & np.uint64(0xFFFFFFFF)).astype(np.uint32)

    def record(self, indices: Sequence[int], crcs: Sequence[int | None]) -> None:
        """Note what became of some rows, in any order: a CRC-32 each, or None for pending.

        Raises
        ------
        OutputError
            The file can't be written.
        """
        entries = [0 if crc is None else (1 << 32) | crc for crc in crcs]
        self.entries[np.array(indices, np.intp)] = np.array(entries, np.uint64)
        for run in runs(indices):
            self._write(self.entries[run.start : run.stop], run.start)

    def note_moved(self, count: int) -> None:
        """Note how many rows have begun to move up.

        Raises
        ------
        OutputError
            The file can't be written.
        """
        self.moved = count
        self._write(np.array([count], np.uint64), len(self.entries))

    def remove(self) -> None:
        """Remove the file, unless another build's journal has its name by now.

        Raises
        ------
        OutputError
            It can't be removed.
        """
        with writing(self._path, kept=True):
            remove_opened(self._path, self._file.fileno(), self._file.close)

    def _write(self, values: NDArray[np.uint64], place: int) -> None:
        with writing(self._path, kept=True):
            pwrite_all(self._file.fileno(), values.astype("<u8").tobytes(), self._start + 8 * place)


def create(path: Path, fingerprint: Mapping[str, Any], rows: int, source: str = "") -> None:
    """Write a new journal with every row pending, in place of any other.

    Raises
    ------
    OutputError
        It can't be written.
    """
    content = {"fingerprint": fingerprint, "source": source}
    header = json.dumps(content, sort_keys=True).encode()
    head = MAGIC + _HEAD.pack(len(header), crc32(header)) + header
    with writing(path):
        write_atomically(path, head + bytes(8 * (rows + 1)))


@contextlib.contextmanager
def opened(path: Path, rows: int, *, to_look: bool = False) -> Iterator[Journal]:
    """Open the journal at ``path`` for ``rows`` rows; ``to_look`` only, or for update.

    Raises
    ------
    OutputError
        There is none, or it can't be opened.
    ResumeMismatchError
        The file is damaged, or no journal.
    """
    with writing(path):
        fd = regular(path, os.O_RDONLY) if to_look else open_for_update(path)
        file = os.fdopen(fd, "rb" if to_look else "r+b", buffering=0)
    try:
        with writing(path):
            header, start = _read_header(file.fileno(), path)
        yield Journal(path, file, start, header, rows)
    finally:
        # What a network disk could not store is reported here. It is no loss: it is pending.
        with contextlib.suppress(OSError):
            file.close()


def count_done(path: Path) -> tuple[int, int]:
    """How many rows a journal has as done, and how many it has; nobody's build is disturbed.

    Raises
    ------
    OSError
        It can't be read.
    ResumeMismatchError
        It is damaged, or no journal.
    """
    with open(path, "rb", buffering=0, opener=regular) as file:
        header, start = _read_header(file.fileno(), path)
        rows = max(0, (os.fstat(file.fileno()).st_size - start) // 8 - 1)
        done = Journal(path, file, start, header, rows).done
    return int(np.count_nonzero(done)), rows


def _read_header(fd: int, path: Path) -> tuple[dict[str, Any], int]:
    head = bytearray(len(MAGIC) + _HEAD.size)
    pread_into(fd, memoryview(head), 0)
    length, crc = _HEAD.unpack_from(head, len(MAGIC))
    data = bytearray(min(length, _MAX_HEADER))
    n = pread_into(fd, memoryview(data), len(head))
    # A power cut may leave zeros, and the CRC-32 of nothing is 0.
    if not head.startswith(MAGIC) or not n or n < length or crc32(data) != crc:
        raise _damaged(path)
    try:
        header = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _damaged(path) from error
    if not _is_header(header):
        raise _damaged(path)
    return header, len(head) + length


def _is_header(header: object) -> bool:
    return (
        isinstance(header, dict)
        and isinstance(header.get("fingerprint"), dict)
        and isinstance(header.get("source"), str)
    )


def _damaged(path: Path) -> ResumeMismatchError:
    return ResumeMismatchError(
        f"{printable(path)} is damaged, so what is done is unknown; pass --overwrite to begin again"
    )


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """Fields in which two fingerprints differ, both sides of each.

    Examples
    --------
    >>> differences({"pipe": {"name": "dali"}, "a": 1}, {"pipe": {"name": "pillow"}, "a": 1})
    ['pipe.name: dali there, pillow here']
    """
    return [
        f"{difference.name}: other photos, or another order or numbering of them"
        if difference.path[:-1] == ("records",)
        else str(difference)
        for difference in compare(theirs, ours)
    ]
