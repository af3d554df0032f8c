"""What is said of files that might be ImageNet, and aren't read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from imagenet_subset.errors import SourceError
from imagenet_subset.records import Split
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.containers import ContainerStore
from imagenet_subset.sources.folder import BELOW
from imagenet_subset.sources.instead import contents, listing_errors
from imagenet_subset.sources.joined import JoinedStore
from imagenet_subset.sources.tar.shards import split_of_shard
from imagenet_subset.sources.unfit import by_kind, kind_of, may_be_imagenet
from imagenet_subset.system.text import few, printable

_READ = (".tar", ".zip", ".parquet")
_ASIDE = ("devkit", "test", "bbox", "train_t3")
"""Parts of the names of archives of ILSVRC without its train and val photos."""
_PLACES: Mapping[Split, Sequence[str]] = {"train": ["train"], "val": ["val", "validation"]}
"""Folders of the splits."""
_FORMS = (
    "ILSVRC's Data/CLS-LOC, with train/ and val/ in it, or a folder or file of its tars, Kaggle's "
    "zip, Hugging Face's parquet or WebDataset's shards"
)


def unread(folder: Path, stores: Sequence[Store]) -> list[str]:
    """Names of the archives in a folder that no store reads, though it might."""
    if not folder.is_dir():
        return []
    read = set(_files(stores))
    with listing_errors(folder):
        return [
            name
            for name in sorted(os.listdir(folder))
            if name.lower().endswith(_READ)
            and not any(part in name for part in _ASIDE)
            and str(folder / name) not in read
        ]


def _files(stores: Iterable[Store]) -> Iterator[str]:
    for store in stores:
        if isinstance(store, JoinedStore):
            yield from _files(store.stores)
        elif isinstance(store, ContainerStore):
            yield from map(store.path, range(len(store.files)))


def unfit(data_dir: Path, lacking: Sequence[Split]) -> list[str]:
    """What is said of files that may have a split that is lacking, and aren't read as they are."""
    if not lacking:
        return []
    folder = Path(os.path.abspath(data_dir))
    folder = folder if folder.is_dir() else folder.parent
    places = [folder / "data"]
    for root in (folder / below for below in BELOW):
        places += [root, *(root / name for split in lacking for name in _PLACES[split])]
    found: dict[Path, None] = {}
    with contextlib.suppress(OSError):  # what can be read is read without them
        for place in places:
            found |= dict.fromkeys(file for file in _archives(place) if os.access(file, os.R_OK))
        others = [f for f in found if (split_of_shard(f.name) or lacking[0]) in lacking]
        return [kind.of_files(folder, files) for kind, files in by_kind(others).items()]
    return []


def nothing(data_dir: Path) -> SourceError:
    """The error for a path without ImageNet: what is there instead, and what to do."""
    shown = printable(data_dir)
    with listing_errors(data_dir):
        if data_dir.is_dir():
            return _nothing_in(data_dir)
        if not data_dir.exists():
            return SourceError(f"{shown} doesn't exist; --data_dir is {_FORMS}")
        if not data_dir.is_file():
            return SourceError(f"{shown} is a pipe or a device; --data_dir is {_FORMS}")
        if kind := kind_of(data_dir):
            return SourceError(kind.of_file(data_dir))
    return SourceError(
        f"{shown} is a file, and no archive of a kind that is read; --data_dir is {_FORMS}"
    )


def _nothing_in(folder: Path) -> SourceError:
    places = (folder, folder / "data")  # where Hugging Face has them
    archives = [path for place in places for path in _archives(place)]
    if kinds := by_kind(archives):
        return SourceError("; ".join(k.of_files(folder, paths) for k, paths in kinds.items()))
    names = [str(path.relative_to(folder)) for path in archives]
    there = f"has no photo of ImageNet in {few(names)}" if names else contents(folder)
    return SourceError(
        f"{printable(folder)} has neither train/ nor val/ in it, nor Data/CLS-LOC/train, nor an "
        f"archive of ImageNet: it {there}; --data_dir is {_FORMS}"
    )


def _archives(folder: Path) -> list[Path]:
    """Files in a folder that may be ImageNet, by their names."""
    if not folder.is_dir():
        return []
    return [
        folder / name
        for name in sorted(os.listdir(folder))
        if may_be_imagenet(name) and name[0] != "." and not any(part in name for part in _ASIDE)
        if (folder / name).is_file()
    ]
