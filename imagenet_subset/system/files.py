"""The few file operations that differ between operating systems, each in one place."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from imagenet_subset.errors import OutputError, ReadError, ReadRefusedError
from imagenet_subset.system.text import printable

_BINARY = getattr(os, "O_BINARY", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_MOST_PIECES = 1024
"""That one call may write: ``IOV_MAX`` of Linux, macOS and the BSDs."""


def regular(path: str | os.PathLike[str], flags: int) -> int:
    """Open a file, and refuse anything else; never waits for a pipe. Also an opener for `open`.

    Raises
    ------
    NoRegularFileError
        It is a pipe, a device or a folder.
    OSError
        It can't be opened.
    """
    return regular_sized(path, flags)[0]


def regular_sized(path: str | os.PathLike[str], flags: int) -> tuple[int, int]:
    """Open a file as `regular` does; the descriptor, and its size in bytes.

    Both take the same look at the file, which a reader of many small files needn't take again.
    """
    try:
        fd = os.open(path, flags | _BINARY | _NONBLOCK, 0o666)
    except FileNotFoundError as error:
        if link := broken_link(path):
            raise FileNotFoundError(errno.ENOENT, f"it is {link}", os.fspath(path)) from error
        raise
    found = os.fstat(fd)
    mode = found.st_mode
    if stat.S_ISREG(mode):
        return fd, found.st_size
    os.close(fd)
    raise NoRegularFileError(
        errno.EINVAL, f"it is {kind_of_file(mode)}, not a file", os.fspath(path)
    )


def broken_link(path: str | os.PathLike[str]) -> str:
    """Say where a link leads that leads to nothing; empty for anything else."""
    try:
        os.stat(path)
    except FileNotFoundError:
        if os.path.islink(path):
            return f"a link to {printable(os.readlink(path))}, which isn't there"
    except OSError:
        pass  # whether there is something can't be told
    return ""


def kind_of_file(mode: int) -> str:
    """Say what kind of file has this mode."""
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFLNK: "a link"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def open_for_update(path: str | os.PathLike[str], *, create: bool = False) -> int:
    """File descriptor for reading and writing in place; see `regular`."""
    return regular(path, os.O_RDWR | (os.O_CREAT if create else 0))


def sync_data(fd: int) -> None:
    """Bring what was written to a file to its disk or server."""
    (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(fd)


def forget_clean_pages(fd: int) -> None:
    """Have the next read of a file ask the disk or the server, as far as the system does that."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def pwrite_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of ``data`` at ``offset`` (bytes), in as many calls as that takes."""
    view = memoryview(data).cast("B")
    while view:
        written = _pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def pwrite_each(fd: int, pieces: Sequence[memoryview], offset: int) -> None:
    """Write pieces of bytes one after the other from ``offset`` on, with few calls."""
    for first in range(0, len(pieces), _MOST_PIECES):
        some = pieces[first : first + _MOST_PIECES]
        written = _pwritev(fd, some, offset)
        for piece in some:
            if written < len(piece):
                pwrite_all(fd, piece[written:], offset + written)
            written = max(written - len(piece), 0)
            offset += len(piece)


def pread_into(fd: int, buffer: memoryview, offset: int) -> int:
    """Fill ``buffer`` from ``offset``; the number of bytes read, less only at the file's end."""
    view, done = buffer.cast("B"), 0
    while done < len(view):
        n = _pread_into(fd, view[done:], offset + done)
        if not n:
            break
        done += n
    return done


def pread(fd: int, nbytes: int, offset: int) -> bytes:
    """So many bytes from ``offset`` on; fewer only at the file's end."""
    data = _pread(fd, nbytes, offset)
    if len(data) == nbytes:
        return data
    parts = [data]
    while data:
        nbytes, offset = nbytes - len(data), offset + len(data)
        data = _pread(fd, nbytes, offset)
        parts.append(data)
    return b"".join(parts)


# Without calls that take an offset, only one thread at a time may move a descriptor's position.
_position = threading.Lock()

if hasattr(os, "pwrite"):

    def _pwrite(fd: int, data: memoryview, offset: int) -> int:
        return os.pwrite(fd, data, offset)
else:

    def _pwrite(fd: int, data: memoryview, offset: int) -> int:
        with _position:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.write(fd, data)


if hasattr(os, "pwritev"):

    def _pwritev(fd: int, pieces: Sequence[memoryview], offset: int) -> int:
        return os.pwritev(fd, pieces, offset)
else:

    def _pwritev(fd: int, pieces: Sequence[memoryview], offset: int) -> int:
        return 0  # so that each piece is written for itself


if hasattr(os, "pread"):

    def _pread(fd: int, nbytes: int, offset: int) -> bytes:
        return os.pread(fd, nbytes, offset)
else:

    def _pread(fd: int, nbytes: int, offset: int) -> bytes:
        with _position:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.read(fd, nbytes)


if hasattr(os, "preadv"):

    def _pread_into(fd: int, buffer: memoryview, offset: int) -> int:
        return os.preadv(fd, [buffer], offset)
else:

    def _pread_into(fd: int, buffer: memoryview, offset: int) -> int:
        with _position:
            os.lseek(fd, offset, os.SEEK_SET)
            data = os.read(fd, len(buffer))
        buffer[: len(data)] = data
        return len(data)


class NoRegularFileError(OSError):
    """The name is that of a folder, a pipe or a device; `reading` and `writing` report it."""


@contextlib.contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an operating system's failure to read ``path`` into a `ReadError`.

    Raises
    ------
    ReadError
        It is not a file, or its compressed data is damaged.
    ReadRefusedError
        Anything else; the file's contents may be sound.
    """
    try:
        yield
    except NoRegularFileError as error:
        raise ReadError(f"can't read {printable(path)}: {error.strerror}") from error
    except OSError as error:
        if error.errno is None:  # bz2 raises such for what it can't decompress
            raise ReadError(f"can't read {printable(path)}: {printable(str(error))}") from error
        raise ReadRefusedError(
            f"can't read {printable(path)}: {error.strerror}; put that right and try again"
        ) from error


@contextlib.contextmanager
def writing(path: str | os.PathLike[str], *, kept: bool = False) -> Iterator[None]:
    """Turn an operating system's failure to write ``path`` into an `OutputError`.

    Parameters
    ----------
    kept
        Whether to say that what is done isn't lost.
    """
    try:
        yield
    except OSError as error:
        why, folder = error.strerror or error, Path(path).parent
        if isinstance(error, FileNotFoundError) and not folder.is_dir():
            why = f"there is no folder {printable(folder)}"
        raise OutputError(
            f"can't write {printable(path)}: {why}; {'what is done is kept: ' if kept else ''}"
            "put that right and run the same command again"
        ) from error
