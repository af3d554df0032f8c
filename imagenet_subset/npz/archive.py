"""The arrays of any NPZ, memory-mapped where that can be.

`numpy.load` ignores ``mmap_mode`` for an NPZ. But a member that is stored, and not compressed,
is a ``.npy`` file that starts at a known offset, so that its data can be mapped like that of any
other file; `open_archive` finds the offset and `Archive.array` maps it.

The package ``mmnpz`` rests on the same idea. It isn't used: it leaves compressed members out
without a word, reads headers by private functions of NumPy, and keeps the archive's comment and
CRCs, which are needed here, to itself.
"""

from __future__ import annotations

import contextlib
import errno
import os
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from imagenet_subset.errors import ReadError, ReadRefusedError
from imagenet_subset.npz.layout import KEYS
from imagenet_subset.npz.mapping import map_file
from imagenet_subset.npz.member import GARBLED, NpzMember, damaged, read_member
from imagenet_subset.npz.names import is_partial
from imagenet_subset.system.files import pread_into, reading, regular
from imagenet_subset.system.text import gigabytes, printable

_END, _END_SIGNATURE, _MAX_COMMENT = struct.Struct("<20xH"), b"PK\5\6", 0xFFFF


@dataclass(frozen=True, slots=True)
class Archive:
    """An open NPZ: its arrays' descriptions by key, its comment, and the file's bytes."""

    path: Path
    file: IO[bytes]
    """Open as long as `open_archive` lasts: a build may put a new file under the name meanwhile."""
    mapped: NDArray[np.uint8]
    """``(size,) uint8``, the whole file, read-only; outlives the open file."""
    unshared: str
    """Why ``mapped`` is no map that processes share, as the end of a sentence; empty if it is."""
    members: dict[str, NpzMember] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    """Arrays beside `KEYS` that can't be read, and why, a line each."""
    comment: bytes = b""

    def in_memory(self, key: str) -> bool:
        """Whether the array of a key is a copy in memory, and no view of the file."""
        return self.members[key].compressed or not isinstance(self.mapped, np.memmap)

    def array(self, key: str) -> NDArray[Any]:
        """Read-only array of a key that is there: a view of ``mapped``, or decompressed.

        Raises
        ------
        ReadError
            It holds Python objects, or is compressed and damaged.
        ReadRefusedError
            It can't be read, or takes more memory than there is.
        """
        member = self.members[key]
        if member.dtype.hasobject:
            raise ReadError(
                f"{printable(self.path)}: {printable(key)} holds Python objects, which only pickle "
                "can read and could run any code; write it as numbers"
            )
        if member.compressed:
            return self._decompressed(member)
        data = self.mapped[member.data_offset : member.data_offset + member.nbytes]
        order: Literal["F", "C"] = "F" if member.fortran_order else "C"
        return data.view(member.dtype).reshape(member.shape, order=order)

    def _decompressed(self, member: NpzMember) -> NDArray[Any]:
        try:
            with (
                reading(self.path),
                zipfile.ZipFile(self.file) as archive,
                archive.open(f"{member.key}.npy") as file,
            ):
                array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
        except MemoryError as error:
            raise ReadRefusedError(
                f"{printable(self.path)}: {member.key} is compressed and takes "
                f"{gigabytes(member.nbytes)} of memory, more than there is; write it uncompressed"
            ) from error
        except GARBLED as error:
            raise damaged(self.path, f"{member.key} can't be decompressed") from error
        array.setflags(write=False)
        return array


@contextlib.contextmanager
def open_archive(path: str | os.PathLike[str]) -> Iterator[Archive]:
    """Read the headers of an NPZ and map the file, without reading any data.

    Raises
    ------
    ReadError
        The file is no NPZ, or its headers contradict each other.
    ReadRefusedError
        It can't be read, or there is no memory to map it.
    """
    where = Path(os.path.abspath(path))
    with reading(where):
        file = open(where, "rb", opener=regular)  # noqa: SIM115 - closed below
    with file:
        with reading(where):
            archive = _parsed(where, file)
        if not archive.members and not archive.unreadable:
            raise ReadError(f"{printable(where)} is a ZIP archive without arrays, not an NPZ")
        yield archive


def _parsed(where: Path, file: IO[bytes]) -> Archive:
    try:
        with zipfile.ZipFile(file) as archive:
            found = Archive(where, file, *map_file(where, file), comment=archive.comment)
            for info in archive.infolist():
                if info.filename.endswith(".npy"):
                    _add_member(found, info, archive)
        if _comment_is_cut(found.mapped):
            raise damaged(where, "it is cut short within its last bytes, the ZIP comment")
    except OSError as error:
        if error.errno == errno.EINVAL:  # a damaged directory points before the file's start
            raise ReadError(f"{printable(where)} {_what_else(where, file)}") from error
        raise
    except MemoryError as error:  # of a directory that is large, or says that it is
        raise ReadRefusedError(
            f"{printable(where)}: its ZIP directory takes more memory than there is; free some, "
            "or raise its limit, and try again"
        ) from error
    except GARBLED as error:
        raise ReadError(f"{printable(where)} {_what_else(where, file)}") from error
    return found


def _what_else(path: Path, file: IO[bytes]) -> str:
    if is_partial(path):
        return "is an unfinished build; run the same build command again to finish it"
    start = bytearray(6)
    pread_into(file.fileno(), memoryview(start), 0)
    if start.startswith(b"PK\3\4"):
        return "is damaged or cut short: it starts as an NPZ, but its ZIP directory is unreadable"
    return "is a single .npy array, not an NPZ" if start == b"\x93NUMPY" else "is not an NPZ"


def _add_member(found: Archive, info: zipfile.ZipInfo, archive: zipfile.ZipFile) -> None:
    """Add an array; of one that no subset needs, as macOS's archiver adds, a fault does no harm."""
    key = info.filename.removesuffix(".npy")
    try:
        found.members[key] = read_member(found.path, info, archive, found.mapped)
    except ReadError as error:
        if key in KEYS:
            raise
        found.unreadable[key] = str(error)


def _comment_is_cut(mapped: NDArray[np.uint8]) -> bool:
    """Whether fewer bytes follow the ZIP's end record than it says; `zipfile` takes what there is.

    Found as `zipfile` finds it: the last signature in the last 64 KiB or so.
    """
    tail = mapped[-(_END.size + _MAX_COMMENT) :].tobytes()
    end = tail.rfind(_END_SIGNATURE)
    (length,) = _END.unpack_from(tail, end)
    return end + _END.size + int(length) > len(tail)
