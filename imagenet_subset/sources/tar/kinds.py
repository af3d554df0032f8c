"""What a tar is, by its first members; and the store of the tars in a folder."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imagenet_subset.columns import Texts
from imagenet_subset.errors import SourceError
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.folder import BELOW
from imagenet_subset.sources.instead import listing_errors
from imagenet_subset.sources.joined import joined
from imagenet_subset.sources.names import is_tar_name, is_wnid, parse, without_tar
from imagenet_subset.sources.tar.headers import is_blank, is_header, walk
from imagenet_subset.sources.tar.info import lacking
from imagenet_subset.sources.tar.shards import (
    NumberedShardStore,
    ShardStore,
    is_place,
    split_of_shard,
)
from imagenet_subset.sources.tar.store import TarStore, first_block, opened
from imagenet_subset.system.files import regular
from imagenet_subset.system.text import few, printable

_PEEKED = 1000
"""Members that are looked at to see what a tar is."""
_TASK_3 = range(100, 131)
"""How many classes of dogs ILSVRC's task 3 has, with some room."""
_OF_TREE = ("CLS-LOC", "ILSVRC2012_test_")
"""In names of what a tree may begin with: half a million annotations, or the photos of test."""
_OTHERS = ("img_test", "devkit", "bbox")
"""In names of ILSVRC's archives that have no photos of train or val."""
_OFFICIAL = ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")
_DOGS = "n02085620", "n02116742"
"""WNIDs between which they are."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a tar is."""

    splits: frozenset[Split]
    """Of which it may have photos; empty if it is none of ImageNet's."""
    store: type[TarStore] = TarStore
    refusal: str = ""
    """Why it isn't read, and what to do."""
    may_be_any: bool = False
    """Whether it isn't known what it is refused as."""


_NONE = _Kind(frozenset())


def open_tars(root: Path, files: Sequence[str]) -> Store | None:
    """Store of the photos in some tars; None if there are none in any.

    They may be of several kinds, if these are of different splits.

    Parameters
    ----------
    root
        The tar, if it is one; or the folder that they are in.
    files
        Their paths below the root; ``""`` for the root itself.

    Raises
    ------
    imagenet_subset.errors.SourceError
        One can't be read, or they are of different kinds for one split, or of one that isn't read.
    """
    kinds = {file: _kind(os.path.join(root, file) if file else str(root)) for file in files}
    good = {file: kind for file, kind in kinds.items() if kind.splits}
    refusals = [kind.refusal for kind in kinds.values() if kind.refusal]
    if not good:
        if refusals:
            raise SourceError(refusals[0])
        return None
    stores = []
    for make in dict.fromkeys(kind.store for kind in good.values()):
        of_kind = [file for file in good if good[file].store is make]
        splits = frozenset(split for file in of_kind for split in good[file].splits)
        stores.append(make(str(root), Texts.of(of_kind), splits))
    found = [split for store in stores for split in store.splits]
    numbered = len(stores) > 1 and any(store.by_place for store in stores)  # known by the whole
    if numbered or len(set(found)) < len(found):
        firsts = sorted(store.files[0] for store in stores)
        raise SourceError(
            f"{printable(root)} has tars of several kinds ({few(firsts)}); keep each kind in a "
            "folder of its own"
        )
    lacks = len(found) < len(SPLITS)
    notes = [kind.refusal for kind in kinds.values() if kind.refusal and (lacks or kind.may_be_any)]
    notes += lacking(str(root), files)
    store = joined(str(root), stores)
    return replace(store, notes=tuple(notes))  # type: ignore[type-var]


def _kind(path: str) -> _Kind:
    """What the tar at a path is, by its first members, and what it is if none says so."""
    if "img_train_t3" in os.path.basename(path):
        return _task_3(path)
    if any(part in os.path.basename(path) for part in _OTHERS):
        return _NONE
    with opened(path) as (fd, end):
        first = first_block(fd)
        if is_blank(first):
            return _blank(path)
        if not is_header(first):
            return _NONE
        members = walk(fd, 0, end)
        names = [member.name for member in itertools.islice(members, _PEEKED)]
    return _by_names(path, names)


def _by_names(path: str, names: Sequence[str]) -> _Kind:
    classes = [name for name in names if is_tar_name(name) and is_wnid(name[-13:-4])]
    if classes:
        first, last = _DOGS
        dogs = [name for name in classes if first <= name[-13:-4] <= last]
        if len(dogs) == len(names) and len(names) in _TASK_3:
            return _task_3(path)
        return _Kind(frozenset(SPLITS if "/" in classes[0].removeprefix("./") else ["train"]))
    has_labels = any(name.endswith(".cls") for name in names)
    for name in names:
        if photo := parse(name):
            if has_labels:
                return _Kind(frozenset([photo.split]), ShardStore)
            # A photo in a folder may be of a tree, whose other split comes later.
            flat = "/" not in name.removeprefix("./")
            return _Kind(frozenset([photo.split] if flat else SPLITS))
        if has_labels and is_place(name):
            split = split_of_shard(path)
            return _Kind(frozenset([split] if split else []), NumberedShardStore)
    if len(names) == _PEEKED and any(part in name for name in names for part in _OF_TREE):
        return _Kind(frozenset(SPLITS))
    return _NONE


def _blank(path: str) -> _Kind:
    what = "is empty"
    if os.path.getsize(path):
        what = "begins with zeros, as a download that isn't finished"
    return _Kind(
        frozenset(),
        refusal=f"{printable(path)} {what}; get it anew",
        may_be_any=True,
    )


def _task_3(path: str) -> _Kind:
    return _Kind(
        frozenset(),
        refusal=f"{printable(path)} is of ILSVRC's task 3, photos of dogs only; get the tar of "
        "tasks 1 and 2, ILSVRC2012_img_train.tar, of 147,897,477,120 bytes",
    )


def open_tar(path: Path) -> Store | None:
    """Store of a tar, or of the tars in a folder; None if there are none of ImageNet's.

    Beside one of ILSVRC's two tars the other one is taken too.

    Raises
    ------
    imagenet_subset.errors.SourceError
        See `open_tars`.
    """
    path = Path(os.path.abspath(path))
    with listing_errors(path):
        if path.is_dir():
            return _open_tars_in(path)
        if not path.is_file() or not _looks_like_tar(path):
            return None
        pair = [path.parent / name for name in _OFFICIAL]
        if path in pair and all(file.is_file() for file in pair):
            return open_tars(path.parent, _OFFICIAL)
    if store := open_tars(path, [""]):
        return store
    raise SourceError(
        f"{printable(path)} is a tar without photos named as ILSVRC's train and val photos; give "
        "the tar that has them, as ILSVRC2012_img_train.tar, or the folder that it is in"
    )


def _looks_like_tar(path: Path) -> bool:
    fd = regular(path, os.O_RDONLY)
    try:
        first = first_block(fd)
        return is_header(first) or (path.suffix.lower() == ".tar" and is_blank(first))
    finally:
        os.close(fd)


def _open_tars_in(folder: Path) -> Store | None:
    for below in (*BELOW, "data"):
        root = folder / below
        files = [
            os.path.join(sub, name)
            for sub in ("", "train", "val", "validation")
            if (root / sub).is_dir()
            for name in sorted(os.listdir(root / sub))
            if is_tar_name(name) and name[0] != "." and not _is_of_class(sub, name)
        ]
        if files and (store := open_tars(root, files)):
            return store
    return None


def _is_of_class(sub: str, name: str) -> bool:
    """Whether a tar is of a train class, and lies where those of ILSVRC's train tar do."""
    return sub == "train" and is_wnid(without_tar(name))
