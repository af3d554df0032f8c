"""The file of a build by several machines, as the process that leads it opens it.

Before its workers start, all that it wrote is on the disk or the server; while they work, it writes
nothing; after them, it opens the file anew. Its first descriptor holds the lock until the end.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from imagenet_subset.building.proof import TOKEN_NBYTES
from imagenet_subset.errors import OutputError
from imagenet_subset.system.files import forget_clean_pages, pwrite_all, regular, writing
from imagenet_subset.system.mounts import refusal, sync_flag
from imagenet_subset.system.publishing import check_in_place, sync
from imagenet_subset.system.text import printable


def check_folder(folder: Path) -> None:
    """Refuse a folder in which several machines can't write one file.

    Raises
    ------
    OutputError
        It is on such a file system.
    """
    if why := refusal(folder):
        raise OutputError(f"{printable(folder)} is on {why}")


@contextlib.contextmanager
def reopened(fd: int, path: Path) -> Iterator[int]:
    """Open a file once more, to see and to keep what other machines wrote to it.

    A system may remember what it read by a descriptor for as long as that is open; where caches
    aren't coherent, what it remembers is dropped.

    Yields
    ------
    int
        File descriptor for update, closed at the end of the context. On Windows ``fd`` itself: a
        file that is open twice can't be renamed there.

    Raises
    ------
    OutputError
        The file can't be opened, or its name is that of another one.
    """
    if sys.platform == "win32":
        yield fd
        return
    flag = sync_flag(path)
    with writing(path, kept=True):
        anew = regular(path, os.O_RDWR | flag)
    try:
        check_in_place(fd, path)
        check_in_place(anew, path)
        if flag:
            with writing(path, kept=True):
                forget_clean_pages(anew)
        yield anew
    finally:
        with contextlib.suppress(OSError):  # by then it is on the disk, or an error is under way
            os.close(anew)


def end_run(fd: int, path: Path) -> None:
    """Take a run's token out of its file.

    A worker that an engine gave up, but that lives, sees by it that it has to stop.

    Raises
    ------
    OutputError
        It can't be written.
    """
    with writing(path, kept=True):
        pwrite_all(fd, bytes(TOKEN_NBYTES), 0)
        sync(fd)
