"""Which photos of a store are images of a subset: ILSVRC's policy, once for all stores.

`imagenet_subset.sources.train` and `imagenet_subset.sources.val` say which names photos have, and
which number and label each image gets. Here it is decided what becomes of those that are missing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import ImageClass
from imagenet_subset.records import Records, Split
from imagenet_subset.selection.choice import Choice, Names
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources.base import Photo, Store
from imagenet_subset.sources.instead import leave_out
from imagenet_subset.sources.look import Look, OnMissing
from imagenet_subset.sources.rehosted import check_sizes, reencoded
from imagenet_subset.sources.train import TrainLook
from imagenet_subset.sources.val import ValLook
from imagenet_subset.system.text import counted, few, printable


@dataclass(frozen=True, slots=True)
class Listing:
    """The images of a subset that a store has."""

    records: dict[Split, Records]
    """For each split asked for, in ascending image id."""
    reencoded: int = 0
    """How many photos are known to be no original files."""
    missing: dict[Split, int] = field(default_factory=dict)
    """How many images of the subset the store lacks."""
    notes: tuple[str, ...] = ()
    """What looked odd, a line each."""
    chosen_from: Names | None = None
    """See `imagenet_subset.sources.chosen.Chosen.chosen_from`."""


def list_images(
    subset: Subset,
    splits: Sequence[Split],
    store: Store,
    train_list: Path | None = None,
    *,
    on_missing: OnMissing = "error",
    by_name: bool = False,
    choice: Choice | None = None,
) -> Listing:
    """Find the subset's images, without reading any.

    Parameters
    ----------
    train_list
        ``train_cls.txt``; by default the one that the store has, if it has one.
    on_missing
        What to do about photos that aren't there. With ``"skip"``, train photos that can't be
        numbered all have ids that are made of their names.
    by_name
        Whether to give such ids to the train photos in any case, whatever list there is, as the
        file has them that is looked at.
    choice
        Which train photos are wanted; None for all.

    Raises
    ------
    imagenet_subset.errors.SourceError
        Images are missing, are in a wrong class, can't be numbered, or can't be listed; or the
        store has a copy whose photos were resized.
    """
    train = TrainLook(subset, store, on_missing, train_list, by_name=by_name, choice=choice)
    looks: dict[Split, Look] = {
        split: train if split == "train" else ValLook(subset, store, on_missing) for split in splits
    }
    photos = {split: _begun(iter(store.photos(split, subset.wnids))) for split in splits}
    if on_missing != "ignore":
        _check_splits(subset, store, photos)
    records = {split: look.find(photos[split] or iter(())) for split, look in looks.items()}
    notes = [*store.notes, *(note for look in looks.values() for note in look.notes)]
    notes += _check(subset, store, looks, on_missing)
    missing = {split: look.missing.count for split, look in looks.items()}
    others = _changed(store, records) if store.rehosted and on_missing != "ignore" else []
    if others:
        were, their = ("was", "its") if len(others) == 1 else ("were", "their")
        notes.append(
            f"{counted(len(others), 'train photo')} ({few(others)}) in {printable(store.root)} "
            f"{were} encoded anew by whoever made it: {their} pixels aren't those of ILSVRC's files"
        )
    return Listing(records, len(others), missing, tuple(notes), train.chosen.chosen_from)


def _changed(store: Store, records: Mapping[Split, Records]) -> list[str]:
    """Names of photos that were encoded anew; refuses a store of resized ones."""
    for found in records.values():
        check_sizes(store, found.locations)
    return reencoded(store, records["train"]) if "train" in records else []


def _begun(photos: Iterator[Photo]) -> Iterator[Photo] | None:
    """The same photos, or None if there are none."""
    first = next(photos, None)
    return None if first is None else itertools.chain([first], photos)


def _check_splits(
    subset: Subset, store: Store, photos: Mapping[Split, Iterator[Photo] | None]
) -> None:
    """Refuse a split without any photo before all photos of the other one are looked at."""
    for split, found in photos.items():
        if found is None:
            others = [other for other in photos if photos[other]]
            raise _no_photos(store, split, subset.classes, every=True, others=others)


def _check(
    subset: Subset, store: Store, looks: Mapping[Split, Look], on_missing: OnMissing
) -> list[str]:
    """Refuse what can't be numbered and what is missing, or note the latter."""
    root = printable(store.root)
    if incomplete := [what for look in looks.values() for what in look.incomplete]:
        ways = "give it by --train_list, or complete them"
        if on_missing == "error":
            ways += ", or build by --missing skip, which makes ids of the photos' names"
        text = (
            f"{root} has {counted(len(incomplete), 'class folder')} whose photos can't be numbered "
            f"without train_cls.txt ({few(incomplete)})"
        )
        raise SourceError("; ".join([text, *store.notes, ways]))
    if on_missing != "ignore":
        for split, look in looks.items():
            if look.bare:
                every = len(look.bare) == len(subset.classes)
                others = [other for other in looks if not looks[other].bare]
                raise _no_photos(store, split, look.bare, every=every, others=others)
    counts = [counted(k.missing.count, f"{s} photo") for s, k in looks.items() if k.missing.count]
    if not counts:
        return []
    first = [name for look in looks.values() for name in look.missing.first]
    text = f"missing in {root}: {' and '.join(counts)} ({few(first)})"
    if on_missing == "error" and store.notes:
        text = "; ".join([text, *store.notes])
    if on_missing == "error":
        remedy = store.remedy.format("them")
        raise SourceError(f"{text}; {remedy}, or build without them by --missing skip")
    return [f"{text}; building without them"]


def _no_photos(
    store: Store,
    split: Split,
    classes: Sequence[ImageClass],
    *,
    every: bool,
    others: Sequence[Split],
) -> SourceError:
    """Error for classes that have no photo at all in a split.

    Parameters
    ----------
    every
        Whether they are all classes of the subset.
    others
        Splits asked for that have photos.
    """
    if every:
        names, ways = "any class of the subset", [f"leave them out by --splits {s}" for s in others]
    else:
        names = few([f"{c.wnid} ({c.title})" for c in classes])
        one = len(classes) == 1
        ways = [leave_out(classes[0].wnid) if one else "take these classes out of the subset file"]
    there = store.instead(split, classes[0].wnid)
    what = f"{printable(store.root)} has no {split} photo of {names}"
    notes = [note for note in store.notes if not there or there not in note]
    what = "; ".join([f"{what}: {there}" if there else what, *notes])
    return SourceError(f"{what}; {', or '.join([store.remedy.format('the photos'), *ways])}")
