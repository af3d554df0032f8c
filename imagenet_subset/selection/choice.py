"""Which train photos of each class: so many, a share of them, or those of a list.

What is chosen follows from the names of a class's photos and a seed alone: from neither the other
classes nor the form of ImageNet nor the machine. Photos are drawn in the order of the SHA-256 of
``seed:stem``, so that of the same seed a larger choice has all photos of a smaller one.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from imagenet_subset.ilsvrc.classes import ImageClass
from imagenet_subset.system.text import counted, printable


class Choice(ABC):
    """Says which train photos of a class are wanted."""

    __slots__ = ()

    @abstractmethod
    def of(self, wnid: str, names: Collection[str]) -> list[str]:
        """Those that are chosen among the photos of a class.

        Parameters
        ----------
        names
            Of all its photos, without suffix, in any order.
        """

    def named(self, wnid: str) -> Collection[str] | None:
        """Photos of a class that it names, whether there are such or not; None if it names none.

        Where it names photos it wants no others.
        """
        return None

    def notes(self, classes: Collection[ImageClass]) -> Iterator[str]:
        """What is odd about it, for these classes of a subset, a line each."""
        return iter(())

    @property
    @abstractmethod
    def record(self) -> Recorded:
        """What the provenance says of it."""


@dataclass(frozen=True, slots=True)
class PerClass(Choice):
    """So many photos of each class, or all where it has fewer.

    Examples
    --------
    >>> PerClass(1, seed=3).of("n12267677", ["n12267677_1", "n12267677_2", "n12267677_3"])
    ['n12267677_2']
    >>> print(PerClass(10, 3))
    10 of each class, seed 3
    """

    count: int
    seed: int = 0

    def of(self, wnid: str, names: Collection[str]) -> list[str]:
        """See `Choice.of`."""
        return drawn(names, self.count, self.seed)

    @property
    def record(self) -> PerClass:
        """See `Choice.record`."""
        return self

    @property
    def fields(self) -> dict[str, Any]:
        """Itself, as JSON takes it."""
        return {"per_class": self.count, "seed": self.seed}

    def __str__(self) -> str:
        return f"{self.count:,} of each class, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Share(Choice):
    """A share of the photos of each class, half a photo rounded up; one at least.

    Examples
    --------
    >>> share = Share(0.01)
    >>> [len(share.of("n12267677", [str(k) for k in range(n)])) for n in (1, 149, 150, 1300)]
    [1, 1, 2, 13]
    >>> print(share)
    0.01 of each class, seed 0
    """

    fraction: float
    """Above 0, up to 1: the decimal number that Python shows of it, exactly."""
    seed: int = 0

    def of(self, wnid: str, names: Collection[str]) -> list[str]:
        """See `Choice.of`."""
        share = Fraction(repr(self.fraction)) * len(names)
        return drawn(names, max(1, math.floor(share + Fraction(1, 2))), self.seed)

    @property
    def record(self) -> Share:
        """See `Choice.record`."""
        return self

    @property
    def fields(self) -> dict[str, Any]:
        """Itself, as JSON takes it."""
        return {"fraction": self.fraction, "seed": self.seed}

    def __str__(self) -> str:
        return f"{self.fraction!r} of each class, seed {self.seed}"


@dataclass(frozen=True, slots=True)
class Names:
    """Names of photos, without saying them."""

    photos: int
    """How many."""
    sha256: str
    """SHA-256 of the names without suffix, sorted, each ended by a newline."""

    @classmethod
    def of_lines(cls, photos: int, blocks: Iterable[bytes]) -> Names:
        """Names that are lines, sorted, some at a time."""
        sha = hashlib.sha256()
        for block in blocks:
            sha.update(block)
        return cls(photos, sha.hexdigest())

    @property
    def fields(self) -> dict[str, Any]:
        """Itself, as JSON takes it."""
        return {"photos": self.photos, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Listed:
    """The photos of a list, as the provenance has it: which list it was."""

    name: str
    """Of its file."""
    photos: Names
    """All that it names, of whatever class: also of those that aren't of the subset."""

    @property
    def fields(self) -> dict[str, Any]:
        """Itself, as JSON takes it."""
        return {"photo_list": {"name": self.name, **self.photos.fields}}

    def __str__(self) -> str:
        return (
            f"those of {printable(self.name)}, which names {counted(self.photos.photos, 'photo')}"
        )


Recorded: TypeAlias = PerClass | Share | Listed


def drawn(names: Collection[str], count: int, seed: int) -> list[str]:
    """The first so many photos in the order of the SHA-256 of ``seed:stem``."""

    def key(stem: str) -> tuple[bytes, str]:
        text = f"{seed}:{stem}"
        return hashlib.sha256(text.encode(errors="surrogateescape")).digest(), stem

    return heapq.nsmallest(min(count, len(names)), names, key)
