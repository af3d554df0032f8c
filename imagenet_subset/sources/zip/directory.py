"""The central directory of a zip: where it is, and what it says of each member.

`zipfile` makes an object of each member: for ImageNet's 1.3 million it takes ten seconds or more
and 800 MB. Here the directory is read in pieces, and an object is made only of what is wanted.
The format is that of PKWARE's APPNOTE 6.3.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Container, Iterator
from typing import NamedTuple, TypeAlias

from imagenet_subset.system.files import pread

_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_LENGTHS = struct.Struct("<4s24x3H")
_RECORD = struct.Struct("<4xH2x2H4xI14xH2xI4x")
_PLACE = struct.Struct("<20x2I14xI")
RECORD_NBYTES = _RECORD.size
"""Of a record, before the name."""
_EXTRA = struct.Struct("<2H")
_END_MARK, _END_64_MARK, _LOCATOR_MARK = b"PK\5\6", b"PK\6\6", b"PK\6\7"
MARK = b"PK\1\2"
"""What each record begins with."""
_FIRST_MARKS = (b"PK\3\4", b"PK\7\x08", b"PK\x30\x30")
"""What a zip begins with, as a rule: a member, or a mark of one that was to be split."""
_FULL_16, _FULL_32 = 0xFFFF, 0xFFFFFFFF
"""Values that don't fit, and are in the ZIP64 part."""
_PIECE = 1 << 22
_ZIP64 = 1
_UNIX = 3
_DOS_FOLDER = 0x10
KEY_NBYTES = 9
AGAIN = ": get it again"
JOIN = "join the parts first, as by zip -s 0 PARTS.zip --out WHOLE.zip"

Record: TypeAlias = tuple[int, bytes, int, int, int, int]
"""A piece of the directory: where it is in the file, and its bytes. A record in it: where that
begins, where the last part of its path begins and ends, and where it ends itself."""


class ZipFormatError(Exception):
    """The file is a zip that can't be read; says why, after its name."""


class Directory(NamedTuple):
    """Where the central directory is."""

    start: int
    """Of its first record, in the file."""
    end: int
    entries: int
    """How many records it should have, or the lower 16 bits of that."""
    shift: int
    """What to add to the offsets in it: bytes that were put in front of the zip."""


