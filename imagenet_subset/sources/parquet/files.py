"""Parquet files with the columns of ILSVRC on Hugging Face, read by pyarrow.

Whatever a file makes pyarrow raise is an `OSError` here, in one line; MemoryError passes.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
from collections.abc import Iterator
from typing import Any

from imagenet_subset.errors import SourceError
from imagenet_subset.system.files import pread, regular
from imagenet_subset.system.text import printable

BYTES, PATH = "image.bytes", "image.path"
_LABEL = "label"
_BUFFER = 1 << 20
"""Of a column is read at a time, in bytes, so that it isn't in memory packed and unpacked."""
_ROWS = 4096
"""Names that are unpacked at a time."""


class OtherTableError(SourceError):
    """A parquet file is of something else than ILSVRC."""


def arrow(module: str) -> Any:
    """Part of pyarrow, which is imported when it is needed.

    Raises
    ------
    OSError
        It isn't installed.
    """
    try:
        return importlib.import_module(f"pyarrow.{module}")
    except ImportError as error:
        reason = f'parquet needs pyarrow: pip install "imagenet-subset[parquet]" ({_line(error)})'
        raise OSError(errno.ENOENT, reason) from error


@contextlib.contextmanager
def opened(path: str) -> Iterator[Any]:
    """Parquet file at a path; see `open_file`."""
    file = open_file(path)
    try:
        yield file
    finally:
        file.close(force=True)


def open_file(path: str) -> Any:
    """Open a parquet file, without threads of pyarrow's: they don't live on in a forked process.

    pyarrow opens it itself: what it reads goes to memory that it uses again, and a file of Python's
    has fresh pages each time, which cost more than to unpack.

    Raises
    ------
    OSError
        It isn't there, or isn't a whole parquet file, or pyarrow isn't installed.
    """
    os.close(regular(path, os.O_RDONLY))  # pyarrow would wait for a pipe
    module = arrow("parquet")
    with _errors("it isn't whole, get it anew"):
        source = arrow("lib").OSFile(os.fsencode(path))
        return module.ParquetFile(source, pre_buffer=False, buffer_size=_BUFFER)


@contextlib.contextmanager
def listing(path: str) -> Iterator[Any]:
    """Parquet file with the columns of ILSVRC; what is wrong with it is a `SourceError`."""
    try:
        with opened(path) as file:
            with _errors("its columns"):
                _check_columns(path, file.schema_arrow)
            yield file
    except OSError as error:
        reason = _line(error.strerror or error)
        raise SourceError(f"can't read {printable(path)}: {reason}") from error


def place_of(file: Any, path: str, group: int) -> bytes:
    """What an open file says of where a row group is: it is another if the photos are others.

    Raises
    ------
    OSError
        There is no such row group.
    """
    if group >= file.num_row_groups:
        raise OSError(errno.EIO, f"{printable(path)} has only {file.num_row_groups} row groups")
    with _errors(f"where row group {group} is"):
        places = [
            f"{column.path_in_schema} {column.data_page_offset} {column.total_compressed_size}"
            for column in _columns(file, group)
        ]
    return ",".join(places).encode()


def _columns(file: Any, group: int) -> Iterator[Any]:
    row_group = file.metadata.row_group(group)
    return (row_group.column(i) for i in range(row_group.num_columns))


def batches(file: Any, path: str, group: int, *columns: str, rows: int) -> Iterator[Any]:
    """Row group of an open file, so many rows at a time.

    Raises
    ------
    OSError
        ``EBADMSG`` if it was read and can't be unpacked, ``EIO`` if it isn't known why.
    """
    where = f"row group {group} of {printable(path)} can't be unpacked"
    unfit = (OSError, arrow("lib").ArrowInvalid)
    with _errors(where):
        try:
            yield from file.iter_batches(rows, [group], [*columns], use_threads=False)
        except unfit as error:
            if getattr(error, "errno", None) is None and _is_there(file, path, group):
                raise OSError(errno.EBADMSG, f"{where}: {_line(error)}") from error
            raise


def names_of(file: Any, path: str, group: int) -> Iterator[tuple[int, str | None, int | None]]:
    """Row, path and label of each photo of a row group."""
    first = 0
    with _errors(f"the names in row group {group}"):
        for batch in batches(file, path, group, PATH, _LABEL, rows=_ROWS):
            paths, labels = of_images(batch)["path"], batch.column(_LABEL)
            numbers = range(first, first + batch.num_rows)
            yield from zip(numbers, paths.to_pylist(), labels.to_pylist(), strict=True)
            first += batch.num_rows


def of_images(batch: Any) -> dict[str, Any]:
    """Columns ``bytes`` and ``path`` of the photos, as far as they were read."""
    image = batch.column("image")
    return dict(zip((part.name for part in image.type), image.flatten(), strict=True))


def name_at(path: str, group: int, row: int) -> tuple[bytes, str]:
    """Where a row group is, and what a row of it has for the path of its photo."""
    with opened(path) as file, _errors(f"the names in row group {group}"):
        place = place_of(file, path, group)
        for batch in batches(file, path, group, PATH, rows=_ROWS):
            if row < batch.num_rows:
                return place, str(of_images(batch)["path"][row].as_py())
            row -= batch.num_rows
    raise OSError(errno.EIO, f"row group {group} has no such row")


@contextlib.contextmanager
def _errors(what: str) -> Iterator[None]:
    """What pyarrow raises as an ``EIO``, for why is unknown; the system's stay what they are."""
    try:
        yield
    except (MemoryError, SourceError):
        raise
    except OSError as error:
        if error.errno is not None:
            raise
        raise OSError(errno.EIO, f"{what}: {_line(error)}") from error
    except Exception as error:
        raise OSError(errno.EIO, f"{what}: {_line(error)}") from error


def _is_there(file: Any, path: str, group: int) -> bool:
    """Whether all of a row group can be read: what can't be unpacked then is damaged."""
    fd = regular(path, os.O_RDONLY)
    try:
        for column in _columns(file, group):
            first = column.data_page_offset
            if column.has_dictionary_page:
                first = min(first, column.dictionary_page_offset)
            for start in range(first, end := first + column.total_compressed_size, _BUFFER):
                nbytes = min(_BUFFER, end - start)
                if len(pread(fd, nbytes, start)) < nbytes:
                    return False
    finally:
        os.close(fd)
    return True


def _check_columns(path: str, schema: Any) -> None:
    types = arrow("types")
    kinds = {field.name: field.type for field in schema}
    image, label = kinds.get("image"), kinds.get(_LABEL)
    parts = {part.name: part.type for part in image} if image and types.is_struct(image) else {}
    fits = (
        _is_one_of(parts.get("bytes"), types.is_binary, types.is_large_binary)
        and _is_one_of(parts.get("path"), types.is_string, types.is_large_string)
        and _is_one_of(label, types.is_integer)
    )
    if not fits:
        found = _line(", ".join(f"{name}: {kind}" for name, kind in kinds.items()))
        raise OtherTableError(
            f"{printable(path)} isn't as ILSVRC/imagenet-1k on Hugging Face: it has the columns "
            f"{found}; expected image: struct<bytes, path> and label: int64"
        )


def _is_one_of(kind: Any, *checks: Any) -> bool:
    return kind is not None and any(check(kind) for check in checks)


def _line(error: object) -> str:
    return printable(" ".join(str(error).split())) or type(error).__name__
