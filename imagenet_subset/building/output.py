"""The files of one build in its output folder, from the first byte to the final name."""

from __future__ import annotations

import contextlib
import csv
import io
import os
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.building import journal as journals
from imagenet_subset.building.journal import Journal, differences
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.readback import changed, check_written
from imagenet_subset.errors import (
    LockedError,
    OutputError,
    OutputExistsError,
    ReadError,
    ReadRefusedError,
    ResumeMismatchError,
)
from imagenet_subset.npz import layout as npz
from imagenet_subset.npz.class_csv import write_metadata
from imagenet_subset.npz.crc import crc32
from imagenet_subset.npz.layout import ROW_NBYTES
from imagenet_subset.npz.provenance import encode_comment
from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.records import SPLITS, Record, Split
from imagenet_subset.system.files import pread_into, pwrite_all, reading, writing
from imagenet_subset.system.publishing import (
    locked,
    publish,
    removable,
    temporary_name,
    write_atomically,
)
from imagenet_subset.system.space import reserve
from imagenet_subset.system.text import printable


def already_complete(plan: BuildPlan, *, skip_undecodable: bool) -> BuildPlan | None:
    """The plan as a finished file that stands there already has carried it out, or None.

    With ``skip_undecodable`` a file that left some of the plan's images out as undecodable will
    do too; then ``undecodable`` says how many.

    Raises
    ------
    OutputExistsError
        A file with other contents has its name.
    OutputError
        What has its name is a folder, or a file that the system doesn't let be read.
    """
    path = plan.output.npz
    _check_no_folder(path)
    with writing(path):
        if not path.exists():
            return None
    try:
        there = ImagenetSubset(path)
        with reading(path):
            size = path.stat().st_size
        columns = {key: np.asarray(getattr(there, key)) for key in plan.columns}
        provenance: Mapping[str, Any] = there.provenance or {}
    except ReadRefusedError as error:
        raise OutputError(
            f"{printable(path)} exists, and whether it is complete is unknown: {error}, or choose "
            "another --out_dir"
        ) from error
    except ReadError as error:
        raise _exists(plan, str(error)) from error
    expected, undecodable = plan.provenance, 0
    if skip_undecodable:
        undecodable = provenance.get("left_out", {}).get("undecodable", 0)
        expected = deepcopy(expected)
        expected["left_out"]["undecodable"] = undecodable
    differing = differences(provenance, expected)
    if differing:
        raise _exists(plan, "; ".join(differing))
    left_out = sum(_left_out(plan.columns[f"{s}_id"], columns[f"{s}_id"]) for s in SPLITS)
    if left_out != undecodable or size != _size(provenance, columns):
        raise _exists(plan, "other images")
    return replace(plan, undecodable=undecodable)


def _left_out(planned: NDArray[np.int32], found: NDArray[np.int32]) -> int:
    """How many of the planned ids weren't found; -1 if anything else was found."""
    return len(planned) - len(found) if np.isin(found, planned).all() else -1


def _size(provenance: Mapping[str, Any], columns: Mapping[str, NDArray[np.int32]]) -> int:
    rows = {split: len(columns[f"{split}_id"]) for split in SPLITS}
    return npz.Layout.of(rows, encode_comment(provenance)).size


def _exists(plan: BuildPlan, why: str) -> OutputExistsError:
    return OutputExistsError(
        f"{printable(plan.output.npz)} exists and is not what this build makes ({why}); "
        "pass --overwrite to replace it, or choose another --out_dir"
    )


def tidy(plan: BuildPlan) -> None:
    """Do what a build that was killed right after it published its file left undone."""
    paths = plan.output
    with writing(paths.journal), removable(paths.journal) as remove:
        if not paths.partial.exists():
            remove()
    with writing(paths.csv):
        if not paths.csv.exists():
            write_metadata(paths.csv, plan.subset)


@contextlib.contextmanager
def unfinished(plan: BuildPlan, *, overwrite: bool) -> Iterator[tuple[int, Journal]]:
    """Begin the unfinished file and its journal, or take them up again.

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
    paths = plan.output
    with contextlib.ExitStack() as stack:
        with writing(paths.folder):
            paths.folder.mkdir(parents=True, exist_ok=True)
        for path in (paths.npz, paths.csv):
            _check_no_folder(path)
        temporary_name(paths.csv)
        with writing(paths.partial):
            fd = stack.enter_context(locked(paths.partial))
            # An empty file is one that we have just created: any journal is that of another.
            if not os.fstat(fd).st_size or not paths.journal.exists():
                _check_not_finished_meanwhile(plan, overwrite=overwrite)
                _begin(fd, plan)
            try:
                journal = stack.enter_context(_journal(plan))
            except OutputError:  # a journal of another build, or nothing that can be read
                if not overwrite:
                    raise
                _begin(fd, plan)
                journal = stack.enter_context(_journal(plan))
            reserve(fd, plan.layout.size, paths.folder)
        yield fd, journal
        journal.remove()  # without an error the file has its final name


def _check_not_finished_meanwhile(plan: BuildPlan, *, overwrite: bool) -> None:
    """Refuse to begin what another run finished after `already_complete` was asked."""
    paths = plan.output
    if paths.npz.exists() and not overwrite:
        paths.partial.unlink()
        raise LockedError(
            f"another build has just finished {printable(paths.npz)}; run the same command again "
            "to see that it is complete"
        )


def _check_no_folder(path: Path) -> None:
    """Refuse now what would be refused when all is decoded."""
    with writing(path):
        if path.is_dir():
            raise OutputError(
                f"{printable(path)} is a folder; remove it, or choose another --out_dir"
            )


def _begin(fd: int, plan: BuildPlan) -> None:
    """Reserve the file and write a journal with nothing done; after a failure, neither."""
    paths = plan.output
    try:
        reserve(fd, plan.layout.size, paths.folder)
        rows = sum(plan.rows.values())
        journals.create(paths.journal, plan.fingerprint, rows, plan.source.root)
    except BaseException:
        for path in (paths.journal, paths.partial):
            with contextlib.suppress(OSError):  # the first error is the one to tell
                path.unlink()
        raise


@contextlib.contextmanager
def _journal(plan: BuildPlan) -> Iterator[Journal]:
    """Open the journal, which has to be one of the plan's own file."""
    with journals.opened(plan.output.journal, sum(plan.rows.values())) as journal:
        differing = differences(journal.fingerprint, plan.fingerprint)
        if differing:
            raise ResumeMismatchError(
                f"{printable(plan.output.partial)} was begun by another build "
                f"({'; '.join(differing)}); finish that one as it was begun, or pass --overwrite "
                "to begin again"
            )
        yield journal


