"""What is said of files that might be ImageNet, and aren't read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from imagenet_subset.errors import SourceError
from imagenet_subset.records import Split
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.folder import BELOW, FolderStore
from imagenet_subset.sources.instead import contents, listing_errors
from imagenet_subset.sources.joined import JoinedStore
from imagenet_subset.sources.names import is_wnid, parse
from imagenet_subset.sources.unfit import by_kind, kind_of, may_be_imagenet
from imagenet_subset.system.files import broken_link
from imagenet_subset.system.text import few, printable

_READ = (".tar", ".zip", ".parquet")
_ASIDE = ("devkit", "test", "bbox", "train_t3")
"""Parts of the names of archives of ILSVRC without its train and val photos."""
_PLACES: Mapping[Split, Sequence[str]] = {"train": ["train"], "val": ["val", "validation"]}
"""Folders of the splits."""
_FOLDERS = tuple(name for names in _PLACES.values() for name in names)
_LINKED = (*_FOLDERS, "data", *(name for below in BELOW for name in below.split("/")))
"""Folders that may be links to where there is room."""
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
        if isinstance(store, FolderStore):
            continue
        from imagenet_subset.sources.containers import ContainerStore

        if isinstance(store, JoinedStore):
            yield from _files(store.stores)
        elif isinstance(store, ContainerStore):
            yield from map(store.path, range(len(store.files)))


def unfit(data_dir: Path, lacking: Sequence[Split], said: str) -> list[str]:
    """What is said of files that may have a split that is lacking, and aren't read as they are.

    Parameters
    ----------
    said
        What has been said of some already.
    """
    if not lacking:
        return []
    from imagenet_subset.sources.tar.shards import split_of_shard

    folder = Path(os.path.abspath(data_dir))
    folder = folder if folder.is_dir() else folder.parent
    places = [folder / "data"]
    for root in (folder / below for below in BELOW):
        places += [root, *(root / name for split in lacking for name in _PLACES[split])]
    found: dict[Path, None] = {}
    with contextlib.suppress(OSError):  # what can be read is read without them
        for place in places:
            found |= dict.fromkeys(_archives(place))
        others = [f for f in found if (split_of_shard(f.name) or lacking[0]) in lacking]
        others = [f for f in others if broken_link(f) or os.access(f, os.R_OK)]
        return list(_said_of(folder, others, said))
    return []


def _said_of(folder: Path, files: Sequence[Path], said: str = "") -> Iterator[str]:
    """What is said of files that can't be read as they are, besides what is said already."""
    links = [file for file in files if broken_link(file)]
    if links and printable(links[0]) not in said:
        many = f" ({len(links)} such links)" if len(links) > 1 else ""
        yield f"{printable(links[0])} is {broken_link(links[0])}{many}; put that right"
    for file in files:
        if file not in links and not file.stat().st_size and printable(file) not in said:
            yield f"{printable(file)} is empty; get it anew"
    for kind, of_kind in by_kind(file for file in files if file not in links).items():
        yield kind.of_files(folder, of_kind)


def nothing(data_dir: Path) -> SourceError:
    """The error for a path without ImageNet: what is there instead, and what to do."""
    shown = printable(data_dir)
    with listing_errors(data_dir):
        if data_dir.is_dir():
            return _nothing_in(data_dir)
        if link := broken_link(data_dir):
            return SourceError(f"{shown} is {link}; put that right")
        if not data_dir.exists():
            return SourceError(f"{shown} doesn't exist; --data_dir is {_FORMS}")
        if not data_dir.is_file():
            return SourceError(f"{shown} is a pipe or a device; --data_dir is {_FORMS}")
        if not data_dir.stat().st_size:
            return SourceError(f"{shown} is empty; get it anew")
        if kind := kind_of(data_dir):
            return SourceError(kind.of_file(data_dir))
    return SourceError(
        f"{shown} is a file, and no archive of a kind that is read; --data_dir is {_FORMS}"
    )


def _nothing_in(folder: Path) -> SourceError:
    places = (folder, folder / "data")  # where Hugging Face has them
    archives = [path for place in places for path in _archives(place)]
    if why := _too_deep(folder) or "; ".join(_said_of(folder, archives)):
        return SourceError(why)
    names = [str(path.relative_to(folder)) for path in archives]
    there = f"has no photo of ImageNet in {few(names)}" if names else contents(folder)
    return SourceError(
        f"{printable(folder)} has neither train/ nor val/ in it, nor Data/CLS-LOC/train, nor an "
        f"archive of ImageNet: it {there}; --data_dir is {_FORMS}"
    )


def _too_deep(folder: Path) -> str:
    """What to give instead of the folder of a split, or of a class; empty if it is neither."""
    path, names = Path(os.path.abspath(folder)), os.listdir(folder)
    has_photos = any(parse(name) for name in names)
    what = f"only the folder of {'train' if path.name == 'train' else 'val'}"
    if is_wnid(path.name) and (has_photos or path.parent.name in _FOLDERS):
        path, what = path.parent, "only the folder of a class"
    elif not has_photos and not any(is_wnid(name) and (folder / name).is_dir() for name in names):
        return ""
    if path.name in _FOLDERS:
        above = printable(path.parent)
        return f"{printable(folder)} is {what}; give the one above {path.name}/, {above}"
    return (
        f"{printable(folder)} has photos, but {printable(path)} isn't called train or val; call it "
        f"so, and give the folder above it, {printable(path.parent)}"
    )


def _archives(folder: Path) -> list[Path]:
    """Files in a folder that may be ImageNet, by their names; and links that lead nowhere."""
    if not folder.is_dir():
        return []
    names = [name for name in sorted(os.listdir(folder)) if name[0] != "."]
    return [
        folder / name
        for name in names
        if not any(part in name for part in _ASIDE)
        if (may_be_imagenet(name) and (folder / name).is_file())
        or ((may_be_imagenet(name) or name in _LINKED) and broken_link(folder / name))
    ]
