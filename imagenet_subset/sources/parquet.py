"""ILSVRC as Hugging Face has it: parquet files with a row for each photo, in any order."""

from __future__ import annotations

import contextlib
import errno
import functools
import importlib
import os
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from imagenet_subset.columns import Location, Locations, Span, Spans, Texts
from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table, val_ground_truth
from imagenet_subset.records import Split
from imagenet_subset.sources.base import PhotoReader
from imagenet_subset.sources.containers import ContainerStore, Found, as_span
from imagenet_subset.sources.names import Name, parse

_MAGIC = b"PAR1"
_FOLDERS = ("*.parquet", "data/*.parquet", "*/*.parquet", "*/*/*.parquet")
_NAMES = ["image.path", "label"]
_TEST = -1
"""Label of the photos of test."""


def open_parquet(path: Path) -> ParquetStore | None:
    """Parquet file at a path, or those in it or up to two folders below; None if there is none.

    Raises
    ------
    imagenet_subset.errors.SourceError
        A file isn't whole, isn't ILSVRC, or pyarrow isn't installed.
    """
    root = Path(os.path.abspath(path))
    try:
        if root.is_file():
            files = [root.name] if _is_parquet(root) else []
            root = root.parent
        else:
            files = _files_below(root)
    except OSError as error:
        raise SourceError(f"can't read {path}: {error.strerror or error}") from error
    if not files:
        return None
    splits = frozenset(split for name in files for split in _splits_of(str(root / name)))
    return ParquetStore(str(root), Texts.of(files), splits)


def _files_below(root: Path) -> list[str]:
    for pattern in _FOLDERS:
        below = (path.relative_to(root) for path in sorted(root.glob(pattern)))
        if files := [str(p) for p in below if not any(part[0] == "." for part in p.parts)]:
            return files
    return []


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


@dataclass(frozen=True, slots=True)
class ParquetStore(ContainerStore):
    """Photos in parquet files. A span is the file, the row group and the row in it."""

    splits: frozenset[Split]
    """What the names in the first and the last row group of each file are of."""

    def look(self, wnids: Collection[str]) -> Iterator[Found]:
        """See `imagenet_subset.sources.containers.ContainerStore.look`."""
        for number in range(len(self.files)):
            path = self.path(number)
            for group, row, name in _names_in(path):
                yield Found(name.split, name.stem, name.wnid, Span(number, group, row))

    def name(self, at: Span) -> str:
        """See `imagenet_subset.sources.containers.ContainerStore.name`."""
        with _reading_errors(), _opened(self.path(at.file)) as file:
            table = file.read_row_group(at.offset, columns=_NAMES[:1], use_threads=False)
            return str(table.column(0).flatten()[0][at.nbytes].as_py()).rpartition("/")[2]

    def open(self) -> PhotoReader:
        """See `imagenet_subset.sources.base.Store.open`."""
        return ParquetReader(self)

    def groups(self, locations: Locations) -> Iterator[Sequence[int]]:
        """Photos of a row group together: it is read and unpacked as a whole."""
        if not isinstance(locations, Spans):
            raise TypeError("these are paths, not rows of files")
        numbers = locations.numbers
        order = np.lexsort((numbers[:, 2], numbers[:, 1], numbers[:, 0])).tolist()
        for _, group in groupby(order, lambda index: tuple(numbers[index, :2].tolist())):
            yield tuple(group)


class ParquetReader:
    """Reads rows; it keeps the row group that it read last, and no file open."""

    def __init__(self, store: ParquetStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._at: tuple[int, int] | None = None
        self._photos: Any = None

    def read(self, location: Location) -> bytes:
        """See `imagenet_subset.sources.base.PhotoReader.read`."""
        span = as_span(location)
        with self._lock:
            if self._at != (span.file, span.offset):
                self.close()  # before the next one is read: there is room for one
                self._photos = self._group(span)
                self._at = span.file, span.offset
            photos = self._photos
        if span.nbytes >= len(photos):
            raise OSError(errno.EIO, f"row group {span.offset} has only {len(photos)} rows")
        data = photos[span.nbytes].as_buffer()
        if data is None:
            raise OSError(errno.EBADMSG, "the row has no bytes")
        return bytes(data)

    def _group(self, span: Span) -> Any:
        with _reading_errors(), _opened(self._store.path(span.file)) as file:
            table = file.read_row_group(span.offset, columns=["image.bytes"], use_threads=False)
            return table.column(0).flatten()[0]

    def close(self) -> None:
        """Let go of the row group."""
        self._at = self._photos = None


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Any]:
    """Parquet file, read without threads of pyarrow's: they don't live on in a forked process."""
    try:
        module = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise SourceError(
            f'{path} needs pyarrow: pip install "imagenet-subset[parquet]" ({error})'
        ) from error
    with open(path, "rb") as raw, module.ParquetFile(raw, pre_buffer=False) as file:
        yield file


