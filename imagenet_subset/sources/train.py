"""The train photos: numbered by ``train_cls.txt``, or by their rank in a complete class.

Where a class of the split is neither listed nor complete, all of the split can have ids that are
made of the photos' names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import ImageClass
from imagenet_subset.ilsvrc.numbering import is_train_name, name_id, numbers_by_rank
from imagenet_subset.ilsvrc.train_list import TrainList
from imagenet_subset.records import Records
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources.base import Photo, Store
from imagenet_subset.sources.gathered import FEW
from imagenet_subset.sources.instead import leave_out
from imagenet_subset.sources.look import Look, OnMissing
from imagenet_subset.sources.places import named, train_names
from imagenet_subset.system.text import counted, few, printable


class TrainLook(Look):
    """Looks for train photos.

    Parameters
    ----------
    train_list
        ``train_cls.txt``; by default the one that the store has, if it has one.
    by_name
        Whether to make the ids of the photos' names, whatever list there is.
    """

    split = "train"

    def __init__(
        self,
        subset: Subset,
        store: Store,
        on_missing: OnMissing,
        train_list: Path | None,
        *,
        by_name: bool = False,
    ) -> None:
        super().__init__(subset, store, on_missing)
        self._given, self._by_name = train_list, by_name
        self._class_places = {wnid: place for place, wnid in enumerate(subset.wnids)}
        self._listed = 0
        self._strangers: list[int] = []

    def find(self, photos: Iterator[Photo]) -> Records:
        """See `Look.find`."""
        by_place = self.store.by_place
        found = self.read_list() if by_place or not self._by_name else None
        if by_place:
            names = train_names(self.subset.classes, found, self.store)
            photos = named(self.split, photos, self.store, names)
        self._list = None if self._by_name else found
        return super().find(photos)

    def read_list(self) -> TrainList | None:
        """The list that numbers the photos, if there is one."""
        wnids, path = self.subset.wnids, self._given
        return TrainList.read(path, wnids) if path else self.store.train_list(wnids)

    def ids(self) -> NDArray[np.int32]:
        """See `Look.ids`. If a class can't be numbered and photos may be missing, all are named."""
        if self._list is None and self.on_missing == "skip":
            unknown = [what for k in range(len(self.subset.classes)) if (what := self._unknown(k))]
            if unknown:
                self._by_name = True
                self.notes.append(
                    "train_id is negative, made of the photos' names, since without train_cls.txt "
                    f"ILSVRC's numbers aren't known ({few(unknown)})"
                )
        return super().ids()

    def _unknown(self, place: int) -> str:
        """What keeps the photos of a class from being numbered by rank; empty if nothing does."""
        image_class = self.subset.classes[place]
        _, stems = self.of_class(place)
        return _incomplete(image_class, sum(is_train_name(image_class, stem) for stem in stems))

    def finish(self) -> None:
        """Note what was left out, and that the list is short.

        It may be made for a part of ImageNet, which is fine, or be cut off.
        """
        if self._strangers:
            first = self.path(self._gathered.locations[self._strangers[0]])
            self.notes.append(
                f"left out {counted(len(self._strangers), 'photo')} in train not named as those of "
                f"their class, the first {first}"
            )
        if self._list is None:
            return
        name = printable(Path(self._list.name).name)
        expected = sum(c.num_train_images for c in self.subset.classes)
        if self._listed < expected:
            self.notes.append(
                f"{name} has {self._listed:,} of ILSVRC's {expected:,} train photos of these "
                "classes"
            )
        self._list = None  # it has 40 MB

    def classes_of(self, photos: Sequence[Photo]) -> list[int]:
        """See `Look.classes_of`. A photo that is in no class belongs to that of its name."""
        of = self._class_places.get
        return [of(wnid or stem.partition("_")[0], -1) for stem, wnid, _ in photos]

    def numbers(self, image_class: ImageClass, places: Mapping[str, int]) -> Mapping[str, int]:
        """See `Look.numbers`."""
        if self._list is None:
            return self._unlisted(image_class, places)
        numbers = self._list.numbers(image_class.wnid)
        self._listed += len(numbers)
        self._compare(image_class, places, numbers, self._list.name)
        return numbers

    def _unlisted(self, image_class: ImageClass, places: Mapping[str, int]) -> Mapping[str, int]:
        """Number the photos of a class without the train list."""
        folder, expected = f"train/{image_class.wnid}/", image_class.num_train_images
        strangers = [i for stem, i in places.items() if not is_train_name(image_class, stem)]
        stems = [stem for stem in places if is_train_name(image_class, stem)]
        if strangers and self.on_missing == "error":
            name = self.name(strangers[0])
            self.incomplete.append(f"{folder} with {name}, which isn't named as its photos")
            return {}
        self._strangers += strangers
        if not stems:
            self.missing.add([f"{folder} (all {expected:,} photos)"] * expected)
        elif self._by_name:
            lacking = expected - len(stems)
            self.missing.add([f"{folder} ({lacking:,} of {expected:,} photos)"] * lacking)
            return {stem: self._name_id(image_class, stem, places[stem]) for stem in stems}
        elif incomplete := _incomplete(image_class, len(stems)):
            self.incomplete.append(incomplete)
            return {}
        return numbers_by_rank(image_class, stems)

    def _name_id(self, image_class: ImageClass, stem: str, index: int) -> int:
        """Id that is made of a photo's name; 0 for one that no file can have."""
        try:
            return name_id(image_class, stem)
        except ValueError as error:
            if self.on_missing == "ignore":
                return 0
            path = self.path(self._gathered.locations[index])
            raise SourceError(
                f"{path} can't have an id that is made of its name: {error}; rename or remove it, "
                "or give its number by --train_list"
            ) from error

    def _compare(
        self,
        image_class: ImageClass,
        places: Mapping[str, int],
        numbers: Collection[str],
        train_list: str,
    ) -> None:
        """Compare a class with the train list."""
        wnid, train_list = image_class.wnid, printable(train_list)
        self.missing.add(f"train/{wnid}/{stem}.JPEG" for stem in numbers if stem not in places)
        if not numbers:
            expected = image_class.num_train_images
            what = f"train/{wnid}/ (all {expected:,} photos: none is in {train_list})"
            self.missing.add([what] * expected)
        extra = [index for stem, index in places.items() if stem not in numbers]
        if not extra:
            return
        names = few([self.name(index) for index in extra[:FEW]])
        photos = f"{counted(len(extra), 'photo')} of train/{wnid}/ ({names})"
        text = f"{train_list} has no ILSVRC number for {photos}"
        some = len(extra) < len(places)
        if self.on_missing == "error" or (self.on_missing == "skip" and not some):
            ways = ["give the list that has them"]
            if some:
                ways.append("build without them by --missing skip")
            else:
                ways += [*self._without_list(), leave_out(wnid)]
            raise SourceError(f"{text}; {', or '.join(ways)}")
        self.notes.append(f"{text}: left out")

    def _without_list(self) -> list[str]:
        """How to have ids where the list knows no photo of a class; none if it is in an archive."""
        if self._given:
            way = "leave out --train_list"
        elif self._list and Path(self._list.name).is_file():
            way = "move the list away"
        else:
            return []
        return [f"{way} and build by --missing skip, which without a list makes ids of names"]


def _incomplete(image_class: ImageClass, found: int) -> str:
    """What a class has instead of all its photos; empty if it is complete."""
    expected = image_class.num_train_images
    if found == expected:
        return ""
    return f"train/{image_class.wnid}/ with {found:,} photos of {expected:,}"
