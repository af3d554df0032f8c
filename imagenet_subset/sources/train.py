"""The train photos: numbered by ``train_cls.txt``, or by their rank in a complete class."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import ImageClass
from imagenet_subset.ilsvrc.numbering import is_train_name, numbers_by_rank
from imagenet_subset.ilsvrc.train_list import TrainList
from imagenet_subset.records import Records
from imagenet_subset.selection import Subset
from imagenet_subset.sources.base import Photo, Store
from imagenet_subset.sources.gathered import FEW
from imagenet_subset.sources.instead import leave_out
from imagenet_subset.sources.look import Look, OnMissing
from imagenet_subset.system.text import counted, few, printable


class TrainLook(Look):
    """Looks for train photos.

    Parameters
    ----------
    train_list
        ``train_cls.txt``; by default the one that the store has, if it has one.
    """

    split = "train"

    def __init__(
        self, subset: Subset, store: Store, on_missing: OnMissing, train_list: Path | None
    ) -> None:
        super().__init__(subset, store, on_missing)
        self._given = train_list
        self._labels = {wnid: label for label, wnid in enumerate(subset.wnids)}
        self._listed = 0

    def find(self, photos: Iterator[Photo]) -> Records:
        """See `Look.find`."""
        wnids, path = self.subset.wnids, self._given
        self._list = TrainList.read(path, wnids) if path else self.store.train_list(wnids)
        return super().find(photos)

    def finish(self) -> None:
        """Note that the list is short: made for a part of ImageNet, which is fine, or cut off."""
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

    def labels_of(self, photos: Sequence[Photo]) -> list[int]:
        """See `Look.labels_of`. A photo that is in no class belongs to that of its name."""
        of = self._labels.get
        return [of(wnid or stem.partition("_")[0], -1) for stem, wnid, _ in photos]

    def numbers(self, image_class: ImageClass, places: Mapping[str, int]) -> Mapping[str, int]:
        """See `Look.numbers`."""
        if self._list is None:
            return self._ranked(image_class, places)
        numbers = self._list.numbers(image_class.wnid)
        self._listed += len(numbers)
        self._compare(image_class, places, numbers, self._list.name)
        return numbers

    def _ranked(self, image_class: ImageClass, places: Mapping[str, int]) -> Mapping[str, int]:
        """Number the photos of a class without the train list, if it is complete."""
        expected = image_class.num_train_images
        folder = f"train/{image_class.wnid}/"
        strangers = [stem for stem in places if not is_train_name(image_class, stem)]
        if not places:
            self.missing.add([f"{folder} (all {expected:,} photos)"] * expected)
        elif strangers:
            name = self.name(places[strangers[0]])
            self.incomplete.append(f"{folder} with {name}, which isn't named as its photos")
        elif len(places) != expected:
            self.incomplete.append(f"{folder} with {len(places):,} photos of {expected:,}")
        return numbers_by_rank(image_class, places)

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
            raise SourceError(
                f"{text}; give the list that has them, or "
                + ("build without them by --missing skip" if some else leave_out(wnid))
            )
        self.notes.append(f"{text}: left out")
