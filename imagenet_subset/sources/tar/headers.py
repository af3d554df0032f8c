"""Walks the headers of a tar, from one to the next: what lies between isn't read.

The plain ones are read here: ustar, GNU and old tars, with long names and with pax headers. From an
odd one on (sparse files, sizes that aren't octal) the whole archive is left to `tarfile`, which
takes several times as long.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from typing import NamedTuple

from imagenet_subset.system.files import pread

BLOCK = 512
"""Bytes of a header."""
_AHEAD = 4 * BLOCK
"""Bytes that are read at a time: small members come with the header of the next one."""
_MOST_EXTRA = 1 << 20
"""Bytes of a long name, or of a pax header."""
_ZEROS = bytes(BLOCK)
_END = 2 * BLOCK
"""Bytes of zeros that a tar ends with."""
_PADDED = 1 << 20
"""More zeros follow, up to a multiple of what tar writes at a time: 10 kB or, rarely, this much."""
_MOST_PADDED = 1 << 26
"""In bytes; so much is taken for that only if the tar is such a multiple."""
_FILES = (b"0", b"\0", b"7")
_LINKS = (b"1", b"2")
_OTHERS = (b"3", b"4", b"5", b"6")
_HIDDEN = (b"x", b"g", b"L", b"K")
"""Headers of pax, and of long names: they say more of the member that comes next."""


class TarError(Exception):
    """A tar can't be read, with the reason in one line."""

    def __init__(self, reason: str, remedy: str = "get it anew") -> None:
        super().__init__(reason)
        self.remedy = remedy


class Member(NamedTuple):
    """A file in a tar."""

    name: str
    offset: int
    """Of its first byte, in bytes."""
    nbytes: int
    is_link: bool
    """Whether it is a link: then there are no bytes of it."""


class _OddError(Exception):
    """A header that this module doesn't read."""


def walk(fd: int, start: int, end: int) -> Iterator[Member]:
    """Files and links of the tar between two offsets of a file.

    Raises
    ------
    TarError
        It is cut off or damaged, or it has a name that leads out of its folder.
    OSError
        It can't be read.
    """
    done = 0
    try:
        for member in _plain(fd, start, end):
            yield _checked(member, end)
            done += 1
    except _OddError:
        for number, member in enumerate(_by_tarfile(fd, start, end)):
            if number >= done:
                yield _checked(member, end)


def _checked(member: Member, end: int) -> Member:
    name = member.name
    if name[:1] == "/" or (".." in name and ".." in name.split("/")):
        what = f"it has {name!r}, a name that leads out of its folder"
        raise TarError(what, "pack it without -P")
    if member.nbytes < 0:
        raise TarError(f"it gives {name!r} a size of {member.nbytes:,} bytes")
    if member.offset + member.nbytes > end:
        raise TarError(
            f"it is cut off or damaged: {name!r} would end {member.offset + member.nbytes - end:,} "
            "bytes beyond its end"
        )
    return member


def is_blank(block: bytes) -> bool:
    """Whether a file that begins with this block has nothing in it yet."""
    return not block.strip(b"\0")


def is_header(block: bytes) -> bool:
    """Whether a tar begins with this block."""
    try:
        _kind_and_size(block, 0)
    except TarError:
        return False
    except _OddError:
        return True
    return True


class _Headers:
    """The headers of a tar, as they are read."""

    def __init__(self, fd: int, start: int, end: int) -> None:
        self._fd, self._end = fd, end
        self._first, self._data = start, b""

    def read(self, offset: int, nbytes: int = BLOCK) -> bytes:
        """Bytes from an offset on; fewer at the end."""
        within = offset - self._first
        if within < 0 or within + nbytes > len(self._data):
            most = max(0, min(max(nbytes, _AHEAD), self._end - offset))
            self._first, self._data, within = offset, pread(self._fd, most, offset), 0
        return self._data[within : within + nbytes]


