"""Photos in large files: what the archives have in common."""

from __future__ import annotations

import errno
import os
import threading
from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from imagenet_subset.columns import (
    Location,
    Locations,
    Span,
    Spans,
    Texts,
)
from imagenet_subset.records import Split
from imagenet_subset.sources.base import LARGEST_PHOTO, Photo, PhotoReader, Store
from imagenet_subset.sources.looked import Found, Looked
from imagenet_subset.system.checksum import crc32
from imagenet_subset.system.files import pread, regular
from imagenet_subset.system.text import few

_MOST_OPEN = 64
"""Files that a reader keeps open. A set of shards has more than a process may have open."""
REPLACED = "its file was replaced or changed since the photos were looked for"


@dataclass(frozen=True, slots=True)
class ContainerStore(Store):
    """Photos in large files. Locations are spans."""

    remedy: ClassVar[str] = "get the files that have them"

    root: str
    """Absolute path of the file, or of the folder that the files are in."""
    files: Texts
    """Paths of the files, by the number that a `Span` has: below the root, or the root itself."""
    splits: frozenset[Split]
    """Those that it may have photos of."""
    notes: tuple[str, ...] = field(default=(), kw_only=True)
    looked: Looked = field(default_factory=Looked, compare=False, repr=False, kw_only=True)

    @abstractmethod
    def look(self, wnids: Collection[str]) -> Iterator[Found]:
        """Photos of these classes, of both splits, in one pass; others may be among them.

        Raises
        ------
        imagenet_subset.errors.SourceError
            A file can't be read, or isn't what it should be.
        """

    @abstractmethod
    def name(self, at: Span) -> str:
        """Path of a photo below the file.

        Raises
        ------
        OSError
            It can't be read; ``ESTALE`` if it isn't there any more.
        """

    def photos(self, split: Split, wnids: Collection[str]) -> Iterator[Photo]:
        """See `imagenet_subset.sources.base.Store.photos`."""
        return self.looked.photos(split, wnids, self.look)

    def open(self) -> PhotoReader:
        """See `imagenet_subset.sources.base.Store.open`."""
        return SpanReader(self)

    def groups(self, locations: Locations) -> Iterator[Sequence[int]]:
        """Each photo for itself, in the order of the files."""
        return ((index,) for index in in_file_order(locations).tolist())

    def describe(self, at: Location, stem: str = "") -> str:
        """File, and path of the photo in it."""
        span = as_span(at)
        try:
            name = self.name(span)
        except OSError:  # what is read for a message may fail as the photo did
            name = f"{stem}.JPEG" if stem else self.place(span)
        return f"{self.path(span.file)}/{name}"

    def file(self, at: Location) -> str:
        """See `imagenet_subset.sources.base.Store.file`."""
        return self.path(as_span(at).file)

    def place(self, at: Span) -> str:
        """Where a photo is in its file, for people, if its name can't be read."""
        return f"byte {at.offset}"

    def instead(self, split: Split, wnid: str) -> str:
        """Which files were looked through."""
        names = [os.path.basename(self.path(k)) for k in range(len(self.files))]
        return f"{few(names)} {'has' if len(names) == 1 else 'have'} none"

    def path(self, file: int) -> str:
        """Path of a file."""
        return os.path.join(self.root, self.files[file]) if self.files[file] else self.root


def as_span(at: Location) -> Span:
    """Location in a large file."""
    if isinstance(at, str):
        raise TypeError(f"{at!r} is a path, not a part of a file")
    return at


def in_file_order(locations: Locations) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Indices of spans, by file and place there; in a table by file, row group and row."""
    if not isinstance(locations, Spans):
        raise TypeError("these are paths, not parts of files")
    return np.lexsort(locations.numbers[:, 2::-1].T)


class SpanReader:
    """Reads parts of files; a file is opened once."""

    def __init__(self, store: ContainerStore) -> None:
        self._store = store
        self._fds: dict[int, int] = {}
        self._opening = threading.Lock()

    def read(self, location: Location) -> bytes:
        """See `imagenet_subset.sources.base.PhotoReader.read`."""
        span = as_span(location)
        fd = self._fds.get(span.file)
        if fd is not None:
            return self.read_from(fd, span)
        with self._opening:
            fd = self._fds.get(span.file)
            kept = fd is not None or len(self._fds) < _MOST_OPEN
            if fd is None:
                fd = regular(self._store.path(span.file), os.O_RDONLY)
            if kept:
                self._fds[span.file] = fd
        try:
            return self.read_from(fd, span)
        finally:
            if not kept:
                os.close(fd)

    def read_from(self, fd: int, span: Span) -> bytes:
        """Read a photo from its file, which is open."""
        return read_exactly(fd, span.nbytes, span.offset)

    def close(self) -> None:
        """Close the files."""
        while self._fds:
            os.close(self._fds.popitem()[1])


def check_mark(said: bytes, at: Span) -> None:
    """Refuse what isn't the photo that was there when it was looked for.

    Parameters
    ----------
    said
        What the file says of the photo now: all that it said then.

    Raises
    ------
    OSError
        ``ESTALE``: it says something else. The photo is somewhere else, or nowhere.
    """
    if crc32(said) != at.mark:
        raise OSError(errno.ESTALE, REPLACED)


def read_exactly(fd: int, nbytes: int, offset: int) -> bytes:
    """Read so many bytes of a photo.

    Raises
    ------
    OSError
        They aren't there, or can't be read; ``EFBIG`` if they are too many for a photo.
    """
    if nbytes > LARGEST_PHOTO:
        raise OSError(errno.EFBIG, f"has {nbytes / 1e9:.1f} GB, more than any photo")
    data = pread(fd, nbytes, offset)
    if len(data) < nbytes:
        reason = f"only {len(data):,} of {nbytes:,} bytes could be read"
        raise OSError(errno.EIO, reason)
    return data
