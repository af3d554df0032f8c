"""Finds a subset's images in a tree of folders, with their numbers and classes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import ImageClass, class_table, val_ground_truth
from imagenet_subset.ilsvrc.numbering import (
    is_train_name,
    numbers_by_rank,
    read_train_list,
    val_id,
    val_ids_of,
    val_name,
)
from imagenet_subset.records import Split
from imagenet_subset.selection import Subset
from imagenet_subset.sources.base import OnMissing
from imagenet_subset.sources.instead import (
    PHOTO_SUFFIXES,
    leave_out,
    listing_errors,
    without_photos,
)
from imagenet_subset.system.text import counted, few, printable

Found = tuple[int, int, str]
"""Image id, label, location."""


class Finder:
    """One look for a subset's images: what is there, what is missing, what is odd."""

    def __init__(
        self, root: str, train_list: Path | None, subset: Subset, on_missing: OnMissing
    ) -> None:
        self.root = root
        self.train_list = train_list
        self.subset = subset
        self.on_missing = on_missing
        self.missing: dict[Split, list[str]] = {"train": [], "val": []}
        self.incomplete: list[str] = []
        """Class folders whose photos can't be numbered, each with what it has and lacks."""
        self.bare: dict[Split, list[ImageClass]] = {}
        """Classes without a single photo, for each split that was looked through."""
        self.notes: list[str] = []

    def find(self, split: Split) -> list[Found]:
        """Photos of a split, in any order."""
        found = self._train() if split == "train" else self._val()
        labels = {label for _, label, _ in found}
        classes = enumerate(self.subset.classes)
        self.bare[split] = [c for label, c in classes if label not in labels]
        return found

    def _train(self) -> list[Found]:
        path = self.train_list
        listed = read_train_list(path, self.subset.wnids) if path else None
        found: list[Found] = []
        for label, image_class in enumerate(self.subset.classes):
            wnid = image_class.wnid
            names = self._photos(f"train/{wnid}")
            if listed is None:
                numbers = self._ranked(image_class, names)
            else:
                numbers = listed[wnid]
                self._compare(image_class, names, numbers)
            found += [
                (numbers[stem], label, f"train/{wnid}/{name}")
                for stem, name in names.items()
                if stem in numbers
            ]
        if path and listed is not None:
            self._note_short_list(path, sum(map(len, listed.values())))
        return found

    def _note_short_list(self, train_list: Path, listed: int) -> None:
        """Note that the list is short: made for a part of ImageNet, which is fine, or cut off."""
        expected = sum(c.num_train_images for c in self.subset.classes)
        if listed < expected:
            self.notes.append(
                f"{printable(train_list.name)} has {listed:,} of ILSVRC's {expected:,} train "
                "photos of these classes"
            )

    def _ranked(self, image_class: ImageClass, names: dict[str, str]) -> dict[str, int]:
        """Number the photos of a class folder without the train list, if it is complete."""
        expected = image_class.num_train_images
        folder = f"train/{image_class.wnid}/"
        strangers = [name for stem, name in names.items() if not is_train_name(image_class, stem)]
        if not names:
            self.missing["train"] += [f"{folder} (all {expected:,} photos)"] * expected
        elif strangers:
            self.incomplete.append(f"{folder} with {strangers[0]}, which isn't named as its photos")
        elif len(names) != expected:
            self.incomplete.append(f"{folder} with {len(names):,} photos of {expected:,}")
        return numbers_by_rank(image_class, names)

    def _compare(
        self, image_class: ImageClass, names: dict[str, str], numbers: dict[str, int]
    ) -> None:
        """Compare a class folder with the train list."""
        wnid, train_list = image_class.wnid, printable(str(self.train_list))
        self.missing["train"] += [f"train/{wnid}/{s}.JPEG" for s in numbers if s not in names]
        if not numbers:
            expected = image_class.num_train_images
            what = f"train/{wnid}/ (all {expected:,} photos: none is in {train_list})"
            self.missing["train"] += [what] * expected
        extra = [name for stem, name in names.items() if stem not in numbers]
        if not extra:
            return
        photos = f"{counted(len(extra), 'photo')} of train/{wnid}/ ({few(extra)})"
        text = f"{train_list} has no ILSVRC number for {photos}"
        some = len(extra) < len(names)
        if self.on_missing == "error" or (self.on_missing == "skip" and not some):
            raise SourceError(
                f"{text}; give the list that has them, or "
                + ("build without them by --missing skip" if some else leave_out(wnid))
            )
        self.notes.append(f"{text}: left out")

    def _val(self) -> list[Found]:
        wanted = val_ids_of([c.clsloc_id for c in self.subset.classes])
        flat, folders = self._scan_val()
        found: list[Found] = []
        for label, image_class in enumerate(self.subset.classes):
            places = {**flat, **self._val_folder(image_class, folders, flat)}
            for number in wanted[image_class.clsloc_id]:
                if location := places.get(val_name(number)):
                    found.append((number, label, location))
                else:
                    self.missing["val"].append(f"val/{val_name(number)}.JPEG")
        return found

    def _scan_val(self) -> tuple[dict[str, str], set[str]]:
        """Photos in val itself, by name without suffix; and its class folders."""
        flat = {stem: f"val/{name}" for stem, name in self._photos("val").items()}
        strangers = [location for stem, location in flat.items() if val_id(stem) is None]
        if strangers:
            self.notes.append(
                f"left out {counted(len(strangers), 'photo')} in val not named "
                f"ILSVRC2012_val_*.JPEG, the first {printable(strangers[0])}"
            )
        with listing_errors(self._path("val")):
            return flat, {w for w in self.subset.wnids if os.path.isdir(self._path(f"val/{w}"))}

    def _val_folder(
        self, image_class: ImageClass, folders: set[str], flat: dict[str, str]
    ) -> dict[str, str]:
        """Photos of a class folder in val; each has to be of that class."""
        if image_class.wnid not in folders:
            return {}
        places: dict[str, str] = {}
        for stem, name in self._photos(f"val/{image_class.wnid}").items():
            location = f"val/{image_class.wnid}/{name}"
            path = printable(self._path(location))
            number = val_id(stem)
            if number is None:
                raise SourceError(f"{path} isn't named ILSVRC2012_val_*.JPEG; remove it")
            true_id = int(val_ground_truth()[number - 1])
            if true_id != image_class.clsloc_id:
                (true,) = (c for c in class_table().values() if c.clsloc_id == true_id)
                raise SourceError(
                    f"{path} is in the wrong class folder: the ILSVRC ground truth says "
                    f"{true.wnid} ({true.human_label}); move it there"
                )
            if stem in flat:
                raise SourceError(f"{path} is in val itself too; remove one of them")
            places[stem] = location
        return places

    def _photos(self, folder: str) -> dict[str, str]:
        """Photos in a folder: file name by name without suffix; none if there is no folder."""
        names: dict[str, str] = {}
        path, (_, _, wnid) = self._path(folder), folder.partition("/")
        reading = listing_errors(path, leave_out(wnid) if wnid else "")
        with reading, contextlib.suppress(FileNotFoundError), os.scandir(path) as entries:
            for entry in entries:
                stem, suffix = os.path.splitext(entry.name)
                # macOS puts a "._name" file beside each file on foreign disks.
                if (
                    suffix.lower() not in PHOTO_SUFFIXES
                    or stem.startswith(".")
                    or not entry.is_file()
                ):
                    continue
                if stem in names:
                    raise SourceError(
                        f"{printable(path)} has both {printable(names[stem])} and "
                        f"{printable(entry.name)}; remove one of them"
                    )
                names[stem] = entry.name
        return names

    def _path(self, location: str) -> str:
        return os.path.join(self.root, location)

    def check(self) -> None:
        """Refuse what can't be numbered and what is missing, or note the latter."""
        if self.incomplete:
            folders = counted(len(self.incomplete), "class folder")
            raise SourceError(
                f"{printable(self.root)} has {folders} whose photos can't be numbered without "
                f"train_cls.txt ({few(self.incomplete)}); give it by --train_list, or complete them"
            )
        if self.on_missing != "ignore":
            for split, classes in self.bare.items():
                if classes:
                    every = len(classes) == len(self.subset.classes)
                    others = [other for other in self.bare if not self.bare[other]]
                    raise SourceError(without_photos(self.root, split, classes, every, others))
        counts = [counted(len(n), f"{split} photo") for split, n in self.missing.items() if n]
        if not counts:
            return
        first = list(dict.fromkeys(self.missing["train"] + self.missing["val"]))
        text = f"missing in {printable(self.root)}: {' and '.join(counts)} ({few(first)})"
        if self.on_missing == "error":
            raise SourceError(f"{text}; put them there, or build without them by --missing skip")
        self.notes.append(f"{text}; building without them")