def _plain(fd: int, start: int, end: int) -> Iterator[Member]:
    headers, offset = _Headers(fd, start, end), start
    extra: dict[str, str] = {}
    while offset < end:
        block = headers.read(offset)
        if block == _ZEROS:
            _check_end(fd, offset, start, end)
            return
        kind, nbytes = _kind_and_size(block, offset - start)
        offset += BLOCK
        if kind in _HIDDEN:
            data = headers.read(offset, nbytes) if nbytes <= _MOST_EXTRA else b""
            if len(data) < nbytes:
                raise TarError(f"it is cut off or damaged at byte {offset - start:,}")
            extra |= _extra(kind, data)
        else:
            nbytes = _size(extra, nbytes)
            name = extra["path"] if "path" in extra else name_in(block)
            if kind in _LINKS:
                yield Member(name, offset, 0, True)
                nbytes = 0  # some programs give a link the size of its file
            elif kind in _FILES and not name.endswith("/"):
                yield Member(name, offset, nbytes, False)
            elif kind not in _OTHERS and kind not in _FILES:
                raise _OddError
            elif kind not in _FILES:
                nbytes = 0
            extra = {}
        offset += -(-nbytes // BLOCK) * BLOCK


def _check_end(fd: int, offset: int, start: int, end: int) -> None:
    """Refuse a tar that has more after its end than the zeros that fill it.

    A program that downloads may take the room of all at first, and what isn't there yet is zeros.
    """
    left = end - offset
    written = max(_PADDED, 1 << max(0, left - _END).bit_length())
    is_padding = left - _END < _PADDED or (written <= _MOST_PADDED and not (end - start) % written)
    if not is_padding or pread(fd, left, offset).strip(b"\0"):
        raise TarError(
            f"its members end at byte {offset - start:,} of {end - start:,}: it is a download that "
            "isn't finished, or several tars one after the other",
            "get it anew, or give each tar for itself",
        )


def _kind_and_size(block: bytes, at: int) -> tuple[bytes, int]:
    """Type and size of a member, by a header whose checksum is right."""
    if len(block) < BLOCK:
        raise TarError(f"it is cut off at byte {at:,}")
    try:
        checksum = int(block[148:156].strip(b" \0"), 8)
    except ValueError:
        checksum = -1
    # The sum is that of the header with blanks in the place of the sum.
    if sum(block) - sum(block[148:156]) + 8 * 0x20 != checksum:
        raise TarError(f"what it has at byte {at:,} is no header of a member")
    try:
        nbytes = int(block[124:136].strip(b" \0") or b"0", 8)
    except ValueError:
        raise _OddError from None
    if nbytes < 0:
        raise TarError(f"the header at byte {at:,} gives a size of {nbytes:,} bytes")
    return block[156:157], nbytes


def name_in(block: bytes) -> str:
    """Name of a member by its header; a long one may be in front of it."""
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and (prefix := block[345:500].partition(b"\0")[0]):
        name = prefix + b"/" + name
    return os.fsdecode(name)


def _extra(kind: bytes, data: bytes) -> dict[str, str]:
    """What a header of more than a member's own says: its ``path``, and maybe its ``size``."""
    if kind == b"L":
        return {"path": os.fsdecode(data.partition(b"\0")[0])}
    if kind == b"K":
        return {}
    fields: dict[str, str] = {}
    while data:
        length, _, rest = data.partition(b" ")
        if not length.isdigit() or not len(length) + 3 <= int(length[:9]) <= len(data):
            raise _OddError
        record, data = rest[: int(length) - len(length) - 2], data[int(length) :]
        key, _, value = record.partition(b"=")
        if key.startswith(b"GNU.sparse") or (kind == b"g" and key in (b"path", b"size")):
            raise _OddError
        if key in (b"path", b"size"):
            fields[key.decode()] = os.fsdecode(value)
    return fields


def _size(extra: dict[str, str], nbytes: int) -> int:
    if "size" not in extra:
        return nbytes
    if not (extra["size"].isascii() and extra["size"].isdigit() and len(extra["size"]) < 19):
        raise _OddError
    return int(extra["size"])


class _Part(io.RawIOBase):
    """Part of a file, as a file of its own."""

    def __init__(self, fd: int, start: int, end: int) -> None:
        self._fd, self._start, self._end, self._at = fd, start, end, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        most = max(0, min(len(buffer), self._end - self._start - self._at))
        data = pread(self._fd, most, self._start + self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end - self._start}
        self._at = base[whence] + offset
        return self._at

    def tell(self) -> int:
        return self._at


def _by_tarfile(fd: int, start: int, end: int) -> Iterator[Member]:
    try:
        with tarfile.open(fileobj=_Part(fd, start, end), mode="r:") as tar:
            while (info := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would keep them all
                if info.issparse():
                    raise TarError(f"it has {info.name!r} as a sparse file", "pack it without -S")
                if info.issym() or info.islnk():
                    yield Member(info.name, start + info.offset_data, 0, True)
                elif info.isfile():
                    yield Member(info.name, start + info.offset_data, info.size, False)
            _check_end(fd, start + tar.offset, start, end)
    except tarfile.TarError as error:
        raise TarError(f"it is damaged: {error}") from error
    except (ValueError, OverflowError, RecursionError) as error:  # of what isn't as it should be
        raise TarError("it is damaged") from error
