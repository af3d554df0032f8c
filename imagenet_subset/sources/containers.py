"""Photos in large files: what the archives have in common."""

from __future__ import annotations

import errno
import os
import threading
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np

from imagenet_subset.columns import (
    BLOCK,
    Location,
    Locations,
    Span,
    Spans,
    Texts,
    TextsBuilder,
)
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.sources.base import LARGEST_PHOTO, Photo, PhotoReader, Store
from imagenet_subset.system.checksum import crc32
from imagenet_subset.system.files import pread, regular
from imagenet_subset.system.text import few

_MOST_OPEN = 64
"""Files that a reader keeps open. A set of shards has more than a process may have open."""
REPLACED = "its file was replaced or changed since the photos were looked for"


class Found(NamedTuple):
    """A photo in a large file."""

    split: Split
    stem: str
    wnid: str | None
    span: Span


class _Columns:
    """Photos of one split, in columns."""

    def __init__(self) -> None:
        self._stems, self._wnids = TextsBuilder(), TextsBuilder()
        self._spans: list[Spans] = []
        self._block: list[Found] = []

    def add(self, found: Found) -> None:
        self._block.append(found)
        if len(self._block) == BLOCK:
            self._flush()

    def _flush(self) -> None:
        self._stems.add([found.stem for found in self._block])
        self._wnids.add([found.wnid or "" for found in self._block])
        self._spans.append(Spans.of(found.span for found in self._block))
        self._block.clear()

    def photos(self) -> Iterator[Photo]:
        self._flush()
        stems, wnids, spans = self._stems.column(), self._wnids.column(), self._spans
        self._stems, self._wnids, self._spans = TextsBuilder(), TextsBuilder(), []
        first = 0
        for part in spans:  # as many as were added at a time
            end = first + len(part)
            names = zip(stems.between(first, end), wnids.between(first, end), part, strict=True)
            for stem, wnid, span in names:
                yield Photo(stem, wnid or None, span)
            first = end


class Looked:
    """What one look at all files found, for each split until it is asked for.

    It belongs to the process that plans: on its way to a worker it loses what it has.
    """

    def __init__(self) -> None:
        self._wnids: tuple[str, ...] | None = None
        self._columns: dict[Split, _Columns] = {}
        self.train_list: Span | None = None
        """Where ``train_cls.txt`` is, if it is among the photos."""
        self.inner: list[tuple[int, int, int, str]] = []
        """Archives in the files: number of the file, first byte, end and name; in this order."""

    def have(
        self, wnids: Collection[str], look: Callable[[Collection[str]], Iterable[Found]]
    ) -> None:
        """Look for photos of these classes, unless the last look was for them."""
        if self._wnids != tuple(wnids):
            columns: dict[Split, _Columns] = {s: _Columns() for s in SPLITS}
            self.inner.clear()
            for found in look(wnids):
                columns[found.split].add(found)
            self._wnids, self._columns = tuple(wnids), columns

    def photos(
        self,
        split: Split,
        wnids: Collection[str],
        look: Callable[[Collection[str]], Iterable[Found]],
    ) -> Iterator[Photo]:
        """Photos of a split; they are handed out once, then a new look is taken."""
        if split not in self._columns:
            self._wnids = None
        self.have(wnids, look)
        return self._columns.pop(split).photos()

    def inner_of(self, at: Span) -> str:
        """Name of the archive that a photo is in, inside the file; empty if it isn't known."""
        if k := bisect_right(self.inner, (at.file, at.offset)):
            file, _, end, name = self.inner[k - 1]
            if file == at.file and at.offset < end:
                return name
        return ""

    def __reduce__(self) -> tuple[type[Looked], tuple[()]]:
        return Looked, ()


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
