"""Several stores as one: train may be in folders, and val still in its tar."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from imagenet_subset.columns import Location, Locations, Span, pack
from imagenet_subset.ilsvrc.train_list import TrainList
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.sources.base import Photo, PhotoReader, Store


@dataclass(frozen=True, slots=True)
class JoinedStore(Store):
    """Photos of several stores. A location is the number of the store, and the location there."""

    root: str
    """Absolute path of the folder that they are in."""
    stores: tuple[Store, ...]
    of: dict[Split, tuple[int, ...]]
    """Numbers of the stores that have the photos of each split."""
    splits: frozenset[Split] = frozenset(SPLITS)
    notes: tuple[str, ...] = field(default=(), kw_only=True)

    @property
    def form(self) -> str:  # type: ignore[override]
        """What they are, for people."""
        return " and ".join(dict.fromkeys(store.form for store in self.stores))

    @property
    def remedy(self) -> str:  # type: ignore[override]
        """What to do about photos that aren't there, for each kind of store."""
        return " or ".join(dict.fromkeys(store.remedy for store in self.stores))

    @property
    def rehosted(self) -> bool:  # type: ignore[override]
        """Whether one of them is."""
        return any(store.rehosted for store in self.stores)

    def photos(self, split: Split, wnids: Collection[str]) -> Iterator[Photo]:
        """See `imagenet_subset.sources.base.Store.photos`."""
        for number in self.of[split]:
            for stem, wnid, location in self.stores[number].photos(split, wnids):
                yield Photo(stem, wnid, _written(number, location))

    def open(self) -> PhotoReader:
        """See `imagenet_subset.sources.base.Store.open`."""
        return JoinedReader(self.stores)

    def describe(self, at: Location, stem: str = "") -> str:
        """As the store that has it."""
        number, location = _read(at)
        return self.stores[number].describe(location, stem)

    def file(self, at: Location) -> str:
        """As the store that has it."""
        number, location = _read(at)
        return self.stores[number].file(location)

    def groups(self, locations: Locations) -> Iterator[Sequence[int]]:
        """Those of each store."""
        places = [_read(at) for at in locations]
        numbers = np.array([number for number, _ in places])
        for number in np.unique(numbers).tolist():
            own = np.flatnonzero(numbers == number).tolist()
            for group in self.stores[number].groups(pack([places[k][1] for k in own])):
                yield [own[k] for k in group]

    def instead(self, split: Split, wnid: str) -> str:
        """See `imagenet_subset.sources.base.Store.instead`."""
        return self.stores[self.of[split][0]].instead(split, wnid) if self.of[split] else ""

    def train_list(self, wnids: Collection[str]) -> TrainList | None:
        """That of the first store that has one."""
        lists = (store.train_list(wnids) for store in self.stores)
        return next((found for found in lists if found is not None), None)


def joined(root: str, stores: Sequence[Store]) -> Store:
    """Stores as one. Each split is read from the first that has it, and from what complements it.

    Parameters
    ----------
    root
        Absolute path of the folder that they are in.
    stores
        At least one, the best first.
    """
    if len(stores) == 1:
        return stores[0]
    of: dict[Split, tuple[int, ...]] = {}
    for split in SPLITS:
        having = [k for k, store in enumerate(stores) if split in store.splits]
        of[split] = tuple(k for k in having if k == having[0] or stores[k].complements)
    return JoinedStore(root, tuple(stores), of, frozenset(s for s in SPLITS if of[s]))


class JoinedReader:
    """Reads the photos of several stores."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self._readers = [store.open() for store in stores]

    def read(self, location: Location) -> bytes:
        """See `imagenet_subset.sources.base.PhotoReader.read`."""
        number, at = _read(location)
        return self._readers[number].read(at)

    def close(self) -> None:
        """Close all."""
        for reader in self._readers:
            reader.close()


def _written(number: int, location: Location) -> str:
    if isinstance(location, str):
        return f"{number}/{location}"
    return f"{number}:{','.join(map(str, location))}"


def _read(location: Location) -> tuple[int, Location]:
    """Number of a store, and location there.

    Examples
    --------
    >>> _read("0/val/a.JPEG"), _read("1:0,512,100,0")
    ((0, 'val/a.JPEG'), (1, Span(file=0, offset=512, nbytes=100, mark=0)))
    """
    if not isinstance(location, str):
        raise TypeError(f"{location} isn't a place in one of several stores")
    slash, colon = location.find("/"), location.find(":")
    if slash > 0 and not 0 < colon < slash:
        return int(location[:slash]), location[slash + 1 :]
    return int(location[:colon]), Span(*map(int, location[colon + 1 :].split(",")))
