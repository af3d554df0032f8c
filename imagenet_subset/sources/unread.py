"""What is said of files that might be ImageNet, and aren't read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from imagenet_subset.errors import SourceError
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.containers import ContainerStore
from imagenet_subset.sources.instead import contents, listing_errors
from imagenet_subset.sources.joined import JoinedStore
from imagenet_subset.system.text import few, printable

_READ = (".tar", ".zip", ".parquet")
_ARCHIVES = (*_READ, ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")
_ASIDE = ("devkit", "test", "bbox", "train_t3")
"""Parts of the names of archives of ILSVRC without its train and val photos."""
_COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gunzip -k"),
    b"BZh": ("bzip2", "bunzip2 -k"),
    b"\xfd7zXZ\x00": ("xz", "unxz -k"),
    b"\x28\xb5\x2f\xfd": ("zstd", "unzstd -k"),
}
"""What has compressed a file that begins so, and what undoes that."""
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
        compressed = _compressed(data_dir)
    if compressed:
        how, command = compressed
        return SourceError(
            f"{shown} is compressed by {how}, so that a photo in it can't be found without "
            f"reading all before it; unpack it by {command}, and give what comes out"
        )
    return SourceError(
        f"{shown} is a file, and no archive of a kind that is read; --data_dir is {_FORMS}"
    )


def _compressed(file: Path) -> tuple[str, str] | None:
    """What has compressed a file, and what undoes that; None if nothing has."""
    with file.open("rb") as opened:
        head = opened.read(8)
    return next((how for magic, how in _COMPRESSED.items() if head.startswith(magic)), None)


def _nothing_in(folder: Path) -> SourceError:
    archives = [
        path
        for place in (folder, folder / "data")  # where Hugging Face has them
        if place.is_dir()
        for path in sorted(place.iterdir())
        if path.name.lower().endswith(_ARCHIVES) and path.is_file()
        if not any(part in path.name for part in _ASIDE)
    ]
    if packed := [(path, *how) for path in archives if (how := _compressed(path))]:
        _, by, command = packed[0]
        return SourceError(
            f"{printable(folder)} has {few([str(p.relative_to(folder)) for p, *_ in packed])}, "
            f"compressed by {by}, so that a photo in them can't be found without reading all "
            f"before it; unpack them by {command}, and give the same folder"
        )
    names = [str(path.relative_to(folder)) for path in archives]
    there = f"has no photo of ImageNet in {few(names)}" if names else contents(folder)
    return SourceError(
        f"{printable(folder)} has neither train/ nor val/ in it, nor Data/CLS-LOC/train, nor an "
        f"archive of ImageNet: it {there}; --data_dir is {_FORMS}"
    )
