"""Labels and ids of an NPZ against its classes and the tables of ILSVRC 2012."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.ilsvrc.classes import class_table, val_ground_truth
from imagenet_subset.ilsvrc.numbering import NAMES_OF_A_CLASS, name_of_id
from imagenet_subset.npz.class_csv import ClassRow
from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.system.text import counted, few, printable

Integers = NDArray[np.int64]


def label_problems(subset: ImagenetSubset) -> Iterator[str]:
    """What is wrong, a line each: of each split the first row that is.

    Ids have to be unique and, in a file of ours, ascending. Labels have to be those of classes,
    and each id an image of that class, where CSV or provenance say what the classes are.

    Raises
    ------
    imagenet_subset.errors.ReadError
        The CSV isn't one of ours, or names other classes than the provenance.
    """
    rows = subset.class_rows
    yield from _table_problems(rows)
    for split in SPLITS:
        ids = subset.ids(split).astype(np.int64)
        labels = subset.labels(split).astype(np.int64)
        yield from _id_problems(split, ids, ascending=subset.made is not None)
        if rows:
            by_name = split == "train" and subset.by_name
            yield from _class_problems(split, ids, labels, rows, by_name=by_name)


def _table_problems(rows: tuple[ClassRow, ...]) -> Iterator[str]:
    for row in rows:
        known = class_table().get(row.WNID)
        if known is None:
            wnid = printable(row.WNID)
            yield f"class {row.subset_label} of the CSV: {wnid} is no class of ILSVRC 2012"
        elif (known.clsloc_id, known.human_label) != (row.original_id, row.human_label):
            yield (
                f"class {row.subset_label} of the CSV: {row.WNID} is {known.clsloc_id}, "
                f"{known.human_label}, and not {row.original_id}, {printable(row.human_label)}"
            )


def _id_problems(split: Split, ids: Integers, *, ascending: bool) -> Iterator[str]:
    if ascending:
        bad = _first(np.diff(ids) <= 0)
        if bad is not None:
            yield (
                f"row {bad + 1} of {split}: id {ids[bad + 1]} after {ids[bad]}; ids ascend, and "
                "none is repeated"
            )
        return
    repeated = np.ones(len(ids), bool)
    repeated[np.unique(ids, return_index=True)[1]] = False
    bad = _first(repeated)
    if bad is not None:
        yield f"row {bad} of {split}: id {ids[bad]} is in an earlier row too"


def _class_problems(
    split: Split, ids: Integers, labels: Integers, rows: tuple[ClassRow, ...], *, by_name: bool
) -> Iterator[str]:
    count = rows[-1].subset_label + 1
    bad = _first((labels < 0) | (labels >= count))
    if bad is not None:
        classes = f"{'is' if count == 1 else 'are'} {counted(count, 'class', 'classes')}"
        yield f"row {bad} of {split}: label {labels[bad]}, but there {classes}"
        return
    found = _class_of_names(ids) if by_name else _class_of_numbers(split, ids)
    bad = _first(_label_of_classes(rows)[found] != labels)
    if bad is not None:
        of_label = [row.human_label for row in rows if row.subset_label == labels[bad]]
        name = printable(few(of_label))
        what = _what_it_is(split, int(ids[bad]), int(found[bad]), by_name=by_name)
        yield f"row {bad} of {split}: label {labels[bad]} ({name}), but {what}"


def _label_of_classes(rows: tuple[ClassRow, ...]) -> Integers:
    """``(1001,)``, label of each class by its CLS-LOC id; -1 for one that isn't in the file."""
    labels = np.full(len(class_table()) + 1, -1, np.int64)
    for row in rows:
        if 0 < row.original_id < len(labels):
            labels[row.original_id] = row.subset_label
    return labels


def _what_it_is(split: Split, image_id: int, clsloc_id: int, *, by_name: bool) -> str:
    """What the image with an id shows, for people."""
    shows = {c.clsloc_id: c.human_label for c in class_table().values()}.get(clsloc_id)
    if by_name:
        named = name_of_id(image_id)
        what = f"{named[1]}, which shows {shows}" if named else "no train photo's name"
        return f"id {image_id} is made of {what}"
    return f"ILSVRC's {split} image {image_id} " + (f"shows {shows}" if shows else "doesn't exist")


def _class_of_names(ids: Integers) -> Integers:
    """CLS-LOC id of the class of each id that is made of a name, 0 for any other id."""
    clsloc_ids = np.array([0, *(c.clsloc_id for c in class_table().values())], np.int64)
    places = -ids // NAMES_OF_A_CLASS
    return clsloc_ids[np.where((places > 0) & (places < len(clsloc_ids)), places, 0)]


def _class_of_numbers(split: Split, ids: Integers) -> Integers:
    """CLS-LOC id of the class of each ILSVRC image, 0 for images that don't exist."""
    if split == "val":
        truth = val_ground_truth().astype(np.int64)
    else:
        classes = class_table().values()
        truth = np.repeat(
            np.array([c.clsloc_id for c in classes], np.int64),
            [c.num_train_images for c in classes],
        )
    exists = (ids >= 1) & (ids <= len(truth))
    return np.where(exists, truth[np.where(exists, ids - 1, 0)], 0)


def _first(wrong: NDArray[np.bool_]) -> int | None:
    rows = np.flatnonzero(wrong)
    return int(rows[0]) if len(rows) else None
