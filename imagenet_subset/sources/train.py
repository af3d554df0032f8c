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
from imagenet_subset.selection.choice import Choice
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources.base import Photo, Store
from imagenet_subset.sources.chosen import Chosen
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
    choice
        Which photos are wanted; None for all.
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
        choice: Choice | None = None,
    ) -> None:
        super().__init__(subset, store, on_missing)
        self.chosen = Chosen(choice)
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
        if not self.chosen.concerns(image_class.wnid):
            return ""
        _, stems = self.of_class(place)
        return _incomplete(image_class, sum(is_train_name(image_class, stem) for stem in stems))

    def wants(self, image_class: ImageClass) -> bool:
        """See `Look.wants`. Of a list of photos it may be that it names none of a class."""
        return self.chosen.wants(image_class.wnid)

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
        name = printable(Path(self._list.name).name) if self._list else ""
        self.notes += self.chosen.notes(self.subset.classes, name)
        if self.on_missing != "ignore":
            self.chosen.check(self.subset.classes)
        if self._list is None:
            return
        expected = sum(c.num_train_images for c in self.subset.classes)
        if self._listed < expected:
            chosen = ": chosen from these" if self.chosen.choice else ""
            self.notes.append(
                f"{name} has {self._listed:,} of ILSVRC's {expected:,} train photos of these "
                f"classes{chosen}"
            )
        self._list = None  # it has 40 MB

    def classes_of(self, photos: Sequence[Photo]) -> list[int]:
        """See `Look.classes_of`. A photo that is in no class belongs to that of its name."""
        of = self._class_places.get
        return [of(wnid or stem.partition("_")[0], -1) for stem, wnid, _ in photos]

    def numbers(self, image_class: ImageClass, places: Mapping[str, int]) -> Mapping[str, int]:
        """See `Look.numbers`."""
        wnid = image_class.wnid
        numbers = self._list.numbers(wnid) if self._list else {}
        self._listed += len(numbers)
        if not self.chosen.concerns(wnid):
            return {}
        if self._list is None:
            return self._unlisted(image_class, places)
        chosen = self.chosen.among(image_class, numbers, known=bool(numbers))
        self.missing.add(f"train/{wnid}/{stem}.JPEG" for stem in chosen if stem not in places)
        self._compare(image_class, self.chosen.of_interest(wnid, places), numbers, self._list.name)
        return self._numbers_of(chosen, numbers)

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
        incomplete = _incomplete(image_class, len(stems))
        if incomplete and stems and not self._by_name:
            self.incomplete.append(incomplete)
            return {}
        chosen = self.chosen.among(image_class, stems, known=not incomplete)
        if not stems:
            self.missing.add([f"{folder} (all {expected:,} photos)"] * expected)
        elif self.chosen.choice:
            self.missing.add(f"{folder}{stem}.JPEG" for stem in chosen if stem not in places)
        elif self._by_name:
            lacking = expected - len(stems)
            self.missing.add([f"{folder} ({lacking:,} of {expected:,} photos)"] * lacking)
        if self._by_name:
            there = [stem for stem in chosen if stem in places]
            return {stem: self._name_id(image_class, stem, places[stem]) for stem in there}
        return self._numbers_of(chosen, numbers_by_rank(image_class, stems))

    def _numbers_of(self, chosen: Collection[str], numbers: Mapping[str, int]) -> Mapping[str, int]:
        """Numbers of the photos that are chosen; a copy only where some are."""
        if self.chosen.choice is None:
            return numbers
        return {stem: numbers[stem] for stem in chosen if stem in numbers}

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
