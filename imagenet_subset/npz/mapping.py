"""A whole file as one array: mapped, so that processes share it, or read where it can't be."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.errors import ReadRefusedError
from imagenet_subset.system.files import pread_into
from imagenet_subset.system.text import gigabytes, printable

_NO_MAPS = {errno.ENODEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}
"""What file systems without shared memory maps answer: ENODEV by mmap(2), others in fact."""
_NOT_ALLOWED = {errno.EACCES, errno.EPERM}
"""What a security policy answers that lets a file be read and not mapped."""


def map_file(path: Path, file: IO[bytes]) -> tuple[NDArray[np.uint8], str]:
    """The file's bytes, and what kept them from being a shared map: some FUSE file systems do.

    Raises
    ------
    ReadRefusedError
        The process has no memory, address space or file descriptors left for a map: to read the
        whole file would take more of them.
    """
    try:
        return np.memmap(file, mode="r"), ""
    except OSError as error:
        if error.errno not in _NO_MAPS | _NOT_ALLOWED:
            raise _unmapped(path, file, error) from error
        why = f"the system refuses a shared memory map ({error.strerror}), it isn't known why"
        if error.errno in _NO_MAPS:
            why = (
                f"its file system refuses a shared memory map ({error.strerror}); a copy on a "
                "local disk opens as usual"
            )
    try:
        private = np.memmap(file, mode="c")
        private.setflags(write=False)
        return private, why
    except OSError:
        return _read_whole(path, file, why), why


def _unmapped(path: Path, file: IO[bytes], error: OSError) -> ReadRefusedError:
    remedy = "put that right"
    if error.errno == errno.ENOMEM:
        remedy = (
            f"the map takes {gigabytes(os.fstat(file.fileno()).st_size)} of address space: raise "
            "the limit (`ulimit -v`) if there is one, or let go of other maps and memory,"
        )
    return ReadRefusedError(
        f"can't memory-map {printable(path)}: {error.strerror or error}; {remedy} and try again"
    )


def _read_whole(path: Path, file: IO[bytes], why: str) -> NDArray[np.uint8]:
    size = os.fstat(file.fileno()).st_size
    try:
        data = np.empty(size, np.uint8)
    except MemoryError as error:
        raise ReadRefusedError(
            f"{printable(path)} takes {gigabytes(size)} of memory, more than there is, since {why}"
        ) from error
    n = pread_into(file.fileno(), data.data, 0)
    data.setflags(write=False)
    return data[:n]
