"""Columns of a million values in one piece of memory: names, and places in large files.

A million Python objects take some hundred bytes each, and seconds to make. A column takes what its
values take, and makes an object only of the value that is asked for.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

_BLOCK = 1 << 16
"""Values that exist as objects at a time while a column is put in another order."""
_SEVERAL_KINDS = "a store's locations are all strings, or all spans"

Indices = NDArray[np.intp]


class Span(NamedTuple):
    """Part of a large file. Which file, and what the numbers mean, is for its store to say."""

    file: int
    """Number of the file."""
    offset: int
    """Of the first byte; in a table, the number of the group of rows."""
    nbytes: int
    """Size in bytes; in a table, the row in its group."""
    method: int = 0
    """How it is compressed; 0 if it isn't."""


Location: TypeAlias = str | Span
"""What a store needs to read a photo; for a folder, the path below its root."""


class Texts:
    r"""Strings, as file names are: any characters, bytes that can't be decoded among them.

    Examples
    --------
    >>> names = Texts.of(["b", "", "a"])
    >>> list(names), names[2], list(names.take(np.array([2, 0]))), names.joined
    (['b', '', 'a'], 'a', ['a', 'b'], b'b\n\na')
    """

    __slots__ = ("_ends", "joined")

    def __init__(self, joined: bytes, ends: NDArray[np.int64]) -> None:
        self.joined = joined
        r"""All values, encoded as file names are, with ``\n`` between them."""
        self._ends = ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Column of these strings."""
        encoded = [os.fsencode(text) for text in texts]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        return cls(b"\n".join(encoded), _ends(lengths))

    @classmethod
    def concatenated(cls, parts: Sequence[Texts]) -> Texts:
        """Column of the values of all parts, one part after the other."""
        parts = [part for part in parts if len(part)]
        lengths = [part._ends - part._starts() for part in parts]
        return cls(
            b"\n".join(part.joined for part in parts),
            _ends(np.concatenate(lengths) if lengths else np.zeros(0, np.int64)),
        )

    def take(self, indices: Indices) -> Texts:
        """Column of the values with these indices, in their order."""
        starts, ends = self._starts()[indices], self._ends[indices]
        blocks = []
        for first in range(0, len(indices), _BLOCK):
            part = slice(first, first + _BLOCK)
            places = zip(starts[part].tolist(), ends[part].tolist(), strict=True)
            blocks.append(b"\n".join([self.joined[start:end] for start, end in places]))
        return Texts(b"\n".join(blocks), _ends(ends - starts))

    def __getitem__(self, index: int) -> str:
        """Value of an index from 0."""
        start = int(self._ends[index - 1]) + 1 if index else 0
        return os.fsdecode(self.joined[start : int(self._ends[index])])

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))

    def _starts(self) -> NDArray[np.int64]:
        starts = np.zeros_like(self._ends)
        starts[1:] = self._ends[:-1] + 1
        return starts


class Spans:
    """Parts of large files.

    Examples
    --------
    >>> spans = Spans.of([Span(0, 512, 100), Span(1, 0, 7, 8)])
    >>> spans[1]
    Span(file=1, offset=0, nbytes=7, method=8)
    """

    __slots__ = ("numbers",)

    def __init__(self, numbers: NDArray[np.int64]) -> None:
        self.numbers = numbers
        """``(N, 4)``: file, offset, nbytes, method."""

    @classmethod
    def of(cls, spans: Iterable[Span]) -> Spans:
        """Column of these parts."""
        return cls(np.array(list(spans), np.int64).reshape(-1, len(Span._fields)))

    @classmethod
    def concatenated(cls, parts: Sequence[Spans]) -> Spans:
        """Column of the values of all parts, one part after the other."""
        return cls(np.concatenate([part.numbers for part in parts]))

    def take(self, indices: Indices) -> Spans:
        """Column of the values with these indices, in their order."""
        return Spans(self.numbers[indices])

    def __getitem__(self, index: int) -> Span:
        """Value of an index from 0."""
        return Span._make(self.numbers[index].tolist())

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[Span]:
        return (self[index] for index in range(len(self)))


Locations: TypeAlias = Texts | Spans


def pack(locations: Sequence[Location]) -> Locations:
    """Column of locations.

    Raises
    ------
    ValueError
        They are of several kinds.
    """
    texts = [location for location in locations if isinstance(location, str)]
    spans = [location for location in locations if not isinstance(location, str)]
    if texts and spans:
        raise ValueError(_SEVERAL_KINDS)
    return Spans.of(spans) if spans else Texts.of(texts)


def concatenated(parts: Sequence[Locations]) -> Locations:
    """Column of the locations of all parts, one part after the other.

    Raises
    ------
    ValueError
        They are of several kinds.
    """
    texts = [part for part in parts if isinstance(part, Texts)]
    spans = [part for part in parts if isinstance(part, Spans)]
    if texts and spans:
        raise ValueError(_SEVERAL_KINDS)
    return Spans.concatenated(spans) if spans else Texts.concatenated(texts)


def _ends(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each value ends, if there is one byte between two."""
    return np.cumsum(lengths + 1) - 1
