"""ILSVRC as Hugging Face has it: parquet files with a row for each photo, in any order."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

from imagenet_subset.columns import Location, Locations, Span, Texts
from imagenet_subset.errors import SourceError
from imagenet_subset.records import Split
from imagenet_subset.sources.base import LARGEST_PHOTO, PhotoReader
from imagenet_subset.sources.containers import (
    ContainerStore,
    as_span,
    check_mark,
    in_file_order,
)
from imagenet_subset.sources.looked import Found
from imagenet_subset.sources.parquet.files import (
    BYTES,
    PATH,
    OtherTableError,
    arrow,
    batches,
    name_at,
    of_images,
    open_file,
    place_of,
)
from imagenet_subset.sources.parquet.names import glance, names_lost, photos_in
from imagenet_subset.system.checksum import crc32
from imagenet_subset.system.text import printable

_MAGIC = b"PAR1"
_FOLDERS = ("*.parquet", "data/*.parquet", "*/*.parquet", "*/*/*.parquet")
_OF_MANY = re.compile(r"(?:.*/)?([^/]*)-[0-9]+-of-([0-9]+)[^/]*\.parquet", re.DOTALL)
_OF_TEST = re.compile(r"test-[0-9]+-of-[0-9]+")
_UNPACKED = 16
"""Photos that are unpacked at a time: more don't fit in the processor's cache."""
_KEPT = 4
"""How often that: threads that read next to each other don't send each other back."""


def open_parquet(path: Path) -> ParquetStore | None:
    """Parquet file at a path, or those in it or up to two folders below; None if there is none.

    Raises
    ------
    imagenet_subset.errors.SourceError
        A file isn't whole, isn't ILSVRC, or pyarrow isn't installed.
    """
    root = Path(os.path.abspath(path))
    errors = []
    try:
        if root.is_file():
            return _open(root.parent, [root.name]) if _is_parquet(root) else None
        for files in _files_below(root):
            try:
                return _open(root, files)
            except OtherTableError as error:  # those of ILSVRC may be in a folder
                errors.append(error)
    except OSError as error:
        raise SourceError(f"can't read {path}: {error.strerror or error}") from error
    if errors:
        raise errors[0]
    return None


def _open(root: Path, files: Sequence[str]) -> ParquetStore:
    """Store of some files; those that are other tables are left out, if they aren't all."""
    glances, others = {}, []
    for name in files:
        try:
            glances[name] = glance(str(root / name))
        except OtherTableError as error:
            others.append(error)
    splits = frozenset(split for found, _ in glances.values() for split in found)
    if not splits:
        if others:
            raise others[0]
        for name, (_, lost) in glances.items():
            if lost:
                raise names_lost(root / name, lost)
        where = root / files[0] if len(files) == 1 else root
        raise OtherTableError(f"{where} has no photo of train or val in its parquet files")
    notes = (*(f"{error}; it is left out" for error in others), *_lacking(files))
    return ParquetStore(str(root), Texts.of(glances), splits, notes=notes)


def _lacking(files: Sequence[str]) -> Iterator[str]:
    """Say which sets of files, named ``train-00000-of-00294.parquet``, aren't whole."""
    sets = Counter((m[1], int(m[2])) for name in files if (m := _OF_MANY.fullmatch(name)))
    for (name, total), found in sorted(sets.items()):
        if found < total and "test" not in name:
            are = "is" if found == 1 else "are"
            yield f"of the {total} files {name}-*.parquet only {found} {are} there"


def _files_below(root: Path) -> Iterator[list[str]]:
    """Files in the folder, or those in a folder below, and so on."""
    for pattern in _FOLDERS:
        below = (path.relative_to(root) for path in sorted(root.glob(pattern)))
        paths = [p for p in below if not any(part[0] == "." for part in p.parts)]
        if files := [str(p) for p in paths if not _OF_TEST.match(p.name)]:
            yield files


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


