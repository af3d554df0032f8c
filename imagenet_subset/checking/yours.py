"""Photos of the user's own for a selftest: files below a folder, or what an archive holds."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.records import SPLITS
from imagenet_subset.sources import open_source
from imagenet_subset.sources.base import Photo, Store
from imagenet_subset.system.text import printable

_CLASSES = 10
"""Classes of which photos are drawn, of the 1,000."""
PER_FOLDER = 5
"""Files taken from one folder before others have had their turn."""


def your_photos(data_dir: Path, count: int) -> Iterator[bytes]:
    """Draw up to ``count`` photos at a path: found at once, and read as they are asked for.

    Raises
    ------
    SourceError
        There are none. In the course of the reading: one can't be read.
    """
    if files := sample_files(data_dir, count):
        return map(_read, files)
    store = open_source(data_dir)
    if photos := sample_photos(store, count):
        return _read_from(store, photos)
    raise SourceError(f"{printable(data_dir)} has no photo that a selftest could try")


def sample_files(root: Path, count: int, seed: int = 0) -> list[Path]:
    """Draw up to ``count`` image files below a folder, without listing all of them.

    Folders are visited in random order, each for a few files, until there are enough.
    """
    draw = random.Random(seed)
    chosen: list[Path] = []
    more: list[Path] = []
    for folder, folders, names in os.walk(root):
        draw.shuffle(folders)
        images = [name for name in names if name.lower().endswith((".jpeg", ".jpg"))]
        draw.shuffle(images)
        chosen += [Path(folder, name) for name in images[:PER_FOLDER]]
        more += [Path(folder, name) for name in images[PER_FOLDER:count]]
        if len(chosen) >= count:
            break
    return (chosen + more)[:count]


def sample_photos(store: Store, count: int, seed: int = 0) -> list[Photo]:
    """Draw up to ``count`` photos of a store, of some classes: to go through all takes minutes."""
    draw = random.Random(seed)
    every = tuple(class_table())
    for wnids in (draw.sample(every, _CLASSES), every):
        chosen: list[Photo] = []
        photos = itertools.chain.from_iterable(store.photos(split, wnids) for split in SPLITS)
        for n, photo in enumerate(photos):
            if n < count:
                chosen.append(photo)
            elif (place := draw.randint(0, n)) < count:
                chosen[place] = photo
        if chosen:
            break
    return chosen


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"can't read {printable(path)}: {error.strerror}") from error


def _read_from(store: Store, photos: list[Photo]) -> Iterator[bytes]:
    try:
        reader = store.open()
    except OSError as error:
        raise SourceError(f"can't open {printable(store.root)}: {error.strerror}") from error
    try:
        for photo in photos:
            try:
                yield reader.read(photo.location)
            except OSError as error:
                where = printable(store.describe(photo.location, photo.stem))
                raise SourceError(f"can't read {where}: {error.strerror}") from error
    finally:
        reader.close()