@contextlib.contextmanager
def _reading_errors() -> Iterator[None]:
    """Errors of pyarrow as those of a photo that is damaged; the system's stay what they are."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise
        raise OSError(errno.EBADMSG, _line(error)) from error
    except (ValueError, KeyError, IndexError, NotImplementedError) as error:
        raise OSError(errno.EBADMSG, _line(error)) from error


@contextlib.contextmanager
def _listing(path: str) -> Iterator[Any]:
    """Parquet file with the columns of ILSVRC; what is wrong with it is a `SourceError`."""
    try:
        with _reading_errors(), _opened(path) as file:
            _check_columns(path, file.schema_arrow)
            yield file
    except OSError as error:
        raise SourceError(f"can't read {path}: {error.strerror or error}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _check_columns(path: str, schema: Any) -> None:
    types = importlib.import_module("pyarrow.types")
    kinds = {field.name: field.type for field in schema}
    image, label = kinds.get("image"), kinds.get("label")
    parts = {part.name for part in image} if image and types.is_struct(image) else set()
    if not {"bytes", "path"} <= parts or not (label and types.is_integer(label)):
        found = ", ".join(f"{name}: {_line(ValueError(kind))}" for name, kind in kinds.items())
        raise SourceError(
            f"{path} isn't as ILSVRC/imagenet-1k on Hugging Face: it has the columns {found}; "
            "expected image: struct<bytes, path> and label: int64"
        )


def _rows(file: Any, group: int) -> Iterator[tuple[int, str | None, int | None]]:
    table = file.read_row_group(group, columns=_NAMES, use_threads=False)
    paths = table.column("image").flatten()[0].to_pylist()
    labels = table.column("label").to_pylist()
    yield from zip(range(len(paths)), paths, labels, strict=True)


def _splits_of(path: str) -> set[Split]:
    with _listing(path) as file:
        ends = sorted({0, file.num_row_groups - 1} - {-1})
        names = (parse(p) for group in ends for _, p, _ in _rows(file, group) if p)
        return {name.split for name in names if name}


def _names_in(path: str) -> Iterator[tuple[int, int, Name]]:
    """Row group, row and name of each photo of train and val.

    Raises
    ------
    imagenet_subset.errors.SourceError
        No name is one of ILSVRC's, or a label isn't that of the name.
    """
    lost, example, parsed = 0, "", False
    with _listing(path) as file:
        for group in range(file.num_row_groups):
            for row, text, label in _rows(file, group):
                if label == _TEST:
                    continue
                name = parse(text) if text else None
                if name is None:
                    lost, example = lost + 1, example or repr(text)
                    continue
                parsed = True
                _check_label(f"{path}: row {row} of row group {group}", name, label)
                yield group, row, name
    if lost and not parsed:
        raise SourceError(
            f"{path}: the names of the photos are lost (image.path is {example}), and without them "
            "their ILSVRC numbers aren't known; take ILSVRC/imagenet-1k on Hugging Face"
        )


def _check_label(where: str, name: Name, label: int | None) -> None:
    wnids = _wnids()
    expected = name.stem[:9] if name.split == "train" else _val_wnid(int(name.stem[-8:]))
    found = wnids[label] if label is not None and 0 <= label < len(wnids) else None
    if expected is None or found != expected or name.wnid not in (None, expected):
        raise SourceError(
            f"{where}, {name.stem}, isn't as ILSVRC has it: expected {expected}, found label "
            f"{label} ({found}) and class {name.wnid} in its name"
        )


def _val_wnid(number: int) -> str | None:
    truth = val_ground_truth()
    if not 1 <= number <= len(truth):
        return None
    return _by_id()[int(truth[number - 1])]


@functools.cache
def _wnids() -> tuple[str, ...]:
    return tuple(class_table())


@functools.cache
def _by_id() -> dict[int, str]:
    return {c.clsloc_id: c.wnid for c in class_table().values()}