def write_failures(plan: BuildPlan, failures: list[tuple[Record, str]]) -> None:
    """List the images that can't be decoded: split, id, path, reason."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["split", "id", "path", "reason"])
    for record, reason in failures:
        writer.writerow([record.split, record.image_id, plan.source.path(record), reason])
    with writing(plan.output.failures, kept=True):
        write_atomically(plan.output.failures, os.fsencode(text.getvalue()))


def move_rows_up(fd: int, plan: BuildPlan, remaining: BuildPlan, journal: Journal) -> None:
    """Move the rows of the images that remain to their places in the smaller layout, in place.

    A row never moves down the file and rows move in file order, so none is overwritten before it
    has moved. The journal knows how far this came: `move_rows_back` undoes what was cut short.
    """
    buffer = memoryview(bytearray(ROW_NBYTES))
    crcs = journal.crcs
    for count, (index, old, new) in enumerate(_moves(plan, remaining), 1):
        if old == new:
            continue
        with writing(plan.output.partial, kept=True):
            pread_into(fd, buffer, old)
            if crc32(buffer) != crcs[index]:
                raise changed(plan.output.partial, f"the row at byte {old} differs")
            journal.note_moved(count)
            pwrite_all(fd, buffer, new)


def move_rows_back(fd: int, plan: BuildPlan, journal: Journal) -> None:
    """Undo a `move_rows_up` that was cut short, so that no row has to be decoded again.

    The last row to move is the first to go back, which overwrites only places that rows have left.
    A row that was torn by the cut is in neither place; its CRC-32 tells.
    """
    if not journal.moved:
        return
    buffer = memoryview(bytearray(ROW_NBYTES))
    crcs, moves = journal.crcs, list(_moves(plan, plan.without(_undone(plan, journal))))
    for index, old, new in reversed(moves[: journal.moved]):
        with writing(plan.output.partial, kept=True):
            if pread_into(fd, buffer, new) == ROW_NBYTES and crc32(buffer) == crcs[index]:
                pwrite_all(fd, buffer, old)
    journal.note_moved(0)


def _undone(plan: BuildPlan, journal: Journal) -> list[Record]:
    records = [record for split in SPLITS for record in plan.records[split]]
    return [records[index] for index in np.flatnonzero(~journal.done).tolist()]


def _moves(plan: BuildPlan, remaining: BuildPlan) -> Iterator[tuple[int, int, int]]:
    """Index in the journal, old and new offset of each row that remains, in file order."""
    base = 0
    for split in SPLITS:
        ids = remaining.columns[f"{split}_id"]
        rows = np.flatnonzero(np.isin(plan.columns[f"{split}_id"], ids))
        before, after = (p.layout.row_offset(split, 0) for p in (plan, remaining))
        for new, old in enumerate(rows.tolist()):
            yield base + old, before + old * ROW_NBYTES, after + new * ROW_NBYTES
        base += len(plan.records[split])


def seal(fd: int, plan: BuildPlan, crcs: NDArray[np.uint32], *, full_check: bool = False) -> None:
    """Complete the file, every row of which is done, and give it its final name.

    Parameters
    ----------
    fd
        The unfinished file, open and locked.
    plan
        What is in it.
    crcs
        ``(N_train + N_val,) uint32``, CRC-32 of each row.
    full_check
        Read back every row first, and not only one in 64; see `imagenet_subset.building.readback`.

    Raises
    ------
    OutputError
        A file can't be written, or the unfinished one doesn't hold what was written to it.
    """
    paths, layout, n_train = plan.output, plan.layout, plan.rows["train"]
    row_crcs: dict[Split, NDArray[np.uint32]] = {"train": crcs[:n_train], "val": crcs[n_train:]}
    with writing(paths.partial, kept=True):
        if (size := os.fstat(fd).st_size) < layout.size:
            raise changed(paths.partial, f"it was cut short to {size} bytes")
        npz.finish(fd, layout, row_crcs, plan.columns)
        os.ftruncate(fd, layout.size)
        check_written(fd, paths.partial, layout, row_crcs, plan.columns, every_row=full_check)
    with writing(paths.csv, kept=True):
        write_metadata(paths.csv, plan.subset)
    with writing(paths.npz, kept=True), removable(paths.failures) as remove_failures:
        publish(fd, paths.partial, paths.npz)
        if not plan.undecodable:
            remove_failures()
