"""Files that get their final name at once and whole: locks, renames, removals."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from imagenet_subset.errors import LockedError, OutputError
from imagenet_subset.system.files import (
    forget_clean_pages,
    kind_of_file,
    open_for_update,
    regular,
    writing,
)
from imagenet_subset.system.space import NOT_SUPPORTED
from imagenet_subset.system.text import printable

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

TEMPORARY = ".tmp"
"""What the name of a file ends in that `write_atomically` is at."""
_LOCKED_BYTE = 1 << 42  # on Windows; after any data, and within what file systems count to
_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}  # the latter on Windows


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Open ``path`` for update, creating it, and hold the only lock on it.

    The lock dies with its process, however that ends, and follows the file through a rename. It
    is ``flock``, which Linux carries over NFS too; on Windows a byte far after the data.

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
        # The build that held the lock has given the file that we locked its final name: look again.


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
        if error.errno in (errno.ENOLCK, *NOT_SUPPORTED):
            return  # a file system without locks, as NFS without its lock daemon
        if error.errno not in _HELD:
            raise
        raise LockedError(
            f"another build is writing {printable(path)}; wait for it, or choose another --out_dir"
        ) from error


def check_not_locked(path: Path) -> None:
    """Refuse a file that another process has locked; it stays as it is.

    Raises
    ------
    LockedError
        Another process holds the lock.
    OSError
        The file can't be opened.
    """
    fd = regular(path, os.O_RDONLY)
    try:
        _lock(fd, path)  # for a moment: nobody sees the file locked for longer than this takes
    finally:
        os.close(fd)


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
    sync(fd)
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


def sync(fd: int) -> None:
    """Bring a file to its disk or server.

    Raises
    ------
    OSError
        Some of it isn't there.
    """
    try:
        os.fsync(fd)
    except OSError:
        # Linux calls pages clean that it failed to write. A rerun has to read what is on the disk,
        # and not them, to know which rows are lost.
        forget_clean_pages(fd)
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
    """Write a small file under a temporary name next to it, then rename it over ``path``.

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
        The name is that of a folder, a link, a pipe or a device.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    with contextlib.suppress(OSError):  # nothing is there, or writing reports why not
        mode = os.lstat(temporary).st_mode
        if not stat.S_ISREG(mode):
            kind = kind_of_file(mode)
            raise OutputError(
                f"can't write {printable(temporary)}: it is {kind}, not a file; remove it and run "
                "the same command again"
            )
    return temporary


@contextlib.contextmanager
def removable(path: Path) -> Iterator[Callable[[], None]]:
    """Keep the file open that has this name now, so that only this one is removed later.

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
