"""What a source of images is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from imagenet_subset.records import Record, Split
from imagenet_subset.selection import Subset

OnMissing = Literal["error", "skip", "ignore"]
"""What `Source.list` does about photos that aren't there: ``"error"`` refuses; ``"skip"`` lists
the others, but refuses a class without any; ``"ignore"`` lists what there is, even if that is
nothing."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The images of a subset that a source has."""

    records: dict[Split, list[Record]]
    """For each split asked for, in ascending image id; the row is the place in the list."""
    missing: dict[Split, int] = field(default_factory=dict)
    """How many images of the subset the source lacks."""
    notes: tuple[str, ...] = ()
    """What looked odd, a line each."""


class Source(Protocol):
    """Finds and reads images. Picklable: it travels to the worker processes."""

    @property
    def root(self) -> str:
        """Where the images are, for people."""
        ...

    def list(
        self, subset: Subset, splits: Sequence[Split], *, on_missing: OnMissing = "error"
    ) -> Listing:
        """Find the subset's images, without reading any.

        Raises
        ------
        imagenet_subset.errors.SourceError
            Images are missing (see `OnMissing`), are in a wrong class, can't be numbered, or can't
            be listed.
        """
        ...

    def read(self, records: Iterable[Record]) -> Iterator[tuple[Record, bytes | OSError]]:
        """File contents of each record, in the same order; an `OSError` for one that fails.

        A read that fails is tried again if the failure may pass. ``EFBIG`` means that the file is
        too large for a photo: it counts as one that can't be decoded. Every other error means that
        the file can't be read; the photo in it may be sound.
        """
        ...

    def path(self, record: Record) -> str:
        """Where the image is, for people."""
        ...
