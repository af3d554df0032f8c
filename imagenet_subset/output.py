"""The files of one build in its output folder, from the first byte to the final name."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import zlib
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_subset import journal as journals
from imagenet_subset import npz
from imagenet_subset.errors import (
    OutputError,
    OutputExistsError,
    ReadError,
    ResumeMismatchError,
    printable,
    writing,
)
from imagenet_subset.fileio import (
    locked,
    pread_into,
    publish,
    pwrite_all,
    reserve,
    write_atomically,
)
from imagenet_subset.journal import Journal, differences
from imagenet_subset.metadata import write_metadata
from imagenet_subset.npz import ROW_NBYTES
from imagenet_subset.plan import BuildPlan
from imagenet_subset.reader import open_subset
from imagenet_subset.records import SPLITS, Record


def is_complete(plan: BuildPlan, *, skip_undecodable: bool) -> bool:
    """Whether the finished file that the plan would make stands there already.

    With ``skip_undecodable`` a file that left some of the plan's images out as undecodable will
    do too.

    Raises
    ------
    OutputExistsError
        A file with other contents has its name.
    """
    path = plan.output.npz
    with writing(path):
        if not path.exists():
            return False
    try:
        there = open_subset(path)
        columns = {key: np.asarray(getattr(there, key)) for key in plan.columns}
        provenance: Mapping[str, Any] = there.provenance or {}
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
    if left_out != undecodable or path.stat().st_size != _size(provenance, columns):
        raise _exists(plan, "other images")
    return True


def _left_out(planned: NDArray[np.int32], found: NDArray[np.int32]) -> int:
    """How many of the planned ids weren't found; -1 if anything else was found."""
    return len(planned) - len(found) if np.isin(found, planned).all() else -1


def _size(provenance: Mapping[str, Any], columns: Mapping[str, NDArray[np.int32]]) -> int:
    return npz.Layout.of({s: len(columns[f"{s}_id"]) for s in SPLITS}, provenance).size


def _exists(plan: BuildPlan, why: str) -> OutputExistsError:
    return OutputExistsError(
        f"{printable(plan.output.npz)} exists and is not what this build makes ({why}); "
        "pass --overwrite to replace it, or choose another --out_dir"
    )


def tidy(plan: BuildPlan) -> None:
    """Do what a build that was killed right after it published its file left undone."""
    paths = plan.output
    with writing(paths.journal):
        if paths.journal.exists() and not paths.partial.exists():
            paths.journal.unlink()
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
        with writing(paths.partial):
            fd = stack.enter_context(locked(paths.partial))
            # An empty file is one that we have just created: any journal is that of another.
            if not os.fstat(fd).st_size or not paths.journal.exists():
                _begin(fd, plan)
            try:
                journal = stack.enter_context(_journal(plan))
            except ResumeMismatchError:
                if not overwrite:
                    raise
                _begin(fd, plan)
                journal = stack.enter_context(_journal(plan))
            reserve(fd, plan.layout.size, paths.folder)
        yield fd, journal


def _begin(fd: int, plan: BuildPlan) -> None:
    """Reserve the file and write a journal with nothing done; after a failure, neither."""
    paths = plan.output
    try:
        reserve(fd, plan.layout.size, paths.folder)
        journals.create(paths.journal, plan.fingerprint, sum(plan.rows.values()))
    except BaseException:
        paths.journal.unlink(missing_ok=True)
        paths.partial.unlink()
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
        path = printable(plan.source.path(record))
        writer.writerow([record.split, record.image_id, path, reason])
    with writing(plan.output.failures, kept=True):
        write_atomically(plan.output.failures, text.getvalue().encode())


def move_rows_up(
    fd: int, plan: BuildPlan, remaining: BuildPlan, crcs: NDArray[np.uint32]
) -> NDArray[np.uint32]:
    """Move the rows of the images that remain to their places in the smaller layout, in place.

    A row never moves down the file and rows move in file order, so none is overwritten before it
    has moved. Should the move be cut short, the journal, which stays that of the larger layout,
    no longer agrees with the rows that moved: a rerun decodes those again.

    Returns
    -------
    NDArray[np.uint32]
        CRC-32 of each row in the new order.
    """
    buffer = memoryview(bytearray(ROW_NBYTES))
    before, after = plan.layout, remaining.layout
    kept: list[int] = []
    base = 0
    for split in SPLITS:
        ids = np.array([record.image_id for record in remaining.records[split]], np.int32)
        rows = np.flatnonzero(np.isin(plan.columns[f"{split}_id"], ids))
        source, target = before.row_offset(split, 0), after.row_offset(split, 0)
        for new, old in enumerate(rows.tolist()):
            kept.append(base + old)
            if source + old * ROW_NBYTES == target + new * ROW_NBYTES:
                continue
            with writing(plan.output.partial, kept=True):
                pread_into(fd, buffer, source + old * ROW_NBYTES)
                if zlib.crc32(buffer) != crcs[base + old]:
                    raise OutputError(
                        f"row {old} of X_{split} in {printable(plan.output.partial)} changed "
                        "behind our back; run the same command again to decode it once more"
                    )
                pwrite_all(fd, buffer, target + new * ROW_NBYTES)
        base += len(plan.records[split])
    return crcs[kept]


def seal(fd: int, plan: BuildPlan, crcs: NDArray[np.uint32]) -> None:
    """Complete the file, every row of which is done, and give it its final name."""
    paths, layout = plan.output, plan.layout
    n_train = plan.rows["train"]
    with writing(paths.partial, kept=True):
        npz.finish(fd, layout, {"train": crcs[:n_train], "val": crcs[n_train:]}, plan.columns)
        os.ftruncate(fd, layout.size)
    with writing(paths.csv, kept=True):
        write_metadata(paths.csv, plan.subset)
    with writing(paths.npz, kept=True):
        publish(fd, paths.partial, paths.npz)
        paths.journal.unlink()
        if not plan.undecodable:
            paths.failures.unlink(missing_ok=True)
