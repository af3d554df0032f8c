"""The arrays of any NPZ, memory-mapped where that can be.

`numpy.load` ignores ``mmap_mode`` for an NPZ. But a member that is stored, and not compressed,
is a ``.npy`` file that starts at a known offset, so that its data can be mapped like that of any
other file; `open_archive` finds the offset and `Archive.array` maps it.

The package ``mmnpz`` rests on the same idea. It isn't used: it leaves compressed members out
without a word, reads headers by private functions of NumPy, and keeps the archive's comment and
CRCs, which are needed here, to itself.
"""

from __future__ import annotations

import ast
import contextlib
import errno
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from imagenet_subset.errors import ReadError, ReadRefusedError
from imagenet_subset.npz.layout import KEYS
from imagenet_subset.npz.names import is_partial
from imagenet_subset.system.files import pread_into, reading, regular
from imagenet_subset.system.text import gigabytes, printable

_LOCAL_HEADER = struct.Struct("<4s22x2H")
_END, _END_SIGNATURE, _MAX_COMMENT = struct.Struct("<20xH"), b"PK\5\6", 0xFFFF
_ENCRYPTED = 0x1
_HEADER_LENGTH = {(1, 0): "<H", (2, 0): "<I"}
_MAX_HEADER = 1 << 16
_NO_MAPS = {errno.ENODEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
"""What file systems without shared memory maps answer: ENODEV by mmap(2), others in fact."""
_NOT_ALLOWED = {errno.EACCES, errno.EPERM}
"""What a security policy answers that lets a file be read and not mapped."""
# What a ZIP directory, a compressed stream or a .npy header of random bytes makes the standard
# library and NumPy raise. The last line is for the header, which is parsed as Python.
_GARBLED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, NotImplementedError,
    ValueError, OverflowError,
    TypeError, SyntaxError, RecursionError, MemoryError, LookupError, AttributeError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NpzMember:
    """One array of an NPZ, as its headers describe it; no data is read for that."""

    path: Path
    key: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran_order: bool
    compressed: bool
    crc: int
    """CRC-32 of the whole ``.npy`` file, as the archive states it."""
    npy_nbytes: int
    """Size of the whole ``.npy`` file."""
    npy_offset: int
    """Of the ``.npy`` file from the start of the NPZ, in bytes; 0 for a compressed member."""
    data_offset: int
    """Of the array data, likewise."""

    @property
    def nbytes(self) -> int:
        """Size of the array in memory; that of pickled objects in the file is another."""
        return prod(self.shape) * self.dtype.itemsize

    @property
    def mappable(self) -> bool:
        """Whether the array can be a view of the file."""
        return not (self.compressed or self.dtype.hasobject)


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
            A compressed member is damaged, or holds Python objects.
        ReadRefusedError
            It can't be read, or takes more memory than can be had.
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
                f"{gigabytes(member.nbytes)} of memory, more than can be had; write it uncompressed"
            ) from error
        except _GARBLED as error:
            raise _damaged(self.path, f"{member.key} can't be decompressed") from error
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
            found = Archive(where, file, *_map(where, file), comment=archive.comment)
            for info in archive.infolist():
                if info.filename.endswith(".npy"):
                    _add_member(found, info, archive)
        if _comment_is_cut(found.mapped):
            raise _damaged(where, "it is cut short within its last bytes, the ZIP comment")
    except OSError as error:
        if error.errno == errno.EINVAL:  # a damaged directory points before the file's start
            raise ReadError(f"{printable(where)} {_what_else(where, file)}") from error
        raise
    except MemoryError as error:  # of a directory that is large, or says that it is
        raise ReadRefusedError(
            f"{printable(where)}: its ZIP directory takes more memory than can be had; free some, "
            "or raise its limit, and try again"
        ) from error
    except _GARBLED as error:
        raise ReadError(f"{printable(where)} {_what_else(where, file)}") from error
    return found


def _map(path: Path, file: IO[bytes]) -> tuple[NDArray[np.uint8], str]:
    """The file's bytes, and what kept them from being a shared map: some FUSE file systems do.

    Raises
    ------
    ReadRefusedError
        The process has no memory, address space or file descriptors left for a map: to read the
        whole file would take more of them.
    """
    try:
        return np.memmap(file, mode="r"), ""
    except OSError as error:
        if error.errno not in _NO_MAPS | _NOT_ALLOWED:
            raise _unmapped(path, file, error) from error
        why = f"the system refuses a shared memory map ({error.strerror}), it isn't known why"
        if error.errno in _NO_MAPS:
            why = (
                f"its file system refuses a shared memory map ({error.strerror}); a copy on a "
                "local disk opens as usual"
            )
    try:
        private = np.memmap(file, mode="c")
        private.setflags(write=False)
        return private, why
    except OSError:
        return _read_whole(path, file, why), why


def _unmapped(path: Path, file: IO[bytes], error: OSError) -> ReadRefusedError:
    remedy = "put that right"
    if error.errno == errno.ENOMEM:
        remedy = (
            f"the map takes {gigabytes(os.fstat(file.fileno()).st_size)} of address space: raise "
            "the limit (`ulimit -v`) if there is one, or let go of other maps and memory,"
        )
    return ReadRefusedError(
        f"can't memory-map {printable(path)}: {error.strerror or error}; {remedy} and try again"
    )


