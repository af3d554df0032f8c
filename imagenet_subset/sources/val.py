"""The val photos: each has its number in its name, and the ground truth says its class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import ImageClass, class_table, val_ground_truth
from imagenet_subset.ilsvrc.numbering import val_id, val_ids_of, val_name
from imagenet_subset.records import Records
from imagenet_subset.sources.base import Photo
from imagenet_subset.sources.look import Look
from imagenet_subset.system.text import counted

_NAMED = "named ILSVRC2012_val_*.JPEG"


class ValLook(Look):
    """Looks for val photos."""

    split = "val"

    def find(self, photos: Iterator[Photo]) -> Records:
        """See `Look.find`."""
        self._strangers: list[Photo] = []
        self._wanted = val_ids_of([c.clsloc_id for c in self.subset.classes])
        return super().find(photos)

    def finish(self) -> None:
        """Note the strangers."""
        if self._strangers:
            self.notes.append(
                f"left out {counted(len(self._strangers), 'photo')} in val not {_NAMED}, the first "
                f"{self.path(self._strangers[0].location)}"
            )

    def labelled(self, photos: Iterator[Photo]) -> Iterator[tuple[int, Photo]]:
        """See `Look.labelled`. What is in a class has to be of that class."""
        labels = {c.clsloc_id: label for label, c in enumerate(self.subset.classes)}
        truth = val_ground_truth().tolist()
        for photo in photos:
            number = val_id(photo.stem)
            if number is not None:
                self._check_class(photo, truth[number - 1])
                if (label := labels.get(truth[number - 1])) is not None:
                    yield label, photo
            elif photo.wnid is None:
                self._strangers.append(photo)
            else:
                raise SourceError(f"{self.path(photo.location)} isn't {_NAMED}; remove it")

    def _check_class(self, photo: Photo, clsloc_id: int) -> None:
        if photo.wnid is None or class_table()[photo.wnid].clsloc_id == clsloc_id:
            return
        (true,) = (c for c in class_table().values() if c.clsloc_id == clsloc_id)
        raise SourceError(
            f"{self.path(photo.location)} is in the wrong class folder: the ILSVRC ground truth "
            f"says {true.wnid} ({true.human_label}); move it there"
        )

    def numbers(self, image_class: ImageClass, places: Mapping[str, int]) -> Mapping[str, int]:
        """See `Look.numbers`."""
        numbers = {val_name(number): number for number in self._wanted[image_class.clsloc_id]}
        self.missing.add(f"val/{stem}.JPEG" for stem in numbers if stem not in places)
        return numbers
