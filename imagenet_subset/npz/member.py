"""One array of any NPZ, as its ZIP entry and its ``.npy`` header describe it."""

from __future__ import annotations

import ast
import lzma
import struct
import zipfile
import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from imagenet_subset.errors import ReadError
from imagenet_subset.system.text import printable

_LOCAL_HEADER = struct.Struct("<4s22x2H")
_ENCRYPTED = 0x1
_HEADER_LENGTH = {(1, 0): "<H", (2, 0): "<I"}
_MAX_HEADER = 1 << 16
_SHOWN = 24  # bytes of an unreadable header
_GARBLED_ZIP = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)
_GARBLED_HEADER = (
    *(ValueError, OverflowError, TypeError, SyntaxError, RecursionError, MemoryError),
    *(LookupError, AttributeError, struct.error),
)
GARBLED = (*_GARBLED_ZIP, *_GARBLED_HEADER)
"""What the standard library and NumPy raise when a ZIP directory, a compressed stream or a ``.npy``
header, which is parsed as Python, is of random bytes."""


@dataclass(frozen=True, slots=True)
class NpzMember:
    """One array of an NPZ, as its headers describe it; no data is read for that."""

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


def damaged(path: Path, what: str) -> ReadError:
    """Error for a file whose bytes contradict each other."""
    return ReadError(f"{printable(path)} is damaged: {what}; copy or build it again")


def read_member(
    path: Path, info: zipfile.ZipInfo, archive: zipfile.ZipFile, mapped: NDArray[np.uint8]
) -> NpzMember:
    """Read the headers of an array.

    Parameters
    ----------
    path
        The NPZ, for messages.
    info, archive
        The member, and the archive that it is in.
    mapped
        ``(size,) uint8``, the bytes of the whole file.

    Raises
    ------
    ReadError
        They can't be read, or contradict each other.
    """
    key = info.filename.removesuffix(".npy")
    if info.flag_bits & _ENCRYPTED:
        raise ReadError(f"{printable(path)}: {printable(key)} is encrypted; unpack it first")
    try:
        with archive.open(info) as file:
            shape, fortran_order, dtype = _npy_header(file)
            header_nbytes = file.tell()
    except GARBLED as error:
        raise damaged(
            path, f"{printable(key)} has an unreadable header ({_line(error)})"
        ) from error
    compressed = info.compress_type != zipfile.ZIP_STORED
    start = 0 if compressed else _start(info, mapped)
    offset = 0 if compressed else start + header_nbytes
    member = NpzMember(
        key, dtype, shape, fortran_order, compressed, info.CRC, info.file_size, start, offset
    )
    expected = header_nbytes + member.nbytes
    if min(shape, default=0) < 0 or (not dtype.hasobject and expected != info.file_size):
        raise damaged(path, f"{printable(key)} is {dtype} {shape} but {info.file_size} bytes long")
    if not compressed and offset + info.file_size - header_nbytes > len(mapped):
        raise damaged(path, f"{printable(key)} goes beyond the end of the file")
    return member


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and dtype, by the format that `numpy.lib.format` describes.

    NumPy's own functions would give a header that Python can't parse a second chance as one of
    Python 2, which takes seconds where a header is padded.
    """
    version = npy.read_magic(file)
    if version not in _HEADER_LENGTH:
        raise ValueError(f"version {version[0]}.{version[1]} of the .npy format")
    length = struct.Struct(_HEADER_LENGTH[version])
    if len(size := file.read(length.size)) < length.size:
        raise ValueError("cut short")
    (nbytes,) = length.unpack(size)
    if nbytes > _MAX_HEADER:
        raise ValueError(f"a header of {nbytes} bytes")
    header = _literal(file.read(nbytes))
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


def _literal(text: bytes) -> Any:
    """Value that a header's text is."""
    try:
        return ast.literal_eval(text.decode("latin1"))
    except _GARBLED_HEADER as error:
        more = "..." if len(text) > _SHOWN else ""
        raise ValueError(f"it begins {text[:_SHOWN]!r}{more}") from error


def _start(info: zipfile.ZipInfo, mapped: NDArray[np.uint8]) -> int:
    """Offset of a stored member's contents: the local header's names and extras have own sizes."""
    header = mapped[info.header_offset : info.header_offset + _LOCAL_HEADER.size]
    _, name, extra = _LOCAL_HEADER.unpack(header.tobytes())
    return int(info.header_offset + _LOCAL_HEADER.size + name + extra)


def _line(error: BaseException) -> str:
    text = str(error).splitlines()
    return printable(text[0]) if text else type(error).__name__
