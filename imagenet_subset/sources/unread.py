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
_ASIDE = ("devkit", "test", "bbox", "train_t3")
"""Parts of the names of archives of ILSVRC without its train and val photos."""
_COMPRESSED = (
    (b"\x1f\x8b", "gzip", "gunzip -k"),
    (b"BZh", "bzip2", "bunzip2 -k"),
    (b"\xfd7zXZ\x00", "xz", "unxz -k"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd -k"),
)
"""First bytes of a file, what has compressed it, and what undoes that."""
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
        with data_dir.open("rb") as file:
            head = file.read(8)
    for magic, how, command in _COMPRESSED:
        if head.startswith(magic):
            return SourceError(
                f"{shown} is compressed by {how}, so that a photo in it can't be found without "
                f"reading all before it; unpack it by {command}, and give what comes out"
            )
    return SourceError(
        f"{shown} is a file, and no archive of a kind that is read; --data_dir is {_FORMS}"
    )


def _nothing_in(folder: Path) -> SourceError:
    names = sorted(os.listdir(folder))
    packed = [name for name in names if name.lower().endswith((".tar.gz", ".tgz"))]
    if packed := [name for name in packed if "devkit" not in name]:
        return SourceError(
            f"{printable(folder)} has {few(packed)}, which are compressed, so that a photo in them "
            "can't be found without reading all before it; unpack them by gunzip, to tars, and "
            "give the same folder"
        )
    return SourceError(
        f"{printable(folder)} has neither train/ nor val/ in it, nor Data/CLS-LOC/train, nor an "
        f"archive of ImageNet: it {contents(folder)}; --data_dir is {_FORMS}"
    )
