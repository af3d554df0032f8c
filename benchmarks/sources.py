"""What it costs to read ImageNet in another form than folders.

::

    python benchmarks/sources.py builds [--photos 4500]   # the same photos from each form
    python benchmarks/sources.py tars                     # planning 100 classes of both tars
    python benchmarks/sources.py zip                      # the same of Kaggle's zip

The archives of a plan have all names of the real ones and no photos; the tars take 5 GB of disk,
for a header takes a page. Each plan is made in a process of its own, with the page cache warm: what
a cold one costs depends on the disk. ``builds`` also draws a chart into ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from charts import Bar, Panel, draw
from measure import Measured, measure
from sparse import write_kaggle_zip, write_official_tars
from tree import make_tree

from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.plan import plan_build
from imagenet_subset.ilsvrc.classes import class_table

HERE = Path(__file__).parent
FORMS = ("official_tars", "kaggle_zip", "hf_parquet", "timm_wds")
"""Of `tests.harness.forms`."""
PLANNED = 100
"""Classes of a plan."""


def main() -> None:
    """Run one of the benchmarks and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("builds", "tars", "zip"))
    parser.add_argument("--photos", type=int, default=4500, help="of the builds")
    parser.add_argument("--classes", type=int, default=1000, help="of the archives")
    parser.add_argument("--pipeline", default="turbo")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--inside", nargs=2, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        print(json.dumps(plan(*args.inside)))
        return
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=results) as folder:  # /tmp is memory on many systems
        if args.what == "builds":
            compare_builds(Path(folder), args.photos, args.pipeline, args.rounds)
        else:
            measure_plans(Path(folder), args.what, args.classes, args.rounds)


def compare_builds(scratch: Path, photos: int, pipeline: str, rounds: int) -> None:
    """Build from each form in turns; print medians, and ratios to the folder's of each round."""
    data, subset = make_tree(scratch / "ILSVRC", photos)
    places = {"folder": data, **make_forms(data, scratch)}
    runs: dict[str, list[Measured]] = {form: [] for form in places}
    for _ in range(rounds):
        for form, place in places.items():
            command = [
                sys.executable, "-m", "imagenet_subset", "--subset_name", str(subset),
                "--data_dir", str(place), "--train_list",
                str(scratch / "ILSVRC/ImageSets/CLS-LOC/train_cls.txt"), "--out_dir",
                str(scratch / "out"), "--device", "cpu", "--pipeline", pipeline, "--workers", "2",
                "--splits", "train", "--overwrite", "--quiet",
            ]  # fmt: skip
            runs[form].append(measure(command))
    print(f"{photos} photos, {pipeline}, 2 workers, {rounds} rounds")
    print(f"{'':16}{'s':>8}{'of the folder':>16}{'lowest':>8}{'highest':>9}{'peak MB':>9}")
    bars = []
    for form, measured in runs.items():
        pairs = zip(measured, runs["folder"], strict=True)
        ratios = [run.seconds / folder.seconds for run, folder in pairs]
        seconds = statistics.median(run.seconds for run in measured)
        peak = max(run.peak_bytes for run in measured) / 1e6
        print(
            f"{form:16}{seconds:8.2f}{statistics.median(ratios):16.2f}{min(ratios):8.2f}"
            f"{max(ratios):9.2f}{peak:9.0f}"
        )
        bars.append(Bar(form, statistics.median(ratios), (min(ratios), max(ratios))))
    title = f"Builds of {photos:,} photos by {pipeline} and 2 workers, by the form of ImageNet"
    unit = f"time, folder = 1, median and range of {rounds} rounds"
    print(draw([Panel(title, unit, bars)], HERE / "results" / "sources.png"))


def make_forms(data: Path, scratch: Path) -> dict[str, Path]:
    """Make the other forms of a tree; what ``--data_dir`` is for each."""
    sys.path.insert(0, str(HERE.parent))  # the tests' makers of forms are in the clone alone
    from tests.harness import forms

    first = next(data.rglob("*.JPEG"))
    (data / "val").mkdir()  # no form is without val, and no build of this reads it
    (data / "val" / "ILSVRC2012_val_00000001.JPEG").write_bytes(first.read_bytes())
    places = {}
    for form in FORMS:
        (scratch / form).mkdir()
        places[form] = forms.FORMS[form](data, scratch / form)
    return places


def measure_plans(scratch: Path, what: str, classes: int, rounds: int) -> None:
    """Plan classes out of an archive in processes of their own; print the medians."""
    wnids = list(class_table())[:: 1000 // classes][:classes]
    wanted = wnids[:: max(1, classes // PLANNED)][:PLANNED]
    subset = scratch / "wanted.txt"
    subset.write_text("".join(f"{wnid}\n" for wnid in wanted))
    place = scratch / "archives"
    place.mkdir()
    if what == "tars":
        write_official_tars(place, wnids)
    else:
        write_kaggle_zip(place / "imagenet-object-localization-challenge.zip", wnids)
    apparent = sum(path.stat().st_size for path in place.iterdir()) / 1e9
    command = [sys.executable, __file__, what, "--inside", str(subset), str(place)]
    runs = [json.loads(subprocess.check_output(command)) for _ in range(rounds)]
    images, seconds, peak = (statistics.median(run[key] for run in runs) for key in runs[0])
    print(
        f"{what} of {classes} classes, {apparent:.0f} GB in name: a plan of {len(wanted)} classes, "
        f"{images:,.0f} images, takes {seconds:.2f} s and {peak:.0f} MB"
    )


def plan(subset: Path, place: Path) -> dict[str, float]:
    """Plan in this process; images, seconds, and the peak of its memory in MB."""
    start = time.perf_counter()
    made = plan_build(BuildOptions(subset, place, subset.parent, device="cpu", pipeline="pillow"))
    return {
        "images": len(made.target.layout.rows),
        "seconds": time.perf_counter() - start,
        "peak_mb": peak_mb(),
    }


def peak_mb() -> float:
    """Peak of this process's memory. What getrusage says may be its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(peak) * 1024 / 1e6


if __name__ == "__main__":
    main()
