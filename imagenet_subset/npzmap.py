"""The arrays of any NPZ, memory-mapped where that can be.

`numpy.load` ignores ``mmap_mode`` for an NPZ. But a member that is stored, and not compressed,
is a ``.npy`` file that starts at a known offset, so that its data can be mapped like that of any
other file; `read_archive` finds the offset and `NpzMember.array` maps it.

The package ``mmnpz`` rests on the same idea. It isn't used: it leaves compressed members out
without a word, reads headers by private functions of NumPy, and keeps the archive's comment and
CRCs, which are needed here, to itself.
"""

from __future__ import annotations

import ast
import errno
import lzma
import os
import struct
import zipfile
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from imagenet_subset.errors import ReadError, printable
from imagenet_subset.fileio import gigabytes

_LOCAL_HEADER = struct.Struct("<4s22x2H")
_END, _END_SIGNATURE, _MAX_COMMENT = struct.Struct("<20xH"), b"PK\5\6", 0xFFFF
_ENCRYPTED = 0x1
_HEADER_LENGTH = {(1, 0): "<H", (2, 0): "<I"}
_MAX_HEADER = 1 << 16
# What a ZIP directory, a compressed stream or a .npy header of random bytes makes the standard
# library and NumPy raise. The last line is for the header, which is parsed as Python.
_GARBLED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, NotImplementedError,
    ValueError, OverflowError,
    TypeError, SyntaxError, RecursionError, MemoryError,
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

    def array(self, mapped: NDArray[np.uint8]) -> NDArray[Any]:
        """Read-only array: a view of ``mapped``, or a copy in memory if it is compressed.

        Parameters
        ----------
        mapped
            The whole file, `Archive.mapped`.

        Raises
        ------
        ReadError
            A compressed member is damaged or too large for the memory, or holds Python objects.
        """
        if self.dtype.hasobject:
            raise ReadError(
                f"{printable(self.path)}: {self.key} holds Python objects, which only pickle can "
                "read and could run any code; write it as numbers"
            )
        if self.compressed:
            return self._decompressed()
        data = mapped[self.data_offset : self.data_offset + self.nbytes]
        order: Literal["F", "C"] = "F" if self.fortran_order else "C"
        return data.view(self.dtype).reshape(self.shape, order=order)

    def _decompressed(self) -> NDArray[Any]:
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.key}.npy") as file:
                array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
        except MemoryError as error:
            raise ReadError(
                f"{printable(self.path)}: {self.key} is compressed and takes "
                f"{gigabytes(self.nbytes)} of memory, more than there is; write it uncompressed"
            ) from error
        except _GARBLED as error:
            raise _damaged(self.path, f"{self.key} can't be decompressed") from error
        array.setflags(write=False)
        return array


@dataclass(frozen=True, slots=True)
class Archive:
    """An NPZ: its arrays' descriptions by key, its comment, and the file's bytes."""

    path: Path
    members: dict[str, NpzMember]
    comment: bytes
    mapped: NDArray[np.uint8]
    """``(size,) uint8``, the whole file, read-only."""

    def array(self, key: str) -> NDArray[Any]:
        """Array of a key that is there; see `NpzMember.array`."""
        return self.members[key].array(self.mapped)


def read_archive(path: str | os.PathLike[str]) -> Archive:
    """Read the headers of an NPZ and map the file, without reading any data.

    Raises
    ------
    ReadError
        The file can't be opened, is no NPZ, or its headers contradict each other.
    """
    where = Path(os.path.abspath(path))
    try:
        # One open file for all of it: a build may put a new file under the name at any moment.
        with open(where, "rb") as file, zipfile.ZipFile(file) as archive:
            mapped = np.memmap(file, mode="r")
            members = [
                _member(where, info, archive, mapped)
                for info in archive.infolist()
                if info.filename.endswith(".npy")
            ]
            comment = archive.comment
        if _comment_is_cut(mapped):
            raise _damaged(where, "it is cut short within its last bytes, the ZIP comment")
    except OSError as error:
        if error.errno == errno.EINVAL:  # a damaged directory points before the file's start
            raise ReadError(f"{printable(where)} {_what_else(where)}") from error
        raise ReadError(f"can't read {printable(where)}: {error.strerror or error}") from error
    except _GARBLED as error:
        raise ReadError(f"{printable(where)} {_what_else(where)}") from error
    if not members:
        raise ReadError(f"{printable(where)} is a ZIP archive without arrays, not an NPZ")
    return Archive(where, {member.key: member for member in members}, comment, mapped)


def _what_else(path: Path) -> str:
    if path.suffix == ".partial":
        return "is an unfinished build; run the same build command again to finish it"
    with open(path, "rb") as file:
        start = file.read(6)
    if start.startswith(b"PK\3\4"):
        return "is damaged or cut short: it starts as an NPZ, but its ZIP directory is unreadable"
    return "is a single .npy array, not an NPZ" if start == b"\x93NUMPY" else "is not an NPZ"


def _damaged(path: Path, what: str) -> ReadError:
    return ReadError(f"{printable(path)} is damaged: {what}; copy or build it again")


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
    return shape, order, npy.descr_to_dtype(header["descr"])


def _start(info: zipfile.ZipInfo, mapped: NDArray[np.uint8]) -> int:
    """Offset of a stored member's contents: the local header's names and extras have own sizes."""
    header = mapped[info.header_offset : info.header_offset + _LOCAL_HEADER.size]
    _, name, extra = _LOCAL_HEADER.unpack(header.tobytes())
    return int(info.header_offset + _LOCAL_HEADER.size + name + extra)


def _line(error: BaseException) -> str:
    text = str(error).splitlines()
    return text[0] if text else type(error).__name__
