"""Names for the photos of shards whose keys are numbers, as those of WebDataset's own example.

The number is the place in torchvision's ``ImageFolder``: from 0, by class, and in a class by file
name in plain order, which is not ILSVRC's. It says a name only where nothing is missing, and where
all names of the class are known.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import VAL_IMAGES, ImageClass, class_table
from imagenet_subset.ilsvrc.numbering import val_ids_of, val_name
from imagenet_subset.ilsvrc.train_list import TrainList
from imagenet_subset.records import Split
from imagenet_subset.sources.base import Photo, Store
from imagenet_subset.system.text import printable

_ONLY = "they say names only where all photos of ILSVRC 2012 are there, each under its place"


def named(
    split: Split, photos: Iterable[Photo], store: Store, names: Mapping[str, Sequence[str]]
) -> Iterator[Photo]:
    """Photos of some classes under their names.

    Parameters
    ----------
    photos
        All of the split, each with its place for a stem.
    names
        Of the photos of each of these classes, in plain order: see `train_names` and `val_names`.

    Raises
    ------
    SourceError
        A place is there twice or not at all, or a label isn't that of the class that has it.
    """
    counts = [
        c.num_train_images if split == "train" else VAL_IMAGES for c in class_table().values()
    ]
    firsts = np.cumsum([0, *counts]).tolist()
    wnids, total = list(class_table()), firsts.pop()
    seen = np.zeros(total, np.bool_)
    for stem, wnid, location in photos:
        place = int(stem)
        if place >= total or seen[place]:
            what = f"is there twice, as {split}" if place < total else f"is beyond the {total:,}"
            raise _wrong(store, f"{stem} {what} photos")
        seen[place] = True
        k = bisect_right(firsts, place) - 1
        if wnid != wnids[k]:
            raise _wrong(store, f"{stem} has the label of {wnid or 'no class'}, not of {wnids[k]}")
        if wnid in names:
            yield Photo(names[wnid][place - firsts[k]], wnid, location)
    if not seen.all():
        found = np.count_nonzero(seen)
        raise _wrong(store, f"there are {found:,} of {total:,} {split} photos")


def _wrong(store: Store, what: str) -> SourceError:
    return SourceError(f"{printable(store.root)} has numbers for names, and {what}; {_ONLY}")


def train_names(
    classes: Iterable[ImageClass], train_list: TrainList | None, store: Store
) -> dict[str, list[str]]:
    """Names of the train photos of each class, in plain order.

    Raises
    ------
    SourceError
        There is no list, or it lacks photos.
    """
    if train_list is None:
        raise SourceError(
            f"{printable(store.root)} has numbers for names: places in a sorted folder, which are "
            "not ILSVRC's numbers; give the names by --train_list train_cls.txt, of all ILSVRC"
        )
    classes = list(classes)
    names = {c.wnid: sorted(train_list.numbers(c.wnid)) for c in classes}
    for c in classes:
        if len(names[c.wnid]) != c.num_train_images:
            raise SourceError(
                f"{printable(train_list.name)} has {len(names[c.wnid]):,} of the "
                f"{c.num_train_images:,} train photos of {c.wnid}, so that it doesn't say which "
                f"the numbers in {printable(store.root)} are; give the list of all ILSVRC"
            )
    return names


def val_names(classes: Iterable[ImageClass]) -> dict[str, list[str]]:
    """Names of the val photos of each class, in plain order."""
    by_id = {c.clsloc_id: c.wnid for c in classes}
    ids = val_ids_of(by_id)
    return {by_id[clsloc_id]: list(map(val_name, numbers)) for clsloc_id, numbers in ids.items()}
