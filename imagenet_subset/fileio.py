"""The few file operations that differ between operating systems, each in one place."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from imagenet_subset.errors import (
    LockedError,
    NoRegularFileError,
    OutputError,
    printable,
    writing,
)

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_BINARY = getattr(os, "O_BINARY", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_NOT_SUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}
_SYNC_FILE_RANGE_WRITE = 2  # of linux/fs.h
_LOCKED_BYTE = 1 << 42  # on Windows; after any data, and within what file systems count to
_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}  # the latter on Windows


def regular(path: str | os.PathLike[str], flags: int) -> int:
    """Opener, for `open` too, that refuses what is no file of data, and never waits for a pipe.

    Raises
    ------
    NoRegularFileError
        It is a pipe, a device or a folder.
    OSError
        It can't be opened.
    """
    fd = os.open(path, flags | _BINARY | _NONBLOCK, 0o666)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    raise NoRegularFileError(errno.EINVAL, f"it is {_kind(mode)}, not a file", os.fspath(path))


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFLNK: "a link"}
    return kinds.get(stat.S_IFMT(mode), "a device")


def open_for_update(path: str | os.PathLike[str], *, create: bool = False) -> int:
    """File descriptor for reading and writing in place; see `regular`."""
    return regular(path, os.O_RDWR | (os.O_CREAT if create else 0))


def pwrite_all(fd: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of ``data`` at ``offset`` (bytes), whatever number of calls that takes."""
    view = memoryview(data).cast("B")
    while view:
        written = _pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def pread_into(fd: int, buffer: memoryview, offset: int) -> int:
    """Fill ``buffer`` from ``offset``; the number of bytes read, less only at the file's end."""
    view, done = buffer.cast("B"), 0
    while done < len(view):
        n = _pread_into(fd, view[done:], offset + done)
        if not n:
            break
        done += n
    return done


# Without calls that take an offset, two threads must not move a descriptor's position at a time.
_position = threading.Lock()

if hasattr(os, "pwrite"):

    def _pwrite(fd: int, data: memoryview, offset: int) -> int:
        return os.pwrite(fd, data, offset)
else:

    def _pwrite(fd: int, data: memoryview, offset: int) -> int:
        with _position:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.write(fd, data)


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


def reserve(fd: int, size: int, folder: Path) -> None:
    """Make the file ``size`` bytes long and its space certain, as far as the system can.

    Linux's ``fallocate`` reserves blocks at once. It is called itself and not through
    `os.posix_fallocate`, which writes every block where the file system can't reserve (NFS 3,
    ZFS). Elsewhere the free space is checked and the file is made sparse.

    Raises
    ------
    OutputError
        There is not enough room; the text gives both sizes.
    OSError
        Anything else.
    """
    stat = os.fstat(fd)
    free = shutil.disk_usage(folder).free + getattr(stat, "st_blocks", 0) * 512
    if size > free:
        raise _no_room(size, free, folder)
    try:
        _fallocate(fd, size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise _no_room(size, free, folder, error) from error
        if error.errno not in _NOT_SUPPORTED:
            raise
    os.ftruncate(fd, size)


def _no_room(size: int, free: int, folder: Path, error: OSError | None = None) -> OutputError:
    # A quota or a limit on a file's size says nothing of the disk's free space.
    limited = error is not None and error.errno != errno.ENOSPC
    room = f": {error.strerror}" if error and limited else f", {gigabytes(free)} are free"
    return OutputError(
        f"no room in {printable(folder)}: the NPZ takes {gigabytes(size)}{room}; make room or "
        "choose another --out_dir"
    )


def start_writeback(fd: int, offset: int, size: int) -> None:
    """Have Linux begin to write a range to the disk, so that little is left for the last fsync.

    A hint: whatever goes wrong is for that fsync to report. Elsewhere it does nothing.
    """
    if sys.platform == "linux":
        import ctypes

        start, length = ctypes.c_int64(offset), ctypes.c_int64(size)
        ctypes.CDLL(None).sync_file_range(fd, start, length, _SYNC_FILE_RANGE_WRITE)


def _fallocate(fd: int, size: int) -> None:
    if sys.platform != "linux":
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    while size and libc.fallocate(fd, 0, ctypes.c_int64(0), ctypes.c_int64(size)):
        code = ctypes.get_errno()
        if code != errno.EINTR:  # of which Python takes care in its own calls only
            raise OSError(code, os.strerror(code))


def gigabytes(size: int) -> str:
    """Size in bytes for people, in decimal units.

    Examples
    --------
    >>> gigabytes(5_871_000_000), gigabytes(150_528_000), gigabytes(2_900)
    ('5.87 GB', '151 MB', '3 kB')
    """
    if size >= 1e9:
        return f"{size / 1e9:.2f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Open ``path`` for update, creating it, and hold the only lock on it.

    The lock dies with its process, however that ends, and follows the file through a rename. It
    is ``flock``, which Linux carries over NFS too; on Windows a byte far behind the data.

    Yields
    ------
    int
        File descriptor.

    Raises
    ------
    LockedError
        Another process holds the lock.
    """
    while True:
        fd = open_for_update(path, create=True)
        try:
            _lock(fd, path)
            if is_same_file(fd, path):
                yield fd
                return
        finally:
            with contextlib.suppress(OSError):  # closed already, before a rename on Windows
                os.close(fd)
        # The file that we locked has meanwhile got its final name from the build that held the
        # lock: look again.


def is_same_file(fd: int, path: Path) -> bool:
    """Whether ``path`` is the name of an open file."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _lock(fd: int, path: Path) -> None:
    try:
        if sys.platform == "win32":
            os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.ENOLCK, *_NOT_SUPPORTED):
            return  # a file system without locks, as NFS without its lock daemon
        if error.errno not in _HELD:
            raise
        raise LockedError(
            f"another build is writing {printable(path)}; wait for it, or choose another --out_dir"
        ) from error


