"""What a store of photos is. A store knows where bytes are; it knows no policy of ILSVRC.

Which photos are images of a subset, with which number and label, and what is missing, is decided by
`imagenet_subset.sources.catalogue`, in the same way for all stores.
"""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from typing import ClassVar, NamedTuple, Protocol

from imagenet_subset.columns import Location, Locations
from imagenet_subset.ilsvrc.train_list import TrainList
from imagenet_subset.records import SPLITS, Split

LARGEST_PHOTO = 1 << 30
"""In bytes. Pillow refuses more than 2**30 / 6 pixels, and 6 bytes is the most that a pixel takes
in RGB, 16 bits a channel, so no photo that it decodes has to be larger."""
DAMAGED = (errno.EFBIG, errno.EBADMSG)
"""Errors of a photo that can't be decoded, whoever reads it: it is too large for a photo, or isn't
what its archive's checksum says. After every other error the photo may be sound."""


class Photo(NamedTuple):
    """A photo that a store has."""

    stem: str
    """Its name as ILSVRC has it, without folder and suffix: ``n01440764_10026``."""
    wnid: str | None
    """Class that the store has it under; None if the store doesn't say."""
    location: Location


class PhotoReader(Protocol):
    """Reads photos in one process. It holds the handles.

    Several threads may read at a time, and any may close it when none does.
    """

    def read(self, location: Location) -> bytes:
        """Contents of a photo's file.

        Raises
        ------
        OSError
            It can't be read. An error of `DAMAGED` counts as a photo that can't be decoded.
        """
        ...

    def close(self) -> None:
        """Close the handles. Idempotent. An `OSError` is of no account: all has been read."""
        ...


class Store(ABC):
    """Finds and reads photos.

    It travels with each piece of work to the workers, by pickle, so it has to be small: what takes
    room is for the locations and for the reader.
    """

    root: str
    """Where the photos are, for people and for the journal."""
    form: ClassVar[str] = "the photos"
    """What it is, for people."""
    complements: ClassVar[bool] = False
    """Whether it has the classes that the store before it lacks."""
    splits: frozenset[Split] = frozenset(SPLITS)
    """Of which it may have photos."""
    remedy: ClassVar[str] = "put {} there"
    """What to do about photos that aren't there; ``{}`` is where to name them."""
    notes: tuple[str, ...] = ()
    """What the user should know of what was found there, a line each."""
    by_place: ClassVar[bool] = False
    """Whether the stems are no names, but places in torchvision's ``ImageFolder``."""
    rehosted: bool = False
    """Whether it is a form in which others hand ImageNet out, and may have changed the photos."""

    @abstractmethod
    def photos(self, split: Split, wnids: Collection[str]) -> Iterator[Photo]:
        """Photos of a split, in any order; those of other classes may be among them.

        Both splits may be gone through at the same time.

        Parameters
        ----------
        wnids
            Classes that are looked for, in the order of their labels.

        Raises
        ------
        imagenet_subset.errors.SourceError
            They can't be listed.
        """

    @abstractmethod
    def open(self) -> PhotoReader:
        """Open a reader. Each worker opens one and keeps it until the end of the run.

        Raises
        ------
        OSError
            This machine doesn't have the photos, or may not read them.
        """

    @abstractmethod
    def describe(self, at: Location, stem: str = "") -> str:
        """Where a photo is, for people; it ends in ``/`` and the name of its file.

        Parameters
        ----------
        stem
            Name of the photo, if it is known, for what can't be looked up there.
        """

    def file(self, at: Location) -> str:
        """Path of the file that a photo is in; by default it is a file of its own."""
        return self.describe(at)

    def groups(self, locations: Locations) -> Iterator[Sequence[int]]:
        """Indices of the photos, in the order in which it is cheap to read them.

        A group is never divided: one worker reads it, in this order or a few photos at a time, and
        what is done is noted when all of it is. By default each photo is a group of its own, and
        they come in the order given.

        Parameters
        ----------
        locations
            At least one, all of one split.
        """
        return ((index,) for index in range(len(locations)))

    def instead(self, split: Split, wnid: str) -> str:
        """What is in the place of the photos of a class that has none, for people; may be empty.

        Raises
        ------
        imagenet_subset.errors.SourceError
            It can't be looked for.
        """
        return ""

    def train_list(self, wnids: Collection[str]) -> TrainList | None:
        """ILSVRC's ``train_cls.txt``, if it is among what the store has.

        Raises
        ------
        imagenet_subset.errors.SourceError
            It can't be read.
        """
        return None
