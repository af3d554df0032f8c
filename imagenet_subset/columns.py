"""Columns of a million values in one piece of memory: names, and places in large files.

A million Python objects take some hundred bytes each, and seconds to make. A column takes what its
values take, and makes an object only of the value that is asked for.
"""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

BLOCK = 1 << 14
"""Values that exist as objects at a time while a column is made."""

Indices = NDArray[np.intp]
_Lengths = NDArray[np.int32]


class Span(NamedTuple):
    """Part of a large file. Which file, and what the numbers mean, is for its store to say."""

    file: int
    """Number of the file."""
    offset: int
    """Of the first byte; in a table, the number of the group of rows."""
    nbytes: int
    """Size in bytes; in a table, the row in its group."""
    mark: int = 0
    """CRC-32 of what the file says of it: by this its reader sees that it is still there."""


Location: TypeAlias = str | Span
"""What a store needs to read a photo; for a folder, the path below its root."""


def are_neighbours(indices: Sequence[int]) -> bool:
    """Whether indices ascend one by one.

    Examples
    --------
    >>> are_neighbours([3, 4, 5]), are_neighbours([4, 3]), are_neighbours([])
    (True, False, False)
    """
    return bool(indices) and list(indices) == list(range(indices[0], indices[0] + len(indices)))


class Texts:
    r"""Strings, as file names are: any characters, bytes that can't be decoded among them.

    Examples
    --------
    >>> names = Texts.of(["b", "", "a"])
    >>> list(names), names[2], list(names.take(np.array([2, 0]))), names.joined
    (['b', '', 'a'], 'a', ['a', 'b'], b'b\n\na')
    """

    __slots__ = ("_ends", "joined")

    def __init__(self, joined: bytes, lengths: _Lengths) -> None:
        self.joined = joined
        r"""All values, encoded as file names are, with ``\n`` between them."""
        small = len(joined) <= np.iinfo(np.int32).max
        self._ends = np.cumsum(lengths + 1, dtype=np.int32 if small else np.int64) - 1

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Column of these strings."""
        builder = TextsBuilder()
        builder.add(list(texts))
        return builder.column()

    def take(self, indices: Indices) -> Texts:
        """Column of the values with these indices, in their order."""
        builder = TextsBuilder()
        for first in range(0, len(indices), BLOCK):
            block = indices[first : first + BLOCK]
            ends = self._ends[block]
            # Before the first value there is no byte that parts it from another.
            starts = np.where(block > 0, self._ends[block - 1] + 1, 0)
            places = zip(starts.tolist(), ends.tolist(), strict=True)
            builder.add_encoded([self.joined[start:end] for start, end in places])
        return builder.column()

    def between(self, first: int, end: int) -> list[str]:
        """Values from one index up to another."""
        if first >= end:
            return []
        text = os.fsdecode(self.joined[self._start(first) : int(self._ends[end - 1])])
        values = text.split("\n")
        if len(values) > end - first:  # a name may have a line break in it
            return [self[index] for index in range(first, end)]
        return values

    def at(self, indices: Sequence[int]) -> list[str]:
        """Values of these indices; of neighbours, quicker than one by one."""
        if are_neighbours(indices):
            return self.between(indices[0], indices[-1] + 1)
        return [self[index] for index in indices]

    def __getitem__(self, index: int) -> str:
        """Value of an index from 0."""
        return os.fsdecode(self.joined[self._start(index) : int(self._ends[index])])

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), BLOCK):
            yield from self.between(first, min(first + BLOCK, len(self)))

    def _start(self, index: int) -> int:
        return int(self._ends[index - 1]) + 1 if index else 0


class TextsBuilder:
    """Makes a column of strings that come in blocks."""

    def __init__(self) -> None:
        self._joined = io.BytesIO()
        self._lengths: list[_Lengths] = []

    def add(self, texts: Sequence[str]) -> None:
        """Append strings."""
        joined = "\n".join(texts)
        encoded = os.fsencode(joined)
        if len(encoded) == len(joined):  # as a rule: then characters are bytes
            self._add(encoded, texts)
        else:
            self.add_encoded([os.fsencode(text) for text in texts])

    def add_encoded(self, texts: Sequence[bytes]) -> None:
        """Append strings that are encoded already."""
        self._add(b"\n".join(texts), texts)

    def _add(self, encoded: bytes, texts: Sequence[str] | Sequence[bytes]) -> None:
        if not texts:
            return
        if self._lengths:
            self._joined.write(b"\n")
        self._joined.write(encoded)
        self._lengths.append(np.fromiter(map(len, texts), np.int32, len(texts)))

    def __bool__(self) -> bool:
        return bool(self._lengths)

    def column(self) -> Texts:
        """All of them."""
        lengths = np.concatenate(self._lengths) if self._lengths else np.zeros(0, np.int32)
        return Texts(self._joined.getvalue(), lengths)


class Spans:
    """Parts of large files.

    Examples
    --------
    >>> spans = Spans.of([Span(0, 512, 100), Span(1, 0, 7, 8)])
    >>> spans[1]
    Span(file=1, offset=0, nbytes=7, mark=8)
    """

    __slots__ = ("numbers",)

    def __init__(self, numbers: NDArray[np.int64]) -> None:
        self.numbers = numbers
        """``(N, 4)``: file, offset, nbytes, mark."""

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Spans:
        """Column of these parts."""
        numbers = itertools.chain.from_iterable(spans)
        return cls(np.fromiter(numbers, np.int64).reshape(-1, len(Span._fields)))

    def take(self, indices: Indices) -> Spans:
        """Column of the values with these indices, in their order."""
        return Spans(self.numbers[indices])

    def at(self, indices: Sequence[int]) -> list[Span]:
        """Values of these indices."""
        return [Span._make(numbers) for numbers in self.numbers[list(indices)].tolist()]

    def __getitem__(self, index: int) -> Span:
        """Value of an index from 0."""
        return Span._make(self.numbers[index].tolist())

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Span]:
        for first in range(0, len(self), BLOCK):
            yield from map(Span._make, self.numbers[first : first + BLOCK].tolist())


Locations: TypeAlias = Texts | Spans


class LocationsBuilder:
    """Makes a column of locations that come in blocks; a store's are all of one kind."""

    def __init__(self) -> None:
        self._texts = TextsBuilder()
        self._spans: list[Spans] = []

    def add(self, locations: Sequence[Location]) -> None:
        """Append locations.

        Raises
        ------
        ValueError
            They are of several kinds.
        """
        texts = [location for location in locations if isinstance(location, str)]
        spans = [location for location in locations if not isinstance(location, str)]
        self._texts.add(texts)
        self._spans += [Spans.of(spans)] if spans else []
        if self._texts and self._spans:
            raise ValueError("a store's locations are all strings, or all spans")

    def column(self) -> Locations:
        """All of them."""
        if self._spans:
            return Spans(np.concatenate([part.numbers for part in self._spans]))
        return self._texts.column()


def pack(locations: Sequence[Location]) -> Locations:
    """Column of locations.

    Raises
    ------
    ValueError
        They are of several kinds.
    """
    builder = LocationsBuilder()
    builder.add(locations)
    return builder.column()