def _read_whole(path: Path, file: IO[bytes], why: str) -> NDArray[np.uint8]:
    size = os.fstat(file.fileno()).st_size
    try:
        data = np.empty(size, np.uint8)
    except MemoryError as error:
        raise ReadRefusedError(
            f"{printable(path)} takes {gigabytes(size)} of memory, more than can be had, "
            f"since {why}"
        ) from error
    n = pread_into(file.fileno(), data.data, 0)
    data.setflags(write=False)
    return data[:n]


def _what_else(path: Path, file: IO[bytes]) -> str:
    if is_partial(path):
        return "is an unfinished build; run the same build command again to finish it"
    start = bytearray(6)
    pread_into(file.fileno(), memoryview(start), 0)
    if start.startswith(b"PK\3\4"):
        return "is damaged or cut short: it starts as an NPZ, but its ZIP directory is unreadable"
    return "is a single .npy array, not an NPZ" if start == b"\x93NUMPY" else "is not an NPZ"


def _damaged(path: Path, what: str) -> ReadError:
    return ReadError(f"{printable(path)} is damaged: {what}; copy or build it again")


def _add_member(found: Archive, info: zipfile.ZipInfo, archive: zipfile.ZipFile) -> None:
    """Add an array; of one that no subset needs, as macOS's archiver adds, a fault does no harm."""
    key = info.filename.removesuffix(".npy")
    try:
        found.members[key] = _member(found.path, info, archive, found.mapped)
    except ReadError as error:
        if key in KEYS:
            raise
        found.unreadable[key] = str(error)


def _member(
    path: Path, info: zipfile.ZipInfo, archive: zipfile.ZipFile, mapped: NDArray[np.uint8]
) -> NpzMember:
    key = info.filename.removesuffix(".npy")
    if info.flag_bits & _ENCRYPTED:
        raise ReadError(f"{printable(path)}: {printable(key)} is encrypted; unpack it first")
    try:
        with archive.open(info) as file:
            shape, fortran_order, dtype = _npy_header(file)
            header_nbytes = file.tell()
    except _GARBLED as error:
        raise _damaged(
            path, f"{printable(key)} has an unreadable header ({_line(error)})"
        ) from error
    compressed = info.compress_type != zipfile.ZIP_STORED
    start = 0 if compressed else _start(info, mapped)
    offset = 0 if compressed else start + header_nbytes
    member = NpzMember(
        path, key, dtype, shape, fortran_order, compressed, info.CRC, info.file_size, start, offset
    )
    expected = header_nbytes + member.nbytes
    if min(shape, default=0) < 0 or (not dtype.hasobject and expected != info.file_size):
        raise _damaged(path, f"{printable(key)} is {dtype} {shape} but {info.file_size} bytes long")
    if not compressed and offset + info.file_size - header_nbytes > len(mapped):
        raise _damaged(path, f"{printable(key)} goes beyond the end of the file")
    return member


def _comment_is_cut(mapped: NDArray[np.uint8]) -> bool:
    """Whether fewer bytes follow the ZIP's end record than it says; `zipfile` takes what there is.

    Found as `zipfile` finds it: the last signature in the last 64 KiB or so.
    """
    tail = mapped[-(_END.size + _MAX_COMMENT) :].tobytes()
    end = tail.rfind(_END_SIGNATURE)
    (length,) = _END.unpack_from(tail, end)
    return end + _END.size + int(length) > len(tail)


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and dtype, by the format that `numpy.lib.format` describes.

    NumPy's own functions would give a header that Python can't parse a second chance as one of
    Python 2, which takes seconds where a header is padded.
    """
    version = npy.read_magic(file)
    if version not in _HEADER_LENGTH:
        raise ValueError(f"version {version[0]}.{version[1]} of the .npy format")
    length = struct.Struct(_HEADER_LENGTH[version])
    (nbytes,) = length.unpack(file.read(length.size))
    if nbytes > _MAX_HEADER:
        raise ValueError(f"a header of {nbytes} bytes")
    header = ast.literal_eval(file.read(nbytes).decode("latin1"))
    if not isinstance(header, dict) or header.keys() != {"descr", "fortran_order", "shape"}:
        raise ValueError("not descr, fortran_order and shape")
    shape, order = header["shape"], header["fortran_order"]
    if not isinstance(order, bool) or not isinstance(shape, tuple):
        raise ValueError(f"fortran_order {order!r}, shape {shape!r}")
    if not all(type(n) is int for n in shape):
        raise ValueError(f"shape {shape!r}")
    dtype = npy.descr_to_dtype(header["descr"])
    np.broadcast_to(np.empty((), dtype), shape)  # refuses a shape that no array of NumPy's has
    return shape, order, dtype


def _start(info: zipfile.ZipInfo, mapped: NDArray[np.uint8]) -> int:
    """Offset of a stored member's contents: the local header's names and extras have own sizes."""
    header = mapped[info.header_offset : info.header_offset + _LOCAL_HEADER.size]
    _, name, extra = _LOCAL_HEADER.unpack(header.tobytes())
    return int(info.header_offset + _LOCAL_HEADER.size + name + extra)


def _line(error: BaseException) -> str:
    text = str(error).splitlines()
    return printable(text[0]) if text else type(error).__name__
