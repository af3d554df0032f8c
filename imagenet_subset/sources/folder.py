"""ILSVRC as a tree of folders: ``train/<wnid>/*.JPEG`` and ``val/``, flat or by class."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagenet_subset.classes import Subset
from imagenet_subset.errors import SourceError, printable
from imagenet_subset.records import Record, Split
from imagenet_subset.sources import Listing
from imagenet_subset.sources.finder import Finder, listing_errors

_BELOW = (".", "CLS-LOC", "Data/CLS-LOC", "ILSVRC/Data/CLS-LOC")
_TRAIN_LIST = "ImageSets/CLS-LOC/train_cls.txt"


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
        f"{printable(data_dir)} has neither train/ nor val/ in it, nor Data/CLS-LOC/train; "
        "--data_dir is ILSVRC's Data/CLS-LOC"
    )


def _find_train_list(root: Path) -> Path | None:
    """``ImageSets`` beside ``Data``, by the path as given, then with symbolic links resolved."""
    for base in (Path(os.path.abspath(root)), root.resolve()):
        if (path := base.parent.parent / _TRAIN_LIST).is_file():
            return path
    return None


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A tree of folders. Locations are paths below the root."""

    root: str
    """Absolute path of the folder that holds ``train`` and ``val``."""
    train_list: Path | None = None

    def list(self, subset: Subset, splits: Sequence[Split], *, skip_missing: bool) -> Listing:
        """See `imagenet_subset.sources.Source.list`."""
        for split in splits:
            if not os.path.isdir(os.path.join(self.root, split)):
                raise SourceError(
                    f"{printable(self.root)} has no {split}/; put its photos there, or build "
                    "without them by --splits"
                )
        finder = Finder(self.root, self.train_list, subset, skip_missing)
        records: dict[Split, list[Record]] = {}
        for split in splits:
            found = sorted(finder.train() if split == "train" else finder.val())
            records[split] = [
                Record(row, split, image_id, label, subset.classes[label].wnid, location)
                for row, (image_id, label, location) in enumerate(found)
            ]
        finder.check()
        missing = {split: len(finder.missing[split]) for split in splits}
        return Listing(records, missing, tuple(finder.notes))

    def read(self, records: Iterable[Record]) -> Iterator[tuple[Record, bytes | OSError]]:
        """See `imagenet_subset.sources.Source.read`."""
        for record in records:
            try:
                with open(os.path.join(self.root, record.location), "rb", buffering=0) as file:
                    data = file.read()
            except OSError as error:
                yield record, error
            else:
                yield record, data

    def path(self, record: Record) -> str:
        """See `imagenet_subset.sources.Source.path`."""
        return os.path.join(self.root, record.location)
