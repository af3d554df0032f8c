"""The way back: from a row or an id of an NPZ to its class and its JPEG."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from imagenet_subset.errors import ReadError, SourceError
from imagenet_subset.ilsvrc.numbering import name_of_id, val_id, val_name
from imagenet_subset.npz.class_csv import ClassRow
from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.records import Split
from imagenet_subset.system.text import printable


@dataclass(frozen=True, slots=True)
class Located:
    """One image of an NPZ, and where it comes from."""

    split: Split
    row: int
    image_id: int
    label: int
    wnid: str
    """Empty where nothing says it: a file without provenance and CSV whose ids aren't ILSVRC's."""
    name: str
    photo: str
    """Path of the JPEG; without a data folder, as much of it below ``CLS-LOC`` as is known, which
    is nothing for an id that ILSVRC doesn't have, and all for one that is made of a name."""
    saved: str = ""
    """File that its image was written to; empty if to none."""

    def to_dict(self) -> dict[str, Any]:
        """The image as JSON takes it, its class by the names that the CSV gives it."""
        return {
            "split": self.split,
            "row": self.row,
            "id": self.image_id,
            "label": self.label,
            "WNID": self.wnid,
            "human_label": self.name,
            "photo": self.photo,
            "saved": self.saved,
        }


def row_of_id(subset: ImagenetSubset, split: Split, image_id: int) -> int:
    """Row of the image with this id.

    Raises
    ------
    ReadError
        No row has it, or several have.
    """
    rows = np.flatnonzero(subset.ids(split) == image_id)
    where = f"{printable(subset.path)}: {split}_id"
    if len(rows) == 0:
        raise ReadError(f"{where} has no {image_id}; {_range(subset, split)}")
    if len(rows) > 1:
        raise ReadError(
            f"{where} has {image_id} in {len(rows)} rows, {rows[0]} and {rows[1]} first"
        )
    return int(rows[0])


def _range(subset: ImagenetSubset, split: Split) -> str:
    ids = subset.ids(split)
    if not len(ids):
        return f"there are no {split} images"
    return f"the {len(ids):,} ids there are between {ids.min()} and {ids.max()}"


def locate(
    subset: ImagenetSubset,
    split: Split,
    row: int,
    *,
    data_dir: Path | None = None,
    train_list: Path | None = None,
) -> Located:
    """Find out what a row is.

    Parameters
    ----------
    subset
        An open file.
    split, row
        Which image, from 0.
    data_dir
        ImageNet as you have it: ``Data/CLS-LOC`` or a folder above, tars, Kaggle's zip, parquet or
        WebDataset shards; the file, or the folder of the files.
        Without it no file is looked for.
    train_list
        ``train_cls.txt``, where it isn't in its place beside ``data_dir``.

    Raises
    ------
    ReadError
        There is no such row.
    SourceError
        ``data_dir`` isn't ImageNet, or lacks the photo.
    """
    n = len(subset.labels(split))
    if not 0 <= row < n:
        rows = f"rows 0 to {n - 1}" if n else "no rows"
        raise ReadError(f"{printable(subset.path)}: no row {row} in {split}, which has {rows}")
    image_id, label = int(subset.ids(split)[row]), int(subset.labels(split)[row])
    class_row = _class_row(subset, split, image_id, label)
    if data_dir is None:
        photo = _photo_below_cls_loc(split, image_id, class_row.WNID)
    else:
        photo = _find_photo(split, image_id, class_row.WNID, data_dir, train_list)
    return Located(split, row, image_id, label, class_row.WNID, class_row.human_label, photo)


def _class_row(subset: ImagenetSubset, split: Split, image_id: int, label: int) -> ClassRow:
    rows = [row for row in subset.class_rows if row.subset_label == label]
    if len(rows) == 1:
        return rows[0]
    found = _class_of_id(split, image_id, label)
    return found if not rows or found in rows else ClassRow(label, 0, "", "")


def _photo_below_cls_loc(split: Split, image_id: int, wnid: str) -> str:
    if split == "val":
        name = val_name(image_id)
        return f"val/{name}.JPEG" if val_id(name) else ""
    if found := name_of_id(image_id):
        return f"train/{found[0]}/{found[1]}.JPEG"
    return f"train/{wnid}/" if wnid else ""


def _class_of_id(split: Split, image_id: int, label: int) -> ClassRow:
    """Class by the ILSVRC tables, for a file that doesn't say what its labels are."""
    from imagenet_subset.ilsvrc.classes import class_table, val_ground_truth

    truth = val_ground_truth()
    in_val = split == "val" and 1 <= image_id <= len(truth)
    named = name_of_id(image_id) if split == "train" else None
    for entry in class_table().values():
        if (in_val and truth[image_id - 1] == entry.clsloc_id) or (
            split == "train" and (image_id in entry.train_ids or (named and named[0] == entry.wnid))
        ):
            return ClassRow(label, entry.clsloc_id, entry.wnid, entry.human_label)
    return ClassRow(label, 0, "", "")


def _find_photo(
    split: Split, image_id: int, wnid: str, data_dir: Path, train_list: Path | None
) -> str:
    from imagenet_subset.ilsvrc.classes import class_table
    from imagenet_subset.selection.subset import Subset
    from imagenet_subset.sources import open_source
    from imagenet_subset.sources.catalogue import list_images

    store = open_source(data_dir)
    if wnid not in class_table():
        what = f"{printable(wnid)} is no class" if wnid else f"{split}_id {image_id} is no image"
        raise ReadError(f"{what} of ILSVRC 2012, so there is no photo to find")
    only = Subset(wnid, (class_table()[wnid],))
    records = list_images(
        only, [split], store, train_list, on_missing="ignore", by_name=image_id < 0
    ).records[split]
    for row in np.flatnonzero(records.ids == image_id).tolist():
        return store.describe(records.locations[row])
    raise SourceError(
        f"{printable(data_dir)} has no photo of {wnid} with {split}_id {image_id}; "
        "is that the ImageNet this file was built from?"
    )
