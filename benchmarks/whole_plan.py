"""Planning all 1,000 classes, 1,331,167 photos: time and peak memory, with and without a list.

::

    python benchmarks/whole_plan.py

The photos are names that a store in memory gives, so that no disk is measured. What it takes to
make the names is measured by itself and taken off. Each measurement has a process of its own.
"""

from __future__ import annotations

import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from imagenet_subset.building.balance import Balance
from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.columns import Location
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.ilsvrc.numbering import rank_key, val_name
from imagenet_subset.npz.names import NpzFiles
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources.base import Photo, PhotoReader, Store
from imagenet_subset.sources.catalogue import list_images
from pipelines.choice import resolve
from pipelines.request import PipelineRequest

ROUNDS = 3


class Names(Store):
    """A complete ILSVRC of names alone."""

    root = "names"

    def photos(self, split: Split, wnids: Collection[str]) -> Iterator[Photo]:
        """All photos of the classes, in an order that isn't that of their numbers."""
        if split == "val":
            for number in range(50_000, 0, -1):
                yield Photo(val_name(number), None, f"val/{val_name(number)}.JPEG")
            return
        for wnid in wnids:
            for stem in stems(wnid):
                yield Photo(stem, wnid, f"train/{wnid}/{stem}.JPEG")

    def open(self) -> PhotoReader:
        """There is nothing to read."""
        raise NotImplementedError

    def describe(self, at: Location, stem: str = "") -> str:
        """The location itself."""
        return str(at)


def stems(wnid: str) -> list[str]:
    """Names of a class's train photos."""
    return [f"{wnid}_{k * 37 % 40_009}" for k in range(class_table()[wnid].num_train_images)]


def write_list(path: Path) -> None:
    """Write a train list of all photos."""
    with open(path, "w", encoding="ascii") as file:
        for wnid, image_class in class_table().items():
            numbered = zip(
                sorted(stems(wnid), key=rank_key),
                itertools.count(image_class.first_train_id),
                strict=False,
            )
            file.writelines(f"{wnid}/{stem} {number}\n" for stem, number in numbered)


def plan_all(train_list: Path | None) -> dict[str, float]:
    """Plan in this process; seconds of each part, and the peak of its memory in MB."""
    subset = Subset("imagenet1k", tuple(class_table().values()))
    started = time.perf_counter()
    for split in SPLITS:
        for _ in Names().photos(split, subset.wnids):
            pass
    named = time.perf_counter()
    listing = list_images(subset, SPLITS, Names(), train_list)
    config = resolve(PipelineRequest("cpu", "pillow"), 1)
    plan = BuildPlan(
        options=BuildOptions(subset.name),
        subset=subset,
        store=Names(),
        records=listing.records,
        config=config,
        versions=config.versions(),
        output=NpzFiles.of_subset(Path(), subset.name),
        missing=0,
        notes=(config.why,),
    )
    assert len(plan.target.layout.rows) == 1_331_167
    planned = time.perf_counter()
    Balance.of(plan)  # what a dry run counts
    counted = time.perf_counter()
    return {
        "names": named - started,
        "plan": planned - named - (named - started),
        "count": counted - planned,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
    }


def main() -> None:
    """Run the benchmark and print the table."""
    if sys.argv[1:2] == ["--inside"]:
        print(json.dumps(plan_all(Path(sys.argv[2]) if sys.argv[2:] else None)))
        return
    print(f"{'':12}{'names s':>9}{'plan s':>9}{'count s':>9}{'peak MB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        write_list(Path(folder, "train_cls.txt"))
        for name, more in (("by rank", []), ("by the list", [f"{folder}/train_cls.txt"])):
            command = [sys.executable, __file__, "--inside", *more]
            runs = [json.loads(subprocess.check_output(command)) for _ in range(ROUNDS)]
            names, plan, count, peak = (
                statistics.median(run[key] for run in runs) for key in runs[0]
            )
            print(f"{name:12}{names:9.2f}{plan:9.2f}{count:9.3f}{peak:9.0f}")


if __name__ == "__main__":
    main()
