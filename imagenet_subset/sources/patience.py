"""Reads photos, and tries again where a failure may pass: network disks fail for a moment."""

from __future__ import annotations

import contextlib
import errno
import time
from collections.abc import Generator, Iterable, Iterator

from imagenet_subset.columns import Location
from imagenet_subset.sources.base import DAMAGED, PhotoReader

_PAUSES = (0.1, 0.4)
"""Seconds before a read is tried for the second and for the third time."""
_PATIENCE = 3
_FINAL = (*DAMAGED, errno.EINVAL, errno.ENXIO)
"""Errors that say what the file is; to wait doesn't mend them."""


@contextlib.contextmanager
def closing(reader: PhotoReader) -> Iterator[PhotoReader]:
    """Close a reader in the end; that it can't be closed is of no account."""
    try:
        yield reader
    finally:
        with contextlib.suppress(OSError):
            reader.close()


class Patience:
    """How often reads that fail are tried again; threads may share it.

    A read that fails is tried again after a pause, also with ENOENT. After `_PATIENCE` photos that
    couldn't be read the disk is taken to be gone: the others are tried once.
    """

    def __init__(self) -> None:
        self._left = _PATIENCE

    def read(self, reader: PhotoReader, location: Location) -> bytes | OSError:
        """Contents of a photo's file, or why it can't be read."""
        try:
            return reader.read(location)
        except OSError as error:
            return self._again(reader, location, error)

    def _again(self, reader: PhotoReader, location: Location, error: OSError) -> bytes | OSError:
        """Contents of a photo whose first read failed; tried again after each pause."""
        for pause in _PAUSES if self._left > 0 else ():
            if error.errno in _FINAL:
                return error
            time.sleep(pause)
            try:
                return reader.read(location)
            except OSError as another:
                error = another
        if error.errno not in _FINAL:
            self._left -= 1
        return error


def read_each(reader: PhotoReader, locations: Iterable[Location]) -> Generator[bytes | OSError]:
    """File contents at each location, in the same order; an `OSError` for one that fails."""
    patience = Patience()
    for location in locations:
        yield patience.read(reader, location)
