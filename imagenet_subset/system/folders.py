"""Folders that files will be in, and which may have to be made first."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from imagenet_subset.errors import OutputError
from imagenet_subset.system.files import kind_of_file
from imagenet_subset.system.text import printable

_LONGEST_NAME = 255
"""Of a file, where the system doesn't say it: in bytes, and on Windows in UTF-16 units."""
_END = 40
"""Characters of a name that is too long that a message shows."""


def nearest_folder(path: Path) -> Path:
    """The folder of a file or, if it is still to be made, the first above it that is there.

    Raises
    ------
    NotADirectoryError
        What is there is no folder.
    OSError
        The system doesn't let it be looked at.
    """
    folder = path.absolute().parent
    while True:
        try:
            mode = os.stat(folder).st_mode
        except (FileNotFoundError, NotADirectoryError):
            if folder == folder.parent:
                raise
            folder = folder.parent
            continue
        if not stat.S_ISDIR(mode):
            kind = "a file" if stat.S_ISREG(mode) else kind_of_file(mode)
            raise NotADirectoryError(
                errno.ENOTDIR, f"{printable(folder)} is {kind}, not a folder", os.fspath(folder)
            )
        return folder


def check_lengths(folder: Path, names: Iterable[str]) -> None:
    """Refuse names that a file system doesn't take.

    Parameters
    ----------
    folder
        Where the files will be; one that is there.

    Raises
    ------
    OutputError
        A name is too long.
    """
    longest = max(names, key=_length)
    most = _LONGEST_NAME
    if hasattr(os, "pathconf"):
        with contextlib.suppress(OSError, ValueError):  # a file system may not say it
            most = os.pathconf(folder, "PC_NAME_MAX")
    if 0 < most < _length(longest):
        raise OutputError(
            f"{printable(folder)} takes names of {most} bytes at most, and one that ends in "
            f"{printable(longest[-_END:])} has {_length(longest)}; choose a "
            "shorter --out_dir or --out_name"
        )


def _length(name: str) -> int:
    """Length of a name as the system counts it."""
    if sys.platform == "win32":
        return len(name.encode("utf-16-le", "surrogatepass")) // 2
    return len(os.fsencode(name))


def check_access(folder: Path) -> None:
    """Refuse a folder that the system says it won't let be written to.

    Raises
    ------
    OSError
        As of a file that was to be made there.
    """
    if os.access(folder, os.W_OK | os.X_OK):
        return
    read_only = sys.platform != "win32" and os.statvfs(folder).f_flag & os.ST_RDONLY
    code = errno.EROFS if read_only else errno.EACCES
    raise OSError(code, os.strerror(code), os.fspath(folder))
