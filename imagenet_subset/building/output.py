"""The files of one build in its output folder, from the first byte to the final name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.building import journal as journals
from imagenet_subset.building.journal import Journal, differences
from imagenet_subset.building.readback import changed, check_written
from imagenet_subset.errors import LockedError, OutputError, ResumeMismatchError
from imagenet_subset.npz.class_csv import write_metadata
from imagenet_subset.npz.layout import Layout, finish
from imagenet_subset.npz.names import NpzFiles
from imagenet_subset.selection.subset import Subset
from imagenet_subset.system.files import writing
from imagenet_subset.system.folders import check_lengths, nearest_folder
from imagenet_subset.system.mounts import sync_flag
from imagenet_subset.system.publishing import (
    TEMPORARY,
    locked,
    publish,
    removable,
    temporary_name,
)
from imagenet_subset.system.space import check_holds_files, reserve
from imagenet_subset.system.text import printable


@dataclass(frozen=True, slots=True)
class Target:
    """The file that a build makes: its names, and all that is in it but the pixels."""

    files: NpzFiles
    layout: Layout
    columns: Mapping[str, NDArray[np.int32]]
    """``y_train, train_id, y_val, val_id``, each ``(N,) int32``."""
    subset: Subset
    """Its classes, for the CSV."""
    fingerprint: Mapping[str, Any]
    """Everything that decides its bytes but the pixels of the photos."""
    source: str
    """Where the photos are, for people."""


WayOn = Callable[[Mapping[str, Any]], str]
"""What to do to go on with a file of another fingerprint, in a part of a sentence."""


def finish_that_one(_fingerprint: Mapping[str, Any]) -> str:
    """What can be said of any other build's file."""
    return "finish that one as it was begun"


@contextlib.contextmanager
def unfinished(
    target: Target, *, overwrite: bool, way_on: WayOn = finish_that_one
) -> Iterator[tuple[int, Journal]]:
    """Begin the unfinished file and its journal, or take them up again.

    Parameters
    ----------
    overwrite
        Begin again where what is there can't be gone on with.
    way_on
        Asked where it can't, for the error.

    Yields
    ------
    tuple[int, Journal]
        File descriptor of the file, which has its full size, is locked and lasts as long as the
        context; the open journal.

    Raises
    ------
    OutputError
        The folder can't be written, or has no room.
    LockedError
        Another build is at it.
    ResumeMismatchError
        What is there was begun with other inputs or settings.
    """
    files = target.files
    with contextlib.ExitStack() as stack:
        check_names(files)
        with writing(files.folder):
            files.folder.mkdir(parents=True, exist_ok=True)
        with writing(files.partial):
            fd = stack.enter_context(locked(files.partial))
            begun_before = is_begun(files)
            if not begun_before:
                _check_not_finished_meanwhile(files, overwrite=overwrite)
                _begin(fd, target)
            try:
                journal = stack.enter_context(taken_up(target, way_on))
            except OutputError:  # a journal of another build, or nothing that can be read
                if not overwrite:
                    raise
                begun_before = False
                _begin(fd, target)
                journal = stack.enter_context(taken_up(target, way_on))
            if begun_before:  # for a file in memory, to reserve twice takes half as long again
                reserve(fd, target.layout.size, files.folder)
        yield fd, journal
        journal.remove()  # without an error the file has its final name


def _check_not_finished_meanwhile(files: NpzFiles, *, overwrite: bool) -> None:
    """Refuse to begin what another run finished after this one looked for a finished file."""
    if files.npz.exists() and not overwrite:
        files.partial.unlink()
        raise LockedError(
            f"another build has just finished {printable(files.npz)}; run the same command again "
            "to see that it is complete"
        )


def check_output(files: NpzFiles) -> None:
    """Refuse names that can't be those of files, whatever is there.

    Raises
    ------
    OutputError
        Something else than a folder is where the folder is to be, or a name is too long.
    """
    with writing(files.npz):
        try:
            folder = nearest_folder(files.npz)
        except NotADirectoryError as error:
            raise OutputError(f"{error.strerror}; choose another --out_dir") from error
    to_be_made = files.folder.absolute().parts[len(folder.parts) :]
    names = [*to_be_made, *(path.name for path in files.every)]
    check_lengths(folder, [*names, *(f"{path.name}{TEMPORARY}" for path in files.tables)])


