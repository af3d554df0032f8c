"""What one look at large files finds, kept until it is asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from imagenet_subset.columns import BLOCK, Span, Spans, TextsBuilder
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.sources.base import Photo


class Found(NamedTuple):
    """A photo in a large file."""

    split: Split
    stem: str
    wnid: str | None
    span: Span


class _Columns:
    """Photos of one split, in columns."""

    def __init__(self) -> None:
        self._stems, self._wnids = TextsBuilder(), TextsBuilder()
        self._spans: list[Spans] = []
        self._block: list[Found] = []

    def add(self, found: Found) -> None:
        self._block.append(found)
        if len(self._block) == BLOCK:
            self._flush()

    def _flush(self) -> None:
        self._stems.add([found.stem for found in self._block])
        self._wnids.add([found.wnid or "" for found in self._block])
        self._spans.append(Spans.of(found.span for found in self._block))
        self._block.clear()

    def photos(self) -> Iterator[Photo]:
        self._flush()
        stems, wnids, spans = self._stems.column(), self._wnids.column(), self._spans
        self._stems, self._wnids, self._spans = TextsBuilder(), TextsBuilder(), []
        first = 0
        for part in spans:  # as many as were added at a time
            end = first + len(part)
            names = zip(stems.between(first, end), wnids.between(first, end), part, strict=True)
            for stem, wnid, span in names:
                yield Photo(stem, wnid or None, span)
            first = end


class Looked:
    """What one look at all files found, for each split until it is asked for.

    It belongs to the process that plans: on its way to a worker it loses what it has.
    """

    def __init__(self) -> None:
        self._wnids: tuple[str, ...] | None = None
        self._columns: dict[Split, _Columns] = {}
        self.train_list: Span | None = None
        """Where ``train_cls.txt`` is, if it is among the photos."""
        self.inner: list[tuple[int, int, int, str]] = []
        """Archives in the files: number of the file, first byte, end and name; in this order."""

    def have(
        self, wnids: Collection[str], look: Callable[[Collection[str]], Iterable[Found]]
    ) -> None:
        """Look for photos of these classes, unless the last look was for them."""
        if self._wnids != tuple(wnids):
            columns: dict[Split, _Columns] = {s: _Columns() for s in SPLITS}
            self.inner.clear()
            for found in look(wnids):
                columns[found.split].add(found)
            self._wnids, self._columns = tuple(wnids), columns

    def photos(
        self,
        split: Split,
        wnids: Collection[str],
        look: Callable[[Collection[str]], Iterable[Found]],
    ) -> Iterator[Photo]:
        """Photos of a split; they are handed out once, then a new look is taken."""
        if split not in self._columns:
            self._wnids = None
        self.have(wnids, look)
        return self._columns.pop(split).photos()

    def inner_of(self, at: Span) -> str:
        """Name of the archive that a photo is in, inside the file; empty if it isn't known."""
        if k := bisect_right(self.inner, (at.file, at.offset)):
            file, _, end, name = self.inner[k - 1]
            if file == at.file and at.offset < end:
                return name
        return ""

    def __reduce__(self) -> tuple[type[Looked], tuple[()]]:
        return Looked, ()
