"""Space on the disk: reserved before it is needed; and writeback that starts early."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_subset.errors import OutputError
from imagenet_subset.system.folders import nearest_folder
from imagenet_subset.system.mounts import file_system_of
from imagenet_subset.system.text import gigabytes, printable

if TYPE_CHECKING:
    import ctypes

NOT_SUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENOTSUP}
"""What a file system answers when it lacks an operation."""
ULIMIT = "ulimit -f"
_FAT = {"msdos", "vfat"}
_LARGEST_ON_FAT = (1 << 32) - 1
_SYNC_FILE_RANGE_WRITE = 2  # of linux/fs.h


def reserve(fd: int, size: int, folder: Path) -> None:
    """Make the file ``size`` bytes long and reserve its space, as far as the system can.

    Linux's ``fallocate`` reserves blocks at once. It is called directly: `os.posix_fallocate`
    writes every block where the file system can't reserve (NFS 3,
    ZFS). Elsewhere the free space is checked and the file is made sparse.

    Raises
    ------
    OutputError
        There is not enough room; the text gives both sizes.
    OSError
        Anything else.
    """
    free = _free(folder, os.fstat(fd))
    if size > free:
        raise _no_room(size, free, folder)
    try:
        _fallocate(fd, size)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise _no_room(size, free, folder, error) from error
        if error.errno not in NOT_SUPPORTED:
            raise
    os.ftruncate(fd, size)


@dataclass(frozen=True, slots=True)
class Room:
    """Whether a file will have room."""

    size: int
    """Of the file, in bytes."""
    free: int | None
    """Bytes that are free for it, with those that it has already; None if unknown."""
    limit: int | None
    """The largest file that is allowed here, in bytes; None where no limit is known."""
    limited_by: str = ""
    """What sets the limit, and is to be raised or done without."""
    unknown: str = ""
    """Why the system doesn't say what is free."""

    @property
    def why_not(self) -> str:
        """Why it has none, and what to do, in a clause; empty if it has."""
        if self.limit is not None and self.size > self.limit:
            most = gigabytes(self.limit)
            return (
                f"{self.limited_by} allows files of {most} at most; choose another --out_dir"
                if self.limited_by != ULIMIT
                else f"{ULIMIT} allows files of {most} at most; raise it"
            )
        if self.free is None:
            return f"what is free can't be looked at ({self.unknown}); put that right"
        if self.size > self.free:
            return f"{gigabytes(self.free)} are free; make room or choose another --out_dir"
        return ""


def look_for_room(size: int, path: Path) -> Room:
    """See whether a file of a size will have room under a name; it may be there already.

    Quotas aren't seen: a build hears of them when it reserves the space.
    """
    try:
        folder = nearest_folder(path)
        free = _free(folder, os.stat(path) if path.exists() else None)
        by, limit = min(_limits(folder), key=lambda pair: pair[1], default=("", None))
    except OSError as error:
        return Room(size, None, None, unknown=error.strerror or str(error))
    return Room(size, free, limit, by)


def check_holds_files(folder: Path) -> None:
    """Refuse a file system without any space, as those by which Linux shows its state.

    Raises
    ------
    OutputError
        The folder is on such a one.
    """
    if not shutil.disk_usage(folder).total:
        raise OutputError(
            f"{printable(folder)} is on a file system ({file_system_of(folder) or 'unknown'}) that "
            "has no space for files; choose another --out_dir"
        )


def _free(folder: Path, stat: os.stat_result | None) -> int:
    """Free bytes in a folder for a file, with those that it has."""
    return shutil.disk_usage(folder).free + getattr(stat, "st_blocks", 0) * 512


def _limits(folder: Path) -> Iterator[tuple[str, int]]:
    """What limits the size of a file there, and to how many bytes."""
    file_system = file_system_of(folder)
    if file_system in _FAT:
        yield f"the file system ({file_system})", _LARGEST_ON_FAT
    if sys.platform != "win32":
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
        if soft != resource.RLIM_INFINITY:
            yield ULIMIT, soft


def _no_room(size: int, free: int, folder: Path, error: OSError | None = None) -> OutputError:
    # A quota or a limit on a file's size says nothing of the disk's free space.
    limited = error is not None and error.errno != errno.ENOSPC
    room = f": {error.strerror}" if error and limited else f", {gigabytes(free)} are free"
    return OutputError(
        f"no room in {printable(folder)}: the NPZ takes {gigabytes(size)}{room}; make room or "
        "choose another --out_dir"
    )


def start_writeback(fd: int, offset: int, size: int) -> None:
    """Have Linux begin to write a range to the disk, so that the last fsync has little left to do.

    A hint: errors are left to that fsync to report. Does nothing on other systems.
    """
    if sys.platform == "linux":
        import ctypes

        start, length = ctypes.c_int64(offset), ctypes.c_int64(size)
        _library().sync_file_range(fd, start, length, _SYNC_FILE_RANGE_WRITE)


@functools.cache
def _library() -> ctypes.CDLL:
    """The C library, opened once for all shards: that takes longer than a call."""
    import ctypes

    return ctypes.CDLL(None)


def _fallocate(fd: int, size: int) -> None:
    if sys.platform != "linux":
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    while size and libc.fallocate(fd, 0, ctypes.c_int64(0), ctypes.c_int64(size)):
        code = ctypes.get_errno()
        if code != errno.EINTR:  # Python retries its own calls only
            raise OSError(code, os.strerror(code))
