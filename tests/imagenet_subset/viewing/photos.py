"""An NPZ of generated photos with the names of ILSVRC's classes, to be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from imagenet_subset.demo.photos import photo
from imagenet_subset.ilsvrc.classes import class_table


def write_npz(path: Path, classes: int, per_class: tuple[int, int], side: int = 224) -> Path:
    """NPZ of another program with the first classes of ILSVRC, and its CSV."""
    some = np.stack([np.asarray(photo(seed, side, side)) for seed in range(60)])
    arrays: dict[str, Any] = {}
    for split, n in zip(("train", "val"), per_class, strict=True):
        y = np.repeat(np.arange(classes, dtype=np.int32), n)
        arrays |= {f"X_{split}": some[(np.arange(len(y)) * 7 + n) % 60], f"y_{split}": y}
        arrays[f"{split}_id"] = np.arange(1, len(y) + 1, dtype=np.int32) * 10
    np.savez(path, **arrays)
    rows = [
        f"{label},{entry.clsloc_id},{entry.wnid},{entry.human_label}\n"
        for label, entry in zip(range(classes), class_table().values(), strict=False)
    ]
    csv = path.with_name(f"{path.stem}_metadata.csv")
    csv.write_text("subset_label,original_id,WNID,human_label\n" + "".join(rows))
    return path
