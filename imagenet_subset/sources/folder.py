"""ILSVRC as a tree of folders: ``train/<wnid>/*.JPEG`` and ``val/``, flat or by class."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagenet_subset.errors import SourceError
from imagenet_subset.records import SPLITS, Record, Split
from imagenet_subset.selection import Subset
from imagenet_subset.sources.base import Listing, OnMissing
from imagenet_subset.sources.finder import Finder
from imagenet_subset.sources.instead import contents, listing_errors, what_is_there
from imagenet_subset.system.files import regular
from imagenet_subset.system.text import printable

_BELOW = (".", "CLS-LOC", "Data/CLS-LOC", "ILSVRC/Data/CLS-LOC")
_TRAIN_LIST = "ImageSets/CLS-LOC/train_cls.txt"

LARGEST_PHOTO = 1 << 30
"""In bytes. Pillow refuses more than 2**30 / 6 pixels, and 6 bytes is the most that a pixel takes
in RGB, 16 bits a channel, so no photo that it decodes has to be larger."""
_MORE = 1 << 16
_PAUSES = (0.1, 0.4)
"""Seconds before a read is tried for the second and for the third time."""
_PATIENCE = 3
_FINAL = (errno.EFBIG, errno.EINVAL, errno.ENXIO)
"""Errors that say what the file is; to wait doesn't mend them."""


def open_folder(data_dir: Path, train_list: Path | None = None) -> FolderSource:
    """Find the root of the tree, and the train list; see `imagenet_subset.sources.open_source`."""
    with listing_errors(data_dir):
        root = _find_root(data_dir)
        return FolderSource(os.path.abspath(root), train_list or _find_train_list(root))


def _find_root(data_dir: Path) -> Path:
    """Folder that holds ``train`` or ``val``: this one, or one of those below it."""
    if not data_dir.is_dir():
        what = "is a file, not a folder" if data_dir.exists() else "doesn't exist"
        raise SourceError(
            f"{printable(data_dir)} {what}; --data_dir is ILSVRC's Data/CLS-LOC, with train/ and "
            "val/ in it"
        )
    for below in _BELOW:
        root = data_dir / below
        if (root / "train").is_dir() or (root / "val").is_dir():
            return root
    raise SourceError(
        f"{printable(data_dir)} has neither train/ nor val/ in it, nor Data/CLS-LOC/train: it "
        f"{contents(data_dir)}; --data_dir is ILSVRC's Data/CLS-LOC"
    )


def _find_train_list(root: Path) -> Path | None:
    """``ImageSets`` next to ``Data``: by the path as given, then with symbolic links resolved."""
    for base in (Path(os.path.abspath(root)), root.resolve()):
        if (path := base.parent.parent / _TRAIN_LIST).is_file():
            return path
    return None


def _read(path: str, pauses: Sequence[float]) -> bytes | OSError:
    """Contents of a photo; tried again after each of the pauses, in seconds."""
    for pause in pauses:
        try:
            return _read_once(path)
        except OSError as error:
            if error.errno in _FINAL:
                return error
        time.sleep(pause)
    try:
        return _read_once(path)
    except OSError as error:
        return error


def _read_once(path: str) -> bytes:
    fd = regular(path, os.O_RDONLY)
    try:
        size = os.fstat(fd).st_size
        if size > LARGEST_PHOTO:
            raise OSError(errno.EFBIG, f"has {size / 1e9:.1f} GB, more than any photo", path)
        parts = [os.read(fd, size)]
        while part := os.read(fd, _MORE):  # the file may have grown, or a read returned less
            parts.append(part)
        data = b"".join(parts) if len(parts) > 1 else parts[0]
        if len(data) < size:
            raise OSError(errno.EIO, f"only {len(data):,} of {size:,} bytes could be read", path)
        return data
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A tree of folders. Locations are paths below the root."""

    root: str
    """Absolute path of the folder that holds ``train`` and ``val``."""
    train_list: Path | None = None

    def list(
        self, subset: Subset, splits: Sequence[Split], *, on_missing: OnMissing = "error"
    ) -> Listing:
        """See `imagenet_subset.sources.Source.list`."""
        if on_missing != "ignore":
            self._check_folders(splits)
        finder = Finder(self.root, self.train_list, subset, on_missing)
        records: dict[Split, list[Record]] = {}
        for split in splits:
            found = sorted(finder.find(split))
            records[split] = [
                Record(row, split, image_id, label, subset.classes[label].wnid, location)
                for row, (image_id, label, location) in enumerate(found)
            ]
        finder.check()
        missing = {split: len(finder.missing[split]) for split in splits}
        return Listing(records, missing, tuple(finder.notes))

    def _check_folders(self, splits: Sequence[Split]) -> None:
        absent = [s for s in splits if not os.path.isdir(os.path.join(self.root, s))]
        if not absent:
            return
        others = [s for s in SPLITS if s not in absent]
        with listing_errors(self.root):
            there = what_is_there(self.root, absent[0])
        raise SourceError(
            f"{printable(self.root)} has no {absent[0]} photos: {there}; put them there"
            + (f", or build without them by --splits {others[0]}" if others else "")
        )

    def read(self, records: Iterable[Record]) -> Iterator[tuple[Record, bytes | OSError]]:
        """See `imagenet_subset.sources.Source.read`.

        A read that fails is tried again after a pause, since network disks fail for a moment, with
        ENOENT too. After `_PATIENCE` photos that couldn't be read the disk is taken to be gone:
        the others are tried once.
        """
        patience = _PATIENCE
        for record in records:
            data = _read(os.path.join(self.root, record.location), _PAUSES if patience else ())
            if patience and isinstance(data, OSError) and data.errno not in _FINAL:
                patience -= 1
            yield record, data

    def path(self, record: Record) -> str:
        """See `imagenet_subset.sources.Source.path`."""
        return os.path.join(self.root, record.location)
