"""Images that can't be decoded: listed, and left out where that was asked for.

The rows after a gap move up in place. A row never moves down the file and rows move in file order,
so none is overwritten before it has moved. The journal knows how far this came, so that a rerun
undoes what was cut short.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from imagenet_subset.building.journal import Journal
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.readback import changed
from imagenet_subset.building.tasks import UNREADABLE
from imagenet_subset.errors import ImagenetSubsetError, UndecodableError, UnreadableError
from imagenet_subset.npz.crc import crc32
from imagenet_subset.npz.rows import Rows
from imagenet_subset.records import SPLITS, Record
from imagenet_subset.system.files import pread_into, pwrite_all, writing
from imagenet_subset.system.publishing import write_atomically
from imagenet_subset.system.text import counted, printable

Failures = list[tuple[Record, str]]
"""Images that failed, each with the reason."""


def in_row_order(failures: Failures) -> Failures:
    """Sort failures by split and row, as workers report them in any order."""
    return sorted(failures, key=lambda entry: (SPLITS.index(entry[0].split), entry[0].row))


def write_failures(plan: BuildPlan, failures: Failures) -> None:
    """List the images that failed, in ``plan.output.failures``: split, id, path, reason.

    Raises
    ------
    imagenet_subset.errors.OutputError
        The list can't be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["split", "id", "path", "reason"])
    for record, reason in failures:
        path = plan.store.describe(record.location, record.stem)
        writer.writerow([record.split, record.image_id, path, reason])
    with writing(plan.output.failures, kept=True):
        write_atomically(plan.output.failures, os.fsencode(text.getvalue()))


def refusal(
    plan: BuildPlan, unreadable: Failures, undecodable: Failures
) -> ImagenetSubsetError | None:
    """Error that ends the build; None where all that failed may be left out."""
    if unreadable:
        return _unreadable(plan, unreadable, len(undecodable))
    if undecodable and not plan.options.skip_undecodable:
        return _undecodable(plan, undecodable)
    return _empty_class(plan, [record for record, _ in undecodable])


def _empty_class(plan: BuildPlan, undecodable: list[Record]) -> UndecodableError | None:
    """Error for a class that would lose its last image of a split."""
    lost = Counter((record.split, record.wnid) for record in undecodable)
    for split, records in plan.records.items():
        for place, images in enumerate(np.bincount(records.classes).tolist()):
            image_class = plan.subset.classes[place]
            if images and lost[split, image_class.wnid] == images:
                of_class = counted(images, f"{split} image")
                return UndecodableError(
                    f"{of_class} of {image_class.wnid} ({image_class.title}) can't be decoded, "
                    "and without them the class has none; all are listed in "
                    f"{printable(plan.output.failures)}; put good files in place and run the same "
                    f"command again, or take {image_class.wnid} out of the subset file"
                )
    return None


def _undecodable(plan: BuildPlan, failures: Failures) -> UndecodableError:
    record, reason = failures[0]
    return UndecodableError(
        f"{counted(len(failures), 'image')} can't be decoded, the first "
        f"{plan.path(record)} ({reason}); "
        f"all are listed in {printable(plan.output.failures)}; put good files in place and run "
        "the same command again (only these are decoded), or add --skip_undecodable to finish "
        "without them"
    )


def _unreadable(plan: BuildPlan, unreadable: Failures, undecodable: int) -> UnreadableError:
    record, reason = unreadable[0]
    others = f", and {counted(undecodable, 'image')} can't be decoded" if undecodable else ""
    return UnreadableError(
        f"{counted(len(unreadable), 'image')} can't be read, the first "
        f"{plan.path(record)} ({reason.removeprefix(UNREADABLE)}){others}; all "
        f"are listed in {printable(plan.output.failures)}; put that right and run the same "
        "command again (only these are decoded); where a photo is lost for good, remove it and "
        "build anew by --missing skip --overwrite, which for train photos takes train_cls.txt"
    )


def move_rows_up(fd: int, path: Path, before: Rows, after: Rows, journal: Journal) -> None:
    """Move the rows that are done to their places in the smaller layout, in place.

    Parameters
    ----------
    fd, path
        The unfinished file, open, and its name.
    before, after
        Rows of all images, and of those that are done.

    Raises
    ------
    imagenet_subset.errors.OutputError
        The file can't be read or written, or a row isn't what was written.
    """
    buffer = memoryview(bytearray(before.nbytes))
    crcs = journal.crcs
    for count, (index, old, new) in enumerate(_moves(before, after, journal), 1):
        if old == new:
            continue
        with writing(path, kept=True):
            pread_into(fd, buffer, old)
            if crc32(buffer) != crcs[index]:
                raise changed(path, f"the row at byte {old} differs")
            journal.note_moved(count)
            pwrite_all(fd, buffer, new)


def move_rows_back(fd: int, plan: BuildPlan, journal: Journal) -> None:
    """Undo a `move_rows_up` that was cut short, so that no row has to be decoded again.

    The last row to move is the first to go back, which overwrites only places that rows have left.
    A row that was torn by the cut is in neither place; its CRC-32 tells.
    """
    if not journal.moved:
        return
    after, path = plan.without(np.flatnonzero(~journal.done)).layout.rows, plan.output.partial
    buffer = memoryview(bytearray(after.nbytes))
    crcs, moves = journal.crcs, list(_moves(plan.layout.rows, after, journal))
    for index, old, new in reversed(moves[: journal.moved]):
        with writing(path, kept=True):
            if pread_into(fd, buffer, new) == len(buffer) and crc32(buffer) == crcs[index]:
                pwrite_all(fd, buffer, old)
    journal.note_moved(0)


def _moves(before: Rows, after: Rows, journal: Journal) -> Iterator[tuple[int, int, int]]:
    """Index in the journal, old and new offset of each row that is done, in file order."""
    for place, index in enumerate(np.flatnonzero(journal.done).tolist()):
        yield index, before.offset(index), after.offset(place)
