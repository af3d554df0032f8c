"""Opening what has to be a file: a pipe, a device or a socket is refused, and never waited for."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO


def open_regular(path: str | os.PathLike[str], buffering: int = 0) -> BinaryIO:
    """Open a file for reading bytes, by default unbuffered.

    Raises
    ------
    OSError
        It can't be opened; ``EISDIR`` for a folder, ``ENXIO`` for a pipe, a device or a socket.
    """
    file: BinaryIO = open(path, "rb", buffering, opener=_without_waiting)  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.ENXIO, "is a pipe or a device, not a file", os.fspath(path))
    return file


def _without_waiting(path: str, flags: int) -> int:
    """Opening a pipe waits for its writer, unless it is told not to."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
