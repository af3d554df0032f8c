"""Generated photos with ImageNet's distribution of sizes and kinds, as an ILSVRC tree.

Median 500x375, mean about 110 KB, three quarters 4:4:4, a fifth 4:2:0, 2% gray.
"""

from __future__ import annotations

import os
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.plan import BuildPlan, plan_build
from imagenet_subset.demo.photos import jpeg, photo
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.selection.subset import load_subset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.catalogue import list_images

SIZES = ((500, 375), (500, 333), (375, 500), (500, 400), (640, 480), (400, 300), (1024, 768),
         (333, 500), (500, 500), (256, 256))  # fmt: skip
SHARES = (0.36, 0.17, 0.12, 0.05, 0.06, 0.06, 0.03, 0.07, 0.05, 0.03)


def make_tree(folder: Path, photos: int, classes: int = 30) -> tuple[Path, Path]:
    """Write a tree with train photos only.

    Returns
    -------
    tuple[Path, Path]
        ``Data/CLS-LOC`` and the subset file.
    """
    chosen = list(class_table().values())[:: 1000 // classes][:classes]
    data, lists = folder / "Data/CLS-LOC", folder / "ImageSets/CLS-LOC"
    lists.mkdir(parents=True)
    names, lines = [], []
    for k, c in enumerate(chosen):
        (data / "train" / c.wnid).mkdir(parents=True)
        for i in range(len(range(k, photos, classes))):
            name = f"{c.wnid}/{c.wnid}_{10_000 + i}"
            names.append(data / "train" / f"{name}.JPEG")
            lines.append(f"{name} {c.first_train_id + i}\n")
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(write_photo, names, range(len(names)), chunksize=64))
    (lists / "train_cls.txt").write_text("".join(lines))
    subset = folder / f"made{photos}.txt"
    subset.write_text("".join(f"{c.wnid}\n" for c in chosen))
    return data, subset


def thin_tree(folder: Path, data_dir: Path, subset_name: str, photos: int) -> tuple[Path, Path]:
    """Link to some train photos of a tree, about equally many of each class.

    Returns
    -------
    tuple[Path, Path]
        ``Data/CLS-LOC`` and the subset file.

    Raises
    ------
    ValueError
        The tree has fewer.
    """
    store, subset = open_source(data_dir), load_subset(subset_name)
    records = list_images(subset, ["train"], store).records["train"]
    if photos > len(records):
        raise ValueError(f"{data_dir}: {photos} train photos asked for, {len(records)} found")
    ranks: dict[str, count[int]] = defaultdict(count)
    chosen = sorted(records, key=lambda record: next(ranks[record.wnid]))[:photos]
    data, lists = folder / "Data/CLS-LOC", folder / "ImageSets/CLS-LOC"
    lists.mkdir(parents=True)
    for record in chosen:
        link = data / "train" / record.wnid / f"{record.stem}.JPEG"
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(Path(store.describe(record.location)).absolute())
    lines = [f"{record.wnid}/{record.stem} {record.image_id}\n" for record in chosen]
    (lists / "train_cls.txt").write_text("".join(lines))
    names = folder / "thinned.txt"
    names.write_text("".join(f"{wnid}\n" for wnid in ranks))
    return data, names


def plan_again(data: Path, subset: Path, out: Path, **options: Any) -> BuildPlan:
    """Plan of a build of `make_tree` on the CPU that can be carried out again and again."""
    chosen = BuildOptions(
        subset, data, out, splits=["train"], device="cpu", overwrite=True, **options
    )
    return plan_build(chosen)


def write_photo(path: Path, seed: int) -> None:
    """Write a photo of a size and a kind that the seed draws."""
    rng = np.random.default_rng(seed)
    image = photo(seed, *SIZES[rng.choice(len(SIZES), p=SHARES)])
    kind = rng.random()
    if kind < 0.02:
        image = image.convert("L")
    path.write_bytes(jpeg(image, quality=90, subsampling="4:2:0" if kind > 0.78 else "4:4:4"))
