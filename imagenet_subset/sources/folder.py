"""ILSVRC as a tree of folders: ``train/<wnid>/*.JPEG`` and ``val/``, flat or by class."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from imagenet_subset.columns import Location
from imagenet_subset.ilsvrc.train_list import TrainList
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.sources.base import LARGEST_PHOTO, Photo, PhotoReader, Store
from imagenet_subset.sources.instead import (
    leave_out,
    listing_errors,
    what_is_there,
)
from imagenet_subset.sources.names import (
    PHOTO_SUFFIXES,
    is_tar_name,
    is_wnid,
    original,
    without_tar,
)
from imagenet_subset.system.files import regular_sized

BELOW = (".", "CLS-LOC", "Data/CLS-LOC", "ILSVRC/Data/CLS-LOC")
"""Where ``train`` and ``val`` are, seen from what is given as ``--data_dir``."""
_VALS = ("val", "validation")
_TRAIN_LIST = "ImageSets/CLS-LOC/train_cls.txt"

_MORE = 1 << 16
_SUFFIXES = tuple(suffix.removeprefix(".") for suffix in PHOTO_SUFFIXES)


def open_folder(data_dir: Path) -> FolderStore | None:
    """Tree at ``data_dir`` or below it; None if there is none."""
    with listing_errors(data_dir):
        if not data_dir.is_dir():
            return None
        for below in BELOW:
            root = data_dir / below
            vals = [name for name in _VALS if (root / name).is_dir()]
            if vals or (root / "train").is_dir():
                val = next((name for name in vals if _has_photos(root / name)), (*vals, "val")[0])
                folders: dict[Split, str] = {"train": "train", "val": val}
                return FolderStore(
                    os.path.abspath(root),
                    _find_train_list(root),
                    val,
                    frozenset(s for s, name in folders.items() if _has_photos(root / name)),
                )
    return None


def _has_photos(folder: Path) -> bool:
    """Whether a folder has photos, or folders of classes, in it."""
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(e.name.lower().endswith(PHOTO_SUFFIXES) or is_wnid(e.name) for e in entries)


def _find_train_list(root: Path) -> Path | None:
    """``ImageSets`` next to ``Data``: by the path as given, then with symbolic links resolved."""
    for base in (Path(os.path.abspath(root)), root.resolve()):
        if (path := base.parent.parent / _TRAIN_LIST).is_file():
            return path
    return None


@dataclass(frozen=True, slots=True)
class FolderStore(Store):
    """A tree of folders. Locations are paths below the root."""

    form: ClassVar[str] = "the folders"

    root: str
    """Absolute path of the folder that holds ``train`` and ``val``."""
    list_beside: Path | None = None
    """``train_cls.txt`` where ILSVRC has it."""
    val: str = "val"
    """Name of the folder of val."""
    splits: frozenset[Split] = frozenset(SPLITS)
    """Those whose folder has photos, or folders of classes, in it."""
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    def photos(self, split: Split, wnids: Collection[str]) -> Iterator[Photo]:
        """See `imagenet_subset.sources.base.Store.photos`."""
        folder = self._folder(split)
        if split == "val":
            yield from self._in(folder, None)
            wnids = [w for w in wnids if os.path.isdir(self._path(f"{folder}/{w}"))]
        else:
            wanted = frozenset(wnids)
            yield from (p for p in self._in(folder, None) if (p.wnid or p.stem[:9]) in wanted)
        for wnid in wnids:
            yield from self._in(f"{folder}/{wnid}", wnid)

    def in_class(self, wnid: str) -> Iterator[Photo]:
        """Photos in the train folder of a class."""
        return self._in(f"train/{wnid}", wnid)

    def _in(self, folder: str, wnid: str | None) -> Iterator[Photo]:
        """Photos in a folder; none if there is no folder."""
        path = self._path(folder)
        reading = listing_errors(path, leave_out(wnid) if wnid else "")
        with reading, contextlib.suppress(FileNotFoundError), os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                stem, _, suffix = name.rpartition(".")
                stem, appended = original(stem)
                # macOS puts a "._name" file beside each file on foreign disks.
                is_photo = suffix.lower() in _SUFFIXES and name[0] != "."
                if is_photo and entry.is_file():
                    yield Photo(stem, appended or wnid, f"{folder}/{name}")

    def open(self) -> PhotoReader:
        """See `imagenet_subset.sources.base.Store.open`."""
        return FolderReader(self.root)

    def describe(self, at: Location, stem: str = "") -> str:
        """Path of a photo."""
        return self._path(str(at))

    def instead(self, split: Split, wnid: str) -> str:
        """See `imagenet_subset.sources.base.Store.instead`."""
        top = self._folder(split)
        folder = f"{top}/{wnid}"
        if not os.path.isdir(self._path(top)) or (
            split == "val" and not os.path.isdir(self._path(folder))
        ):
            folder = top
        with listing_errors(self._path(folder), leave_out(wnid)):
            return what_is_there(self.root, folder)

    def train_list(self, wnids: Collection[str]) -> TrainList | None:
        """See `imagenet_subset.sources.base.Store.train_list`."""
        return None if self.list_beside is None else TrainList.read(self.list_beside, wnids)

    def _folder(self, split: Split) -> str:
        return self.val if split == "val" else split

    def _path(self, location: str) -> str:
        return os.path.join(self.root, location)


def tars_of_classes(root: Path) -> list[str]:
    """The tars of train classes that lie in ``train`` in place of their folders, below ``root``.

    Raises
    ------
    imagenet_subset.errors.SourceError
        They can't be listed.
    """
    folder = root / "train"
    with listing_errors(folder):
        names = sorted(os.listdir(folder)) if folder.is_dir() else []
    return [f"train/{name}" for name in names if is_tar_name(name) and is_wnid(without_tar(name))]


class FolderReader:
    """Reads photos below a folder; each is opened and closed for itself."""

    def __init__(self, root: str) -> None:
        self._before = os.path.join(root, "")

    def read(self, location: Location) -> bytes:
        """See `imagenet_subset.sources.base.PhotoReader.read`."""
        path = f"{self._before}{location}"
        fd, size = regular_sized(path, os.O_RDONLY)
        try:
            if size > LARGEST_PHOTO:
                reason = f"has {size / 1e9:.1f} GB, more than any photo"
                raise OSError(errno.EFBIG, reason, path)
            # A byte more than there should be: so the one call also shows that it is all.
            data = os.read(fd, size + 1)
            return data if len(data) == size else _with_the_rest(fd, data, size, path)
        finally:
            os.close(fd)

    def close(self) -> None:
        """Do nothing: no handle is kept."""


def _with_the_rest(fd: int, data: bytes, size: int, path: str) -> bytes:
    """Contents of a file that has grown, or of which a read returned less; or an error."""
    parts = [data]
    while part := os.read(fd, _MORE):
        parts.append(part)
    data = b"".join(parts)
    if len(data) < size:
        reason = f"only {len(data):,} of {size:,} bytes could be read"
        raise OSError(errno.EIO, reason, path)
    return data
