"""``train_cls.txt`` of what a store has: the numbers that its photos give away."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.ilsvrc.train_list import TrainList
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources.base import Photo, Store
from imagenet_subset.sources.train import TrainLook
from imagenet_subset.system.text import few, printable

Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class KnownNumbers:
    """The train photos of a store whose ILSVRC numbers are known."""

    lines: Mapping[str, bytes]
    """Those of ``train_cls.txt`` for each WNID that has any, in ascending number."""
    incomplete: tuple[str, ...]
    """Classes that aren't complete, and not in the store's own list, each with what it has."""
    absent: int
    """How many further classes have no photo."""
    notes: tuple[str, ...]
    """What looked odd, a line each."""
    copied_from: str = ""
    """Name of the store's own list, if all lines are of it."""

    @property
    def photos(self) -> int:
        """How many lines there are."""
        return sum(lines.count(b"\n") for lines in self.lines.values())


def known_numbers(store: Store, progress: Progress = lambda _: None) -> KnownNumbers:
    """Number the train photos of all classes that are complete, or in the store's own list.

    Parameters
    ----------
    progress
        Called with the number of photos just looked at.

    Raises
    ------
    imagenet_subset.errors.SourceError
        There is no such class, or the photos can't be listed.
    """
    train_list = store.train_list(class_table())
    listed = {} if train_list is None else _listed(train_list)
    others = tuple(c for c in class_table().values() if c.wnid not in listed)
    look = _RankLook(Subset("others", others), store, "ignore", None)
    ranked = _ranked(look, _counted(store, look.subset, progress)) if others else {}
    found = {**listed, **ranked}
    if not found:
        raise _nothing_known(store, look)
    return KnownNumbers(
        {wnid: found[wnid] for wnid in class_table() if wnid in found},
        tuple(look.incomplete),
        len(others) - len(ranked) - len(look.incomplete),
        tuple(look.notes),
        "" if train_list is None or ranked else train_list.name,
    )


class _RankLook(TrainLook):
    """Looks for complete classes, whatever list there is."""

    def read_list(self) -> None:
        """There is none."""


def _ranked(look: TrainLook, photos: Iterator[Photo]) -> dict[str, bytes]:
    """Lines of the classes that are complete; ids ascend, and so do WNIDs."""
    records = look.find(photos)
    bounds = np.searchsorted(records.classes, np.arange(len(records.wnids) + 1)).tolist()
    lines = {}
    for wnid, start, end in zip(records.wnids, bounds, bounds[1:], strict=False):
        if start < end:
            stems, numbers = records.stems.between(start, end), records.ids[start:end].tolist()
            lines[wnid] = _lines(wnid, zip(stems, numbers, strict=True))
    return lines


def _counted(store: Store, subset: Subset, progress: Progress) -> Iterator[Photo]:
    for photo in store.photos("train", subset.wnids):
        yield photo
        progress(1)


def _listed(train_list: TrainList) -> dict[str, bytes]:
    """Lines of the classes that are in the store's own list."""
    lines = {}
    for wnid in class_table():
        if numbers := train_list.numbers(wnid):
            lines[wnid] = _lines(wnid, sorted(numbers.items(), key=lambda entry: entry[1]))
    return lines


def _lines(wnid: str, entries: Iterable[tuple[str, int]]) -> bytes:
    return os.fsencode("".join(f"{wnid}/{stem} {number}\n" for stem, number in entries))


def _nothing_known(store: Store, look: TrainLook) -> SourceError:
    root = printable(store.root)
    if look.incomplete:
        return SourceError(
            f"{root} has no class with all its photos, so nothing says their numbers "
            f"({few(look.incomplete)}); complete a class, or get train_cls.txt from someone who "
            "has it"
        )
    there = store.instead("train", look.subset.wnids[0])
    remedy = store.remedy.format("the photos")
    return SourceError(f"{root} has no train photo{f': {there}' if there else ''}; {remedy}")