class Entry(NamedTuple):
    """What the directory says of a member."""

    made_by: int
    flags: int
    method: int
    crc: int
    packed: int
    """Its size in the file, in bytes."""
    size: int
    """Its size when it is unpacked."""
    offset: int
    """Of its local header, without the shift."""
    disk: int
    mode: int
    name: bytes

    @property
    def is_encrypted(self) -> bool:
        """Whether a password is needed."""
        return bool(self.flags & 1)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return self.made_by >> 8 == _UNIX and stat.S_ISLNK(self.mode >> 16)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder, by its attributes."""
        is_unix_folder = self.made_by >> 8 == _UNIX and stat.S_ISDIR(self.mode >> 16)
        return is_unix_folder or bool(self.mode & _DOS_FOLDER)


def find_directory(fd: int) -> Directory | None:
    """Find the central directory; None if the file is no zip.

    Raises
    ------
    ZipFormatError
        The file is a zip, but has no directory.
    OSError
        It can't be read.
    """
    size = os.fstat(fd).st_size
    is_zip = pread(fd, 4, 0) in _FIRST_MARKS
    tail_at = max(0, size - _END.size - _FULL_16)
    tail = pread(fd, size - tail_at, tail_at)
    reasons: list[str] = []
    loose: list[int] = []  # bytes follow that are no comment
    at = tail.rfind(_END_MARK)
    while at >= 0:
        if at + _END.size <= len(tail):
            end = at + _END.size + _END.unpack_from(tail, at)[-1]
            if end == len(tail):
                if isinstance(found := _directory_before(fd, tail_at + at, size), Directory):
                    return found
                reasons.append(found)
            elif is_zip:
                loose.append(at)
        at = tail.rfind(_END_MARK, 0, at + len(_END_MARK) - 1)
    for at in loose:
        if isinstance(found := _directory_before(fd, tail_at + at, size), Directory):
            return found
        reasons.append(found)
    if reasons:
        raise ZipFormatError(reasons[0])
    if is_zip:
        raise ZipFormatError(f"has no directory at its end; the file was cut off{AGAIN}")
    return None


def _directory_before(fd: int, end_at: int, file_size: int) -> Directory | str:
    """Directory before an end record, or why there is none."""
    end = _END.unpack(pread(fd, _END.size, end_at))
    _, disk, first_disk, _, entries, size, offset, _ = end
    until = end_at
    locator = pread(fd, _LOCATOR.size, max(0, end_at - _LOCATOR.size))
    if len(locator) == _LOCATOR.size and locator.startswith(_LOCATOR_MARK):
        _, _, at, disks = _LOCATOR.unpack(locator)
        if disks > 1:
            return f"is one part of a split zip; {JOIN}"
        for until in (at, end_at - _LOCATOR.size - _END_64.size):
            record = pread(fd, _END_64.size, until) if 0 <= until < file_size else b""
            if len(record) == _END_64.size and record.startswith(_END_64_MARK):
                break
        else:
            return f"has no ZIP64 end record where it says; it is damaged{AGAIN}"
        disk, first_disk, _, entries, size, offset = _END_64.unpack(record)[4:]
    elif _FULL_32 in (size, offset) or disk == _FULL_16:
        return f"lacks its ZIP64 end record; it is damaged{AGAIN}"
    if disk or first_disk:
        return f"is one part of a split zip; {JOIN}"
    # What is in front of a zip shifts all. If something follows the directory, it doesn't.
    for start in (until - size, offset):
        if start >= 0 and start + size <= until and _begins(fd, start, size):
            return Directory(start, start + size, entries, start - offset)
    return f"has no directory where it says; it is damaged{AGAIN}"


def _begins(fd: int, start: int, size: int) -> bool:
    return pread(fd, len(MARK), start) == MARK if size else True


def records(
    fd: int, directory: Directory, wanted: Container[bytes] | None = None
) -> Iterator[Record]:
    """Go through the directory.

    Parameters
    ----------
    wanted
        Beginnings of file names, or last folders, of `KEY_NBYTES` bytes: only such paths are
        wanted. By default all are.

    Raises
    ------
    ZipFormatError
        It isn't what it should be.
    OSError
        It can't be read.
    """
    # This is done for each of 1.3 million records: a call more for each would cost a second.
    unpack, place, count = _LENGTHS.unpack_from, directory.start, 0
    while place < directory.end:
        piece = pread(fd, min(_PIECE, directory.end - place), place)
        first, last = 0, len(piece) - RECORD_NBYTES
        while first <= last:
            mark, name, extra, comment = unpack(piece, first)
            name_at = first + RECORD_NBYTES
            name_end = name_at + name
            end = name_end + extra + comment
            if mark != MARK or end > len(piece):
                break
            base = piece.rfind(b"/", name_at, name_end) + 1 or name_at
            if (
                wanted is None
                or piece[base : base + KEY_NBYTES] in wanted
                or piece[base - 1 - KEY_NBYTES : base - 1] in wanted
            ):
                yield place, piece, first, base, name_end, end
            first = end
            count += 1
        if not first:
            raise ZipFormatError(f"has a directory that is damaged after {count:,} entries{AGAIN}")
        place += first
    if count & _FULL_16 != directory.entries & _FULL_16:
        raise ZipFormatError(
            f"says that it has {directory.entries:,} entries, but has {count:,}; it is damaged"
            f"{AGAIN}"
        )


def record_at(piece: bytes, first: int) -> tuple[int, int] | None:
    """Where a record's name and the record end; None if there is none, or not all of it."""
    if first + RECORD_NBYTES > len(piece):
        return None
    mark, name, extra, comment = _LENGTHS.unpack_from(piece, first)
    name_end = first + RECORD_NBYTES + int(name)
    end = name_end + int(extra) + int(comment)
    return (name_end, end) if mark == MARK and end <= len(piece) else None


def entry_of(record: bytes) -> Entry | None:
    """What a whole record says; None if it isn't one, or lacks its ZIP64 field."""
    ends = record_at(record, 0)
    return entry_at(record, 0, ends[0]) if ends else None


def entry_at(piece: bytes, first: int, name_end: int) -> Entry | None:
    """What a record says; None if it lacks its ZIP64 field."""
    if (place := place_at(piece, first, name_end)) is None:
        return None
    made_by, flags, method, crc, disk, mode = _RECORD.unpack_from(piece, first)
    name = piece[first + RECORD_NBYTES : name_end]
    return Entry(made_by, flags, method, crc, *place, disk, mode, name)


def place_at(piece: bytes, first: int, name_end: int) -> tuple[int, int, int] | None:
    """Of a member the size in the file, the size and the offset; None if the field is lacking."""
    packed, size, offset = _PLACE.unpack_from(piece, first)
    if offset != _FULL_32 != size and packed != _FULL_32:
        return packed, size, offset
    long = iter(_zip64(piece, name_end, name_end + _LENGTHS.unpack_from(piece, first)[2]))
    # In this order those that don't fit into the record.
    size = next(long, -1) if size == _FULL_32 else size
    packed = next(long, -1) if packed == _FULL_32 else packed
    offset = next(long, -1) if offset == _FULL_32 else offset
    return (packed, size, offset) if min(packed, size, offset) >= 0 else None


def _zip64(piece: bytes, at: int, end: int) -> tuple[int, ...]:
    """Numbers in the ZIP64 field of a record; none if it has no such field."""
    while at + _EXTRA.size <= end:
        kind, nbytes = _EXTRA.unpack_from(piece, at)
        at += _EXTRA.size
        if kind == _ZIP64:
            count = min(nbytes, end - at) // 8
            return struct.unpack_from(f"<{count}Q", piece, at)
        at += nbytes
    return ()
