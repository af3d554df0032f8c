"""The CSV beside the NPZ: one line per class."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from imagenet_subset.classes import Subset
from imagenet_subset.fileio import write_atomically

COLUMNS = ("subset_label", "original_id", "WNID", "human_label")


def write_metadata(path: Path, subset: Subset) -> None:
    """Write the CSV: label, ILSVRC 2015 CLS-LOC id, WordNet ID and name of each class.

    Raises
    ------
    OSError
        It can't be written; nothing is left under its name that wasn't there before.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for label, c in enumerate(subset.classes):
        writer.writerow([label, c.clsloc_id, c.wnid, c.human_label])
    write_atomically(path, text.getvalue().encode())
