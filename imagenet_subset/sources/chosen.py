"""The choice among the train photos of a subset's classes, and what there is to say of it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import ImageClass
from imagenet_subset.selection.choice import Choice, Listed, Names, PerClass
from imagenet_subset.sources.gathered import Missing
from imagenet_subset.system.text import counted, few, printable


class Chosen:
    """Chooses photos class by class, before any of them falls away.

    Parameters
    ----------
    choice
        None for all photos.
    """

    def __init__(self, choice: Choice | None) -> None:
        self.choice = choice
        self._names: dict[str, bytes] = {}
        self._wanted: dict[str, int] = {}
        self._found = self._short = 0
        self._whole = True
        self._unknown = Missing()

    def concerns(self, wnid: str) -> bool:
        """Whether photos of a class may be wanted."""
        named = None if self.choice is None else self.choice.named(wnid)
        return named is None or len(named) > 0

    def wants(self, wnid: str) -> bool:
        """Whether photos of a class are wanted, once `among` was asked."""
        drawn = self.choice is None or self.choice.named(wnid) is None
        return drawn or self._wanted.get(wnid, 0) > 0

    def of_interest(self, wnid: str, photos: Mapping[str, int]) -> Mapping[str, int]:
        """Those of a class's photos that may be wanted."""
        named = None if self.choice is None else self.choice.named(wnid)
        return photos if named is None else {s: photos[s] for s in named if s in photos}

    def among(
        self, image_class: ImageClass, names: Collection[str], *, known: bool
    ) -> Collection[str]:
        """Choose among the photos of a class.

        Parameters
        ----------
        names
            Of its photos.
        known
            Whether it has no others. If it may have, the photos that are named are all wanted.
        """
        if self.choice is None:
            return names
        wnid, named = image_class.wnid, self.choice.named(image_class.wnid)
        whole = len(names) == image_class.num_train_images
        if named is None or known or whole:
            chosen = self.choice.of(wnid, names)
            self._unknown.add(sorted(set(named or ()).difference(chosen)))
        else:
            chosen = list(named)
        self._names[wnid] = b"".join(b"%b\n" % name for name in sorted(map(os.fsencode, names)))
        self._whole &= whole
        self._found += len(names)
        self._wanted[wnid] = len(chosen)
        self._short += isinstance(self.choice, PerClass) and len(names) < self.choice.count
        return chosen

    @property
    def chosen_from(self) -> Names | None:
        """The photos, of classes of which any may be wanted, that were chosen from.

        None if these are all photos that ILSVRC has of these classes, or if nothing is chosen.
        """
        if self._whole:
            return None
        return Names.of_lines(self._found, (self._names[wnid] for wnid in sorted(self._names)))

    def notes(self, classes: Sequence[ImageClass], train_list: str) -> Iterator[str]:
        """What there is to say, a line each.

        Parameters
        ----------
        train_list
            Name of the list that the classes' photos are known by; empty if none is.
        """
        if self.choice is None:
            return
        yield from self.choice.notes(classes)
        if self._short:
            have = counted(self._short, "class has", "classes have")
            yield f"{have} fewer train photos than asked for: all of theirs are chosen"
        if isinstance(listed := self.choice.record, Listed):
            yield from self._of_list(printable(listed.name), classes, train_list)
        elif not (self._whole or train_list):
            expected = sum(c.num_train_images for c in classes)
            yield (
                f"chosen from what is there: {self._found:,} of ILSVRC's {expected:,} train photos "
                "of these classes"
            )

    def _of_list(self, name: str, classes: Sequence[ImageClass], train_list: str) -> Iterator[str]:
        if n := self._unknown.count:
            where = f"{train_list} doesn't" if train_list else "their classes don't"
            names = few(self._unknown.first)
            yield f"{name} has {counted(n, 'photo')} that {where} have ({names}): left out"
        bare = [f"{c.wnid} ({c.title})" for c in classes if not self.wants(c.wnid)]
        if bare:
            lacking = counted(len(bare), "class", "classes")
            yield f"{name} has no photo of {lacking} of the subset ({few(bare)})"

    def check(self, classes: Sequence[ImageClass]) -> None:
        """Refuse a list of which no photo is known.

        Raises
        ------
        SourceError
            It is one.
        """
        if self.choice is None or any(self.wants(c.wnid) for c in classes):
            return
        listed = self.choice.record
        name = printable(listed.name) if isinstance(listed, Listed) else "the choice"
        raise SourceError(
            f"none of the photos of these classes that {name} has is known "
            f"({few(self._unknown.first)}); is it a list of ILSVRC 2012's train photos?"
        )
