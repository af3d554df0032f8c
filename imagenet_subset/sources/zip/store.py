"""ILSVRC in a zip, as Kaggle has it; nothing is unpacked to the disk.

The location of a photo is that of its record in the zip's central directory: this has the name, the
place, the sizes and the CRC-32, so that a worker needs nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection, Iterator
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import ClassVar

from imagenet_subset.columns import Span, Texts
from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.train_list import TrainList
from imagenet_subset.ilsvrc.val_labels import read_val_labels
from imagenet_subset.sources.base import PhotoReader, Store
from imagenet_subset.sources.containers import (
    ContainerStore,
    SpanReader,
    check_mark,
    read_exactly,
)
from imagenet_subset.sources.joined import joined
from imagenet_subset.sources.looked import Found
from imagenet_subset.sources.zip.directory import (
    Directory,
    Entry,
    ZipFormatError,
    entry_of,
    find_directory,
    records,
)
from imagenet_subset.sources.zip.glance import glance, has_backslashes, what_is_there
from imagenet_subset.sources.zip.member import read_lines, read_member
from imagenet_subset.sources.zip.scan import VAL_KEY, ZipScan, why_refused
from imagenet_subset.system.files import NoRegularFileError, regular
from imagenet_subset.system.text import few, printable

_KAGGLE = "imagenet-object-localization-challenge.zip"


def open_zip(path: Path) -> Store | None:
    """Zip at ``path``, or in the folder there, or one for each split; None if there is none.

    Raises
    ------
    SourceError
        It is a zip that can't be read, or that has no photos of ILSVRC; in a folder the latter
        counts only for a zip of Kaggle's name. Several zips have photos.
    """
    with _readable(str(path)):
        if not path.is_dir():
            return _open_file(path)
        if (path / _KAGGLE).is_file():
            return _open_file(path / _KAGGLE)
        zips = sorted(file for file in path.iterdir() if file.suffix.lower() == ".zip")
    stores, errors = [], []
    for file in zips:
        try:
            stores += [store] if (store := _open_file(file, may_be_other=True)) else []
        except SourceError as error:
            errors.append(error)
    splits = [split for store in stores for split in store.splits]
    if len(set(splits)) < len(splits):
        names = few([os.path.basename(store.root) for store in stores])
        raise SourceError(
            f"{printable(path)} has photos in {len(stores)} zips ({names}); give one of them as "
            "--data_dir"
        )
    if not stores:
        if errors:
            raise errors[0]
        return None
    notes = tuple(f"{error}; it is left out" for error in errors)
    zips_as_one = joined(os.path.abspath(path), stores)
    return replace(zips_as_one, notes=notes)  # type: ignore[type-var]


def _open_file(path: Path, *, may_be_other: bool = False) -> ZipStore | None:
    root = os.path.abspath(path)
    with _readable(root):
        try:
            fd = regular(root, os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError, NoRegularFileError):
            return None
        try:
            directory = find_directory(fd)
            if directory is None:
                return None
            splits, list_at, labels_at = glance(fd, directory)
            if not splits and may_be_other and not has_backslashes(fd, directory):
                return None
            if not splits:
                raise ZipFormatError(what_is_there(fd, directory, root))
            return ZipStore(
                root,
                Texts.of([root]),
                splits,
                directory=directory,
                list_at=list_at,
                labels_at=labels_at,
            )
        finally:
            os.close(fd)


@dataclass(frozen=True, slots=True)
class ZipStore(ContainerStore):
    """Photos in a zip. A span is that of a record in its directory."""

    form: ClassVar[str] = "the zip"

    _: KW_ONLY
    directory: Directory
    list_at: Span | None
    """``train_cls.txt``."""
    labels_at: Span | None
    """``LOC_val_solution.csv``."""

    def look(self, wnids: Collection[str]) -> Iterator[Found]:
        """See `ContainerStore.look`."""
        scan = ZipScan(self._val_labels())
        wanted = {wnid.encode() for wnid in wnids} | {VAL_KEY}
        with self._opened() as fd:
            for record in records(fd, self.directory, wanted):
                if found := scan.found(record):
                    yield found
            scan.check()

    def train_list(self, wnids: Collection[str]) -> TrainList | None:
        """See `imagenet_subset.sources.base.Store.train_list`."""
        if self.list_at is None:
            return None
        with self._opened() as fd:
            return TrainList(*self._lines(fd, self.list_at), wnids)

    def _val_labels(self) -> dict[str, str]:
        """Class of each val photo, if the zip says it."""
        if self.labels_at is None:
            return {}
        with self._opened() as fd:
            return read_val_labels(*self._lines(fd, self.labels_at))

    def _lines(self, fd: int, at: Span) -> tuple[str, Iterator[bytes]]:
        """Name of a list in the zip, and its lines."""
        entry = _entry(fd, at)
        name = entry.name.decode(errors="backslashreplace")
        if why := why_refused(entry):
            raise ZipFormatError(f"has {printable(name)}, which {why}")
        return f"{self.root}/{name}", read_lines(fd, entry, self.directory.shift)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """The zip, open; what goes wrong is a `SourceError`."""
        with _readable(self.root):
            fd = regular(self.root, os.O_RDONLY)
            try:
                yield fd
            finally:
                os.close(fd)

    def name(self, at: Span) -> str:
        """See `ContainerStore.name`."""
        fd = regular(self.root, os.O_RDONLY)
        try:
            return _entry(fd, at).name.decode("ascii", "surrogateescape")
        finally:
            os.close(fd)

    def open(self) -> PhotoReader:
        """See `imagenet_subset.sources.base.Store.open`."""
        return ZipReader(self)


class ZipReader(SpanReader):
    """Reads photos of a zip, and checks that they are what its directory says."""

    def __init__(self, store: ZipStore) -> None:
        super().__init__(store)
        self._shift = store.directory.shift

    def read_from(self, fd: int, span: Span) -> bytes:
        """See `SpanReader.read_from`."""
        return read_member(fd, _entry(fd, span), self._shift)


def _entry(fd: int, at: Span) -> Entry:
    """What the directory says of a member."""
    record = read_exactly(fd, at.nbytes, at.offset)
    check_mark(record, at)
    entry = entry_of(record)
    if entry is None:
        raise OSError(errno.EBADMSG, "its record in the zip's directory is damaged")
    return entry


@contextlib.contextmanager
def _readable(path: str) -> Iterator[None]:
    """Turn what is wrong with a zip, or with reading it, into a `SourceError`."""
    try:
        yield
    except ZipFormatError as error:
        raise SourceError(f"{printable(path)} {error}") from error
    except OSError as error:
        raise SourceError(
            f"can't read {printable(path)}: {error.strerror or error}; put that right"
        ) from error