def check_names(files: NpzFiles) -> None:
    """Refuse now what would be refused when all is decoded; nothing is written.

    Raises
    ------
    OutputError
        The folder can't hold files, a folder has the name of a file, or something odd that of a
        temporary one.
    """
    with writing(files.folder):
        check_holds_files(nearest_folder(files.npz))
    for path in files.every:
        check_no_folder(path)
    temporary_name(files.csv)


def is_begun(files: NpzFiles) -> bool:
    """Whether there is an unfinished file to go on with.

    An empty one has just been created: any journal is that of another.

    Raises
    ------
    OSError
        The system doesn't say it.
    """
    return files.partial.exists() and files.partial.stat().st_size > 0 and files.journal.exists()


def check_no_folder(path: Path) -> None:
    """Refuse now what would be refused when all is decoded.

    Raises
    ------
    OutputError
        A folder has the name of a file.
    """
    with writing(path):
        if path.is_dir():
            raise OutputError(
                f"{printable(path)} is a folder; remove it, or choose another --out_dir"
            )


def _begin(fd: int, target: Target) -> None:
    """Reserve the file and write a journal with nothing done; after a failure, neither."""
    files = target.files
    try:
        reserve(fd, target.layout.size, files.folder)
        rows = len(target.layout.rows)
        journals.create(files.journal, target.fingerprint, rows, target.source)
    except BaseException:
        for path in (files.journal, files.partial):
            with contextlib.suppress(OSError):  # the first error is the one to report
                path.unlink()
        raise


@contextlib.contextmanager
def taken_up(target: Target, way_on: WayOn, *, to_look: bool = False) -> Iterator[Journal]:
    """Open the journal, which has to be one of this very file.

    Parameters
    ----------
    to_look
        Whether nothing will be written to it.

    Raises
    ------
    OutputError
        It can't be opened.
    ResumeMismatchError
        It is damaged, or one of another build.
    """
    files = target.files
    opened = journals.opened(files.journal, len(target.layout.rows), to_look=to_look)
    with opened as journal:
        differing = differences(journal.fingerprint, target.fingerprint)
        if differing:
            raise ResumeMismatchError(
                f"{printable(files.partial)} was begun by another build "
                f"({'; '.join(differing)}); {way_on(journal.fingerprint)}; or pass --overwrite to "
                "begin again, or choose another --out_dir or --out_name"
            )
        yield journal


def seal(
    fd: int,
    target: Target,
    crcs: NDArray[np.uint32],
    *,
    full_check: bool = False,
    shared: bool = False,
    keep_failures: bool = False,
) -> None:
    """Complete the file, every row of which is done, and give it its final name.

    Parameters
    ----------
    fd
        The unfinished file, open and locked.
    target
        What it becomes.
    crcs
        ``(N_train + N_val,) uint32``, CRC-32 of each row.
    full_check
        Read back every row first, and not only one in 64; see `imagenet_subset.building.readback`.
    shared
        Whether other machines wrote to it. Then every row is read back; from the disk or the
        server, where caches aren't coherent.
    keep_failures
        Whether the list of images that failed stays beside the file.

    Raises
    ------
    OutputError
        A file can't be written, or the unfinished one doesn't hold what was written to it.
    """
    files, layout, columns = target.files, target.layout, target.columns
    row_crcs = layout.rows.by_split(crcs)
    with writing(files.partial, kept=True):
        if (size := os.fstat(fd).st_size) < layout.size:
            raise changed(files.partial, f"it was cut short to {size} bytes")
        finish(fd, layout, row_crcs, columns)
        os.ftruncate(fd, layout.size)
        check_written(
            fd,
            files.partial,
            layout,
            row_crcs,
            columns,
            every_row=full_check or shared,
            from_disk=shared and bool(sync_flag(files.partial)),
        )
    with writing(files.csv, kept=True):
        write_metadata(files.csv, target.subset)
    with writing(files.npz, kept=True), removable(files.failures) as remove_failures:
        publish(fd, files.partial, files.npz)
        if not keep_failures:
            remove_failures()
