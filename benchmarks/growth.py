"""Cost as the work grows: 1,000, 4,000 and 16,000 photos, with 1 and with 2 workers.

::

    python benchmarks/growth.py [--pipeline turbo]

Time per image and peak memory should stay flat. The photos of the larger trees repeat those of the
smallest by hard links: the work is the same, and making them takes no minutes.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import tempfile
from pathlib import Path

from charts import Bar, Panel, draw
from measure import Measured, measure
from tree import make_tree

from imagenet_subset.ilsvrc.classes import class_table

HERE = Path(__file__).parent
SIZES = (1000, 4000, 16000)


def main() -> None:
    """Run the benchmark, print the table and write it as CSV and as a chart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pipeline", default="turbo")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    runs: dict[tuple[int, int], list[Measured]] = {}
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        make_tree(scratch / "photos", SIZES[0])
        photos = sorted((scratch / "photos").rglob("*.JPEG"))
        trees = {size: link_tree(scratch / str(size), photos, size) for size in SIZES}
        for _ in range(args.rounds):
            for size, (data, subset) in trees.items():
                for workers in (1, 2):
                    command = [
                        sys.executable,
                        "-m",
                        "imagenet_subset",
                        "--subset_name",
                        str(subset),
                    ]
                    command += ["--data_dir", str(data), "--out_dir", str(scratch / "out")]
                    command += ["--device", "cpu", "--pipeline", args.pipeline, "--splits", "train"]
                    command += ["--workers", str(workers), "--overwrite", "--quiet"]
                    runs.setdefault((size, workers), []).append(measure(command))
    rows = [("images", "workers", "ms per image", "spread", "peak MB")]
    for (size, workers), measured in runs.items():
        times = [1000 * run.seconds / size for run in measured]
        peak = max(run.peak_bytes for run in measured) / 1e6
        spread = f"{min(times):.2f}-{max(times):.2f}"
        row = (size, workers, f"{statistics.median(times):.2f}", spread, f"{peak:.0f}")
        rows.append(tuple(map(str, row)))
    for row in rows:
        print("".join(cell.rjust(14) for cell in row))
    (HERE / "results").mkdir(exist_ok=True)
    with open(HERE / "results" / "growth.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    print(draw(panels(runs, args.pipeline), HERE / "results" / "growth.png"))


def panels(runs: dict[tuple[int, int], list[Measured]], pipeline: str) -> list[Panel]:
    """Time per image, and peak memory, of each size and number of workers."""
    times, peaks = [], []
    for (size, workers), measured in sorted(runs.items(), key=lambda run: run[0][::-1]):
        name = f"{size:,} images, {workers} worker{'s' if workers > 1 else ''}"
        each = [1000 * run.seconds / size for run in measured]
        times.append(Bar(name, statistics.median(each), (min(each), max(each))))
        peaks.append(Bar(name, max(run.peak_bytes for run in measured) / 1e6))
    unit = f"ms per image, median and range of {len(next(iter(runs.values())))} rounds"
    return [
        Panel(f"Whole builds by {pipeline}, as the work grows", unit, times),
        Panel("Their memory", "MB at the peak, all processes", peaks),
    ]


def link_tree(folder: Path, photos: list[Path], size: int) -> tuple[Path, Path]:
    """Write a tree of ``size`` photos over 30 classes or more, each a link to one of ``photos``."""
    classes = list(class_table().values())[: max(30, size // 600)]  # of 732 photos at least
    data, lists = folder / "Data/CLS-LOC", folder / "ImageSets/CLS-LOC"
    lists.mkdir(parents=True)
    lines = []
    for k in range(size):
        c, i = classes[k % len(classes)], k // len(classes)
        name = f"{c.wnid}/{c.wnid}_{10_000 + i}"
        path = data / "train" / f"{name}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(photos[k % len(photos)], path)
        lines.append(f"{name} {c.first_train_id + i}\n")
    (lists / "train_cls.txt").write_text("".join(lines))
    subset = folder / f"grown{size}.txt"
    subset.write_text("".join(f"{c.wnid}\n" for c in classes))
    return data, subset


if __name__ == "__main__":
    main()
