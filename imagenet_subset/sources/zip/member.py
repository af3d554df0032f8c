"""Reads a member of a zip: whole, if it is a photo, or in pieces."""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Iterator

from imagenet_subset.sources.base import LARGEST_PHOTO
from imagenet_subset.sources.zip.directory import Entry
from imagenet_subset.system.checksum import crc32
from imagenet_subset.system.files import pread

STORED, DEFLATED = 0, 8
_LOCAL = struct.Struct("<4s2x2H16x2H")
LOCAL_NBYTES = _LOCAL.size
"""Of a local header, before the name."""
_MARK = b"PK\3\4"
_MORE = 64
"""Bytes for the extra fields of the local header, which the directory doesn't say."""
_PIECE = 1 << 20
_LONGEST_LINE = 1 << 16
_LARGEST_LIST = 1 << 28
"""In bytes; ``train_cls.txt`` has 40 MB."""


def read_member(fd: int, entry: Entry, shift: int) -> bytes:
    """Read a photo.

    Parameters
    ----------
    shift
        What to add to the member's offset.

    Raises
    ------
    OSError
        It can't be read; ``EBADMSG`` if it isn't what the directory says, and ``EFBIG`` if it is
        too large for a photo.
    """
    nbytes = max(entry.size, entry.packed)
    if nbytes > LARGEST_PHOTO:
        raise OSError(errno.EFBIG, f"has {nbytes / 1e9:.1f} GB, more than any photo")
    at = entry.offset + shift
    if at < 0 or at + entry.packed > os.fstat(fd).st_size:
        raise _damaged("it isn't where the zip says")
    head = LOCAL_NBYTES + len(entry.name)
    raw = pread(fd, head + _MORE + entry.packed, at)
    start = _begin(raw, entry)
    end = start + entry.packed
    if end > len(raw):
        raw += pread(fd, end - len(raw), at + len(raw))
    if end > len(raw):
        raise _damaged("the zip ends in the middle of it")
    data = _unpacked(raw[start:end], entry)
    if len(data) != entry.size:
        raise _damaged("its size isn't what the zip says")
    if crc32(data) != entry.crc:
        raise _damaged("its CRC-32 isn't what the zip says")
    return data


def _begin(raw: bytes, entry: Entry) -> int:
    """Where the data begin, after the local header."""
    if len(raw) < LOCAL_NBYTES or not raw.startswith(_MARK):
        raise _damaged("it isn't where the zip says")
    _, flags, method, name, extra = _LOCAL.unpack_from(raw)
    start = LOCAL_NBYTES + int(name)
    if raw[LOCAL_NBYTES:start] != entry.name or method != entry.method or flags & 1:
        raise _damaged("what is in its place has another name or method")
    return start + int(extra)


def _unpacked(packed: bytes, entry: Entry) -> bytes:
    if entry.method == STORED:
        return packed
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        return inflate.decompress(packed, entry.size + 1)
    except zlib.error as error:
        raise _damaged("its compressed data are damaged") from error


def read_lines(fd: int, entry: Entry, shift: int) -> Iterator[bytes]:
    """Lines of a text, of which only a piece is held at a time.

    Raises
    ------
    OSError
        It can't be read, or isn't what the directory says.
    """
    rest = b""
    for piece in _pieces(fd, entry, shift):
        *lines, rest = (rest + piece).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            raise _damaged("it isn't a text")
        yield from (line + b"\n" for line in lines)
    if rest:
        yield rest


def _pieces(fd: int, entry: Entry, shift: int) -> Iterator[bytes]:
    """Contents of a member, checked when all is read."""
    if entry.size > _LARGEST_LIST:
        raise OSError(errno.EFBIG, f"has {entry.size / 1e9:.1f} GB, more than any list of ILSVRC")
    at = entry.offset + shift
    raw = pread(fd, LOCAL_NBYTES + len(entry.name), at) if at >= 0 else b""
    at += _begin(raw, entry)
    left, crc = entry.size, 0
    for piece in _inflated(fd, at, entry):
        left -= len(piece)
        crc = crc32(piece, crc)
        if left < 0:
            break
        yield piece
    if left or crc != entry.crc:
        raise _damaged("its CRC-32 or its size isn't what the zip says")


def _inflated(fd: int, at: int, entry: Entry) -> Iterator[bytes]:
    end = at + entry.packed
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    while at < end and (packed := pread(fd, min(_PIECE, end - at), at)):
        at += len(packed)
        if entry.method == STORED:
            yield packed
            continue
        while packed and not inflate.eof:
            try:
                yield inflate.decompress(packed, _PIECE)
            except zlib.error as error:
                raise _damaged("its compressed data are damaged") from error
            packed = inflate.unconsumed_tail
    if entry.method == DEFLATED and not inflate.eof:
        yield inflate.flush()


def _damaged(why: str) -> OSError:
    return OSError(errno.EBADMSG, f"it is damaged: {why}")