@dataclass(frozen=True, slots=True)
class ParquetStore(ContainerStore):
    """Photos in parquet files. A span is the file, the row group and the row in it."""

    form: ClassVar[str] = "the parquet files"
    rehosted = True

    splits: frozenset[Split]
    """What the names in the first and the last row group of each file are of."""

    def look(self, wnids: Collection[str]) -> Iterator[Found]:
        """See `imagenet_subset.sources.containers.ContainerStore.look`."""
        wanted = frozenset(wnids)
        for number in range(len(self.files)):
            for group, row, said, name in photos_in(self.path(number)):
                if name.split == "train" and name.stem[:9] not in wanted:
                    continue
                span = Span(number, group, row, crc32(said))
                yield Found(name.split, name.stem, name.wnid, span)

    def name(self, at: Span) -> str:
        """See `imagenet_subset.sources.containers.ContainerStore.name`."""
        place, path = name_at(self.path(at.file), at.offset, at.nbytes)
        check_mark(place + path.encode(), at)
        return path.lstrip("/")

    def place(self, at: Span) -> str:
        """See `imagenet_subset.sources.containers.ContainerStore.place`."""
        return f"row {at.nbytes} of row group {at.offset}"

    def open(self) -> PhotoReader:
        """See `imagenet_subset.sources.base.Store.open`."""
        arrow("parquet")
        os.stat(self.path(0))
        return ParquetReader(self)

    def groups(self, locations: Locations) -> Iterator[Sequence[int]]:
        """Photos of a row group together: it is read and unpacked as a whole."""
        order = in_file_order(locations).tolist()
        for _, group in groupby(order, lambda index: as_span(locations[index])[:2]):
            yield tuple(group)


class ParquetReader:
    """Reads rows. It keeps one file open, and of its row group a few photos."""

    def __init__(self, store: ParquetStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._number: int | None = None
        self._file: Any = None
        self._group: _RowGroup | None = None

    def read(self, location: Location) -> bytes:
        """See `imagenet_subset.sources.base.PhotoReader.read`."""
        span = as_span(location)
        with self._lock:
            try:
                said, photo = self._group_of(span).photo(span.nbytes)
                check_mark(said, span)
            except OSError as error:
                if error.errno != errno.EBADMSG:
                    self.close()  # the next try opens the file again
                raise
        if photo is None:
            raise OSError(errno.EBADMSG, f"row {span.nbytes} of {self._where(span)} has no bytes")
        if photo.size > LARGEST_PHOTO:
            reason = f"has {photo.size / 1e9:.1f} GB, more than any photo"
            raise OSError(errno.EFBIG, reason)
        return bytes(photo)

    def _group_of(self, span: Span) -> _RowGroup:
        if self._number != span.file:
            self.close()
            self._file = open_file(self._store.path(span.file))
            self._number = span.file
        group = self._group
        if group is None or group.number != span.offset or span.nbytes < group.first:
            self._group = None  # there is room for one
            path = self._store.path(span.file)
            self._group = group = _RowGroup(self._file, path, span.offset)
        return group

    def _where(self, span: Span) -> str:
        return f"row group {span.offset} of {printable(self._store.path(span.file))}"

    def close(self) -> None:
        """Close the file, and let go of its photos."""
        self._group = self._number = None
        file, self._file = self._file, None
        if file is not None:
            file.close(force=True)


class _RowGroup:
    """Photos of a row group, unpacked from the first on, a few at a time."""

    def __init__(self, file: Any, path: str, number: int) -> None:
        self.number = number
        self._place = place_of(file, path, number)
        self._batches = batches(file, path, number, BYTES, PATH, rows=_UNPACKED)
        self._kept: deque[tuple[int, dict[str, Any]]] = deque(maxlen=_KEPT)
        self._end = 0
        self._damage: OSError | None = None

    @property
    def first(self) -> int:
        """First row that can still be had."""
        return self._kept[0][0] if self._kept else 0

    def photo(self, row: int) -> tuple[bytes, Any]:
        """What the file says of a photo, and the buffer that it is in; None if it has no bytes."""
        while row >= self._end:
            self._unpack()
        first, photos = next(kept for kept in reversed(self._kept) if kept[0] <= row)
        path, photo = (photos[part][row - first].as_buffer() for part in ("path", "bytes"))
        return self._place + (b"" if path is None else path.to_pybytes()), photo

    def _unpack(self) -> None:
        if self._damage is not None:
            raise OSError(self._damage.errno, self._damage.strerror)
        try:
            batch = next(self._batches)
        except StopIteration:
            reason = f"row group {self.number} has only {self._end} rows"
            raise OSError(errno.EIO, reason) from None
        except OSError as error:
            self._damage = error
            raise
        self._kept.append((self._end, of_images(batch)))
        self._end += batch.num_rows