def publish(fd: int, partial: Path, final: Path) -> None:
    """Give a completed file its final name, atomically and durably.

    ``fd`` is the open and locked ``partial``. After an error, or a power cut at any moment,
    ``final`` is what it was before or the complete new file.

    Raises
    ------
    OutputError
        See `check_in_place`.
    OSError
        Anything else.
    """
    _sync(fd)
    check_in_place(fd, partial)
    if sys.platform == "win32":
        os.close(fd)  # an open file can't be renamed there
    os.replace(partial, final)
    sync_folder(final.parent)


def check_in_place(fd: int, path: Path) -> None:
    """Refuse to go on when ``path`` is no longer the name of the open file.

    Raises
    ------
    OutputError
        Somebody removed or replaced the file, or its disk was unmounted.
    """
    with writing(path, kept=True):
        in_place = is_same_file(fd, path)
    if not in_place:
        raise OutputError(
            f"{printable(path)} was removed or replaced while it was written, or its disk has "
            "gone; run the same command again"
        )


def _sync(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError:
        # Linux calls pages clean that it failed to write. A rerun has to read what is on the disk,
        # and not them, to know which rows are lost.
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        raise


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` durable, where the system and its file system have a way."""
    if sys.platform == "win32":
        return
    try:
        fd = os.open(folder, os.O_RDONLY)
    except PermissionError:
        # One may write in a folder that one may not read. Only an open folder can be synced, so
        # there the file system alone decides when a rename lasts.
        return
    try:
        os.fsync(fd)
    except OSError as error:
        # SMB shares, gocryptfs and some other FUSE file systems can't sync a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def write_atomically(path: Path, data: bytes) -> None:
    """Write a small file under a temporary name beside it, then rename it over ``path``.

    Raises
    ------
    OutputError
        See `temporary_name`; or the temporary file is another's.
    OSError
        Anything else.
    """
    temporary = temporary_name(path)
    # A file that a killed run left there is named if it is the one that can't be written.
    with writing(temporary) if os.path.lexists(temporary) else contextlib.nullcontext():
        opened = open(temporary, "wb", opener=regular)  # noqa: SIM115 - closed below
    try:
        with opened as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def temporary_name(path: Path) -> Path:
    """Name under which `write_atomically` writes ``path`` at first.

    Raises
    ------
    OutputError
        What has that name is no file: a folder, a link, a pipe or a device.
    """
    temporary = path.with_name(path.name + ".tmp")
    with contextlib.suppress(OSError):  # there is nothing, or writing tells why that can't be seen
        mode = os.lstat(temporary).st_mode
        if not stat.S_ISREG(mode):
            raise OutputError(
                f"can't write {printable(temporary)}: it is {_kind(mode)}, not a file; remove it "
                "and run the same command again"
            )
    return temporary


@contextlib.contextmanager
def removable(path: Path) -> Iterator[Callable[[], None]]:
    """Hold the file that has a name now, so that no other one is removed in its place later.

    Yields
    ------
    Callable[[], None]
        Removes the file, unless it has gone or another one has its name.
    """
    try:
        fd = regular(path, os.O_RDONLY)
    except OSError:  # it isn't there, or can't be a build's
        yield lambda: None
        return
    # While it is open no new file can get its number.
    with os.fdopen(fd, "rb", buffering=0) as file:
        yield lambda: remove_opened(path, file.fileno(), file.close)


def remove_opened(path: Path, fd: int, close: Callable[[], None]) -> None:
    """Remove ``path`` if it is the name of an open file.

    Parameters
    ----------
    close
        Closes the file; called first on Windows, which removes no open file.
    """
    if not is_same_file(fd, path):
        return
    if sys.platform == "win32":
        close()
    path.unlink(missing_ok=True)
