"""Stores for tests: photos in one file, at places that are spans, in whatever order."""

from __future__ import annotations

import errno
import os
import random
import secrets
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from imagenet_subset.columns import Location, Locations, Span, Spans
from imagenet_subset.records import Split
from imagenet_subset.sources.base import Photo, Store
from imagenet_subset.sources.containers import check_mark

HOLE = b"hole"


@dataclass(frozen=True, slots=True)
class OneFile(Store):
    """All photos in one file, one after the other, shuffled; a list beside it names them."""

    root: str

    def photos(self, split: Split, wnids: Collection[str]) -> Iterator[Photo]:
        """All of a split, whatever the class; it doesn't say which that is."""
        for line in Path(f"{self.root}.names").read_text().splitlines():
            name, *place = line.split()
            if name.startswith(split):
                stem = name.rpartition("/")[2].removesuffix(".JPEG")
                yield Photo(stem, None, Span(0, *map(int, place)))

    def open(self) -> OneFileReader:
        """Open the file."""
        return OneFileReader(Path(self.root))

    def groups(self, locations: Locations) -> Iterator[Sequence[int]]:
        """Neighbours in the file, up to seven at a time."""
        assert isinstance(locations, Spans)
        order = locations.numbers[:, 1].argsort().tolist()
        return (order[first : first + 7] for first in range(0, len(order), 7))

    def describe(self, at: Location, stem: str = "") -> str:
        """Where in the file, and the name."""
        assert isinstance(at, Span)
        for line in Path(f"{self.root}.names").read_text().splitlines():
            name, *place = line.split()
            if Span(0, *map(int, place)) == at:
                return f"{self.root} at {at.offset}: {name}"
        return f"{self.root} at {at.offset}: {stem}"


class OneFileReader:
    """Has the file open."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - the handle is what a reader is for
        self._position = threading.Lock()

    def read(self, location: Location) -> bytes:
        """Read a part of the file."""
        assert isinstance(location, Span)
        with self._position:
            self._file.seek(location.offset)
            data = self._file.read(location.nbytes)
        if data.startswith(HOLE):
            raise OSError(errno.EIO, "a hole")
        check_mark(data, location)
        return data

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def write_one_file(path: Path, photos: Mapping[str, bytes], seed: int = 0) -> OneFile:
    """Write photos by name (``train/n01440764/n01440764_1.JPEG``) into one file."""
    order = list(photos)
    random.Random(seed).shuffle(order)
    offset, lines = 0, []
    with open(path, "wb") as file:
        for name in order:
            lines.append(f"{name} {offset} {len(photos[name])} {crc32(photos[name])}\n")
            offset += file.write(photos[name])
    Path(f"{path}.names").write_text("".join(lines))
    return OneFile(str(path))


def punch_hole(path: Path, name: str) -> None:
    """Overwrite the beginning of a photo."""
    for line in Path(f"{path}.names").read_text().splitlines():
        found, offset, *_ = line.split()
        if found == name:
            with open(path, "r+b") as file:
                file.seek(int(offset))
                file.write(HOLE)


@dataclass(frozen=True, slots=True)
class Scattered(Store):
    """Another store, whose photos come in any order, and in groups of far-off ones."""

    store: Store
    seed: int = 0

    @property
    def root(self) -> str:  # type: ignore[override]
        """Of the other store."""
        return self.store.root

    def photos(self, split: Split, wnids: Collection[str]) -> Iterator[Photo]:
        """Its photos, shuffled."""
        found = list(self.store.photos(split, wnids))
        random.Random(self.seed).shuffle(found)
        return iter(found)

    def open(self):
        """Open a reader of the other store."""
        return self.store.open()

    def describe(self, at: Location, stem: str = "") -> str:
        """As the other store."""
        return self.store.describe(at, stem)

    def groups(self, locations: Locations) -> Iterator[Sequence[int]]:
        """Up to a hundred photos from anywhere."""
        draw = random.Random(self.seed)
        order = draw.sample(range(len(locations)), len(locations))
        while order:
            size = draw.choice((1, 2, 5, 30, 100))
            group, order = order[:size], order[size:]
            yield group

    def train_list(self, wnids: Collection[str]):
        """Of the other store."""
        return self.store.train_list(wnids)


@dataclass(frozen=True, slots=True)
class Counted(Store):
    """Another store; each open reader is a file in a folder, whichever process it is in."""

    store: Store
    folder: Path
    fails: str = ""
    """``open``, ``read`` or ``close``: what fails, but not in the process that planned."""
    planner: int = field(default_factory=os.getpid)

    @property
    def root(self) -> str:  # type: ignore[override]
        """Of the other store."""
        return self.store.root

    def photos(self, split: Split, wnids: Collection[str]) -> Iterator[Photo]:
        """As the other store."""
        return self.store.photos(split, wnids)

    def open(self) -> CountedReader:
        """Open a reader of the other store, and note it."""
        self.fail("open")
        return CountedReader(self)

    def describe(self, at: Location, stem: str = "") -> str:
        """As the other store."""
        return self.store.describe(at, stem)

    def fail(self, what: str) -> None:
        """Fail as a disk would, if this is to."""
        if what == self.fails and os.getpid() != self.planner:
            raise OSError(errno.ENOENT, "no such mount", "/mnt")

    def opened(self) -> int:
        """How many readers are open."""
        return len(list(self.folder.iterdir()))


class CountedReader:
    """Passes on what another reader reads."""

    def __init__(self, store: Counted) -> None:
        self._store, self._reader = store, store.store.open()
        self._note = store.folder / secrets.token_hex()
        self._note.touch()

    def read(self, location: Location) -> bytes:
        """Read by the other reader."""
        self._store.fail("read")
        return self._reader.read(location)

    def close(self) -> None:
        """Close, and take the note away."""
        self._note.unlink(missing_ok=True)
        self._reader.close()
        self._store.fail("close")
