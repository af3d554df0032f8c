"""The val photos: each has its number in its name, and the ground truth says its class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import ImageClass, class_table, wnid_of_val
from imagenet_subset.ilsvrc.numbering import val_id, val_ids_of, val_name
from imagenet_subset.records import Records
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources.base import Photo, Store
from imagenet_subset.sources.look import Look, OnMissing
from imagenet_subset.sources.places import named, val_names
from imagenet_subset.system.text import counted

_NAMED = "named ILSVRC2012_val_*.JPEG"


class ValLook(Look):
    """Looks for val photos."""

    split = "val"

    def __init__(self, subset: Subset, store: Store, on_missing: OnMissing) -> None:
        super().__init__(subset, store, on_missing)
        self._strangers: list[Photo] = []
        self._wanted = val_ids_of([c.clsloc_id for c in subset.classes])
        self._class_places = {wnid: place for place, wnid in enumerate(subset.wnids)}

    def find(self, photos: Iterator[Photo]) -> Records:
        """See `Look.find`."""
        if self.store.by_place:
            photos = named(self.split, photos, self.store, val_names(self.subset.classes))
        return super().find(photos)

    def finish(self) -> None:
        """Note the strangers."""
        if self._strangers:
            self.notes.append(
                f"left out {counted(len(self._strangers), 'photo')} in val not {_NAMED}, the first "
                f"{self.path(self._strangers[0].location)}"
            )

    def classes_of(self, photos: Sequence[Photo]) -> list[int]:
        """See `Look.classes_of`. What is in a class has to be of that class."""
        return [self._class_of(photo) for photo in photos]

    def _class_of(self, photo: Photo) -> int:
        number = val_id(photo.stem)
        if number is not None:
            of = wnid_of_val(number) or ""  # `val_id` gives numbers of val only
            if photo.wnid is not None and photo.wnid != of:
                raise self._wrong_class(photo, class_table()[of])
            return self._class_places.get(of, -1)
        if photo.wnid is not None:
            raise SourceError(f"{self.path(photo.location)} isn't {_NAMED}; remove it")
        self._strangers.append(photo)
        return -1

    def _wrong_class(self, photo: Photo, true: ImageClass) -> SourceError:
        return SourceError(
            f"{self.path(photo.location)} is in the wrong class, {photo.wnid}: the ILSVRC ground "
            f"truth says {true.wnid} ({true.human_label}); move it there, or correct the list that "
            "has it so"
        )

    def numbers(self, image_class: ImageClass, places: Mapping[str, int]) -> Mapping[str, int]:
        """See `Look.numbers`."""
        numbers = {val_name(number): number for number in self._wanted[image_class.clsloc_id]}
        self.missing.add(f"val/{stem}.JPEG" for stem in numbers if stem not in places)
        return numbers
