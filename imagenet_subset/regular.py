"""Opening what has to be a file: a pipe, a device or a socket is refused, and never waited for."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

_FLAGS = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT")
)
"""Without O_NONBLOCK, opening a pipe waits for its writer."""


def open_fd(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Open a file for reading; its descriptor and its size in bytes.

    Raises
    ------
    OSError
        It can't be opened; ``EISDIR`` for a folder, ``ENXIO`` for a pipe, a device or a socket.
    """
    fd = os.open(path, _FLAGS)
    try:
        status = os.fstat(fd)
        if stat.S_ISDIR(status.st_mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.ENXIO, "is a pipe or a device, not a file", os.fspath(path))
    except BaseException:
        os.close(fd)
        raise
    return fd, status.st_size


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file for reading bytes; see `open_fd` for what is refused."""
    return os.fdopen(open_fd(path)[0], "rb")
