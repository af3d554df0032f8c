"""Every pipeline and every peer over the same photos, in turns.

::

    python benchmarks/run.py                          # 4,500 generated photos
    python benchmarks/run.py --data_dir /data/ILSVRC  # real ones of imagenet30

Each run is a whole process, from its start to its end, with the files in the page cache. The
contenders take turns for several rounds, and every ratio is taken within a round, so that a
machine whose speed drifts doesn't tilt the table. Prints a table and writes it, as CSV and as a
bar chart, into ``benchmarks/results`` or ``--out``.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from charts import Bar, Panel, draw
from measure import Measured, measure
from tree import make_tree

from imagenet_subset.reading.subset import open_subset
from imagenet_subset.selection.subset import load_subset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.catalogue import list_images

HERE = Path(__file__).parent
FLOOR = "bare decode"
REFERENCE = "build, pillow"


@dataclass(slots=True)
class Contender:
    """A command that makes the pixels, and how to look at them."""

    name: str
    command: list[str]
    needs: tuple[str, ...]
    """Packages without which it sits out."""
    output: Path
    load: Callable[[Path], np.ndarray] | None
    """Rows of what it wrote, ``(N, 224, 224, 3) uint8``."""
    runs: list[Measured] = field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        """Packages that aren't installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


def contenders(tree: Path, subset: Path, photos: Path, scratch: Path, workers: int) -> list:
    """All of them; the floor first, the reference second."""

    def peer(name: str, script: str, needs: tuple[str, ...], load: object, ext: str) -> Contender:
        out = scratch / f"{script}{ext}"
        command = [sys.executable, str(HERE / "peers" / f"{script}.py"), str(photos), str(out)]
        return Contender(name, [*command, str(workers)], needs, out, load)

    def build(name: str, needs: tuple[str, ...]) -> Contender:
        out = scratch / name
        command = [sys.executable, "-m", "imagenet_subset", "build", "--overwrite", "--quiet"]
        command += ["--subset_name", str(subset), "--data_dir", str(tree), "--out_dir", str(out)]
        command += ["--device", "cpu", "--pipeline", name, "--workers", str(workers)]
        command += ["--splits", "train"]
        return Contender(
            f"build, {name}", command, needs, out / f"{subset.stem}_cls.npz", _train_rows
        )

    torch = ("torch", "torchvision")
    return [
        peer(FLOOR, "bare_decode", ("simplejpeg",), None, ""),
        build("pillow", ()),
        build("turbo", ("simplejpeg", "llvmlite")),
        build("dali", ("nvidia", "nvidia.dali")),
        peer("plain loop, np.savez", "plain_loop", (), lambda p: np.load(p)["X"], ".npz"),
        peer("torchvision DataLoader", "torchvision_loader", torch, _mapped, ".npy"),
        peer("OpenCV INTER_AREA", "opencv_area", ("cv2",), _mapped, ".npy"),
    ]


def _mapped(path: Path) -> np.ndarray:
    return np.load(path, mmap_mode="r")


def _train_rows(path: Path) -> np.ndarray:
    return open_subset(path).X_train


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", help="ILSVRC tree with real photos (default: made)")
    parser.add_argument("--subset_name", default="imagenet30", help="with --data_dir")
    parser.add_argument("--images", type=int, default=4500, help="how many to make")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", help="part of a name: only these contenders, and the reference")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="for table and chart")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if args.data_dir:
            tree, subset = Path(args.data_dir), Path(args.subset_name)
        else:
            tree, subset = make_tree(scratch / "tree", args.images)
        photos = _list_photos(tree, subset, scratch / "photos.txt")
        field_ = [
            c
            for c in contenders(tree, subset, scratch / "photos.txt", scratch, args.workers)
            if not args.only or args.only in c.name or c.name in (FLOOR, REFERENCE)
        ]
        for contender in [c for c in field_ if c.missing]:
            print(f"{contender.name} sits out: {', '.join(contender.missing)} not installed")
            field_.remove(contender)
        reference = next(c for c in field_ if c.name == REFERENCE)
        differences: dict[str, str] = {}
        for round_ in range(args.rounds):
            for contender in field_:
                contender.runs.append(measure(contender.command))
                print(
                    f"round {round_ + 1}  {contender.name:24} {contender.runs[-1].seconds:6.2f} s"
                )
                if round_ == 0 and contender.load:
                    differences[contender.name] = _difference(contender, reference)
                if contender is not reference and contender.output.is_file():
                    contender.output.unlink()
        report(field_, differences, photos, args.workers, args.out)


def _list_photos(tree: Path, subset_name: Path, path: Path) -> int:
    """Write the train photos' paths in the rows' order; their number."""
    subset = load_subset(subset_name)
    store = open_source(tree)
    listing = list_images(subset, ["train"], store)
    paths = [store.describe(record.location) for record in listing.records["train"]]
    path.write_text("\n".join(paths))
    return len(paths)


def _difference(contender: Contender, reference: Contender) -> str:
    theirs, ours = contender.load(contender.output), reference.load(reference.output)
    most = 0
    for start in range(0, len(ours), 100):
        a, b = theirs[start : start + 100].astype(np.int16), ours[start : start + 100]
        most = max(most, int(np.abs(a - b).max()))
    return str(most)


def report(
    field_: list[Contender], differences: dict[str, str], photos: int, workers: int, results: Path
) -> None:
    """Print the table; write it as CSV and as a chart."""
    by_name = {contender.name: contender for contender in field_}
    rows = []
    for contender in field_:
        rates = [photos / run.seconds for run in contender.runs]
        row = {
            "name": contender.name,
            "images/s": f"{statistics.median(rates):.0f}",
            "spread": f"{min(rates):.0f}-{max(rates):.0f}",
        }
        for title, other in (("of floor", FLOOR), ("of pillow", REFERENCE)):
            ratios = [
                theirs.seconds / ours.seconds
                for ours, theirs in zip(
                    contender.runs, by_name[other].runs if other in by_name else [], strict=False
                )
            ]
            row[title] = f"{statistics.median(ratios):.2f}" if ratios else "-"
        row["max diff"] = differences.get(contender.name, "-")
        row["peak MB"] = f"{max(run.peak_bytes for run in contender.runs) / 1e6:.0f}"
        rows.append(row)
    widths = {key: max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]}
    print(f"\n{photos} photos, {workers} workers, {len(field_[0].runs)} rounds")
    for row in [dict(zip(widths, widths, strict=True)), *rows]:
        print("  ".join(row[k].ljust(w) if k == "name" else row[k].rjust(w)
                        for k, w in widths.items()))  # fmt: skip
    results.mkdir(parents=True, exist_ok=True)
    with open(results / "pipelines.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(widths))
        writer.writeheader()
        writer.writerows(rows)
    print(draw([panel(field_, photos, workers)], results / "pipelines.png"))


def panel(field_: list[Contender], photos: int, workers: int) -> Panel:
    """Median images/s of all, the quickest on top."""
    bars = []
    for contender in field_:
        rates = [photos / run.seconds for run in contender.runs]
        ours = contender.name.startswith("build")
        spread = min(rates), max(rates)
        bars.append(Bar(contender.name, statistics.median(rates), spread, ours))
    bars.sort(key=lambda bar: -bar.value)
    title = f"{photos:,} photos into one array by {workers} workers, whole processes"
    return Panel(title, f"images/s, median and range of {len(field_[0].runs)} rounds", bars)


if __name__ == "__main__":
    main()
