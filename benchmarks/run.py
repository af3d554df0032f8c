"""Every pipeline and every peer over the same photos, in turns.

::

    python benchmarks/run.py                                   # 4,500 generated photos
    python benchmarks/run.py --data_dir /data/ILSVRC           # real ones of imagenet30
    python benchmarks/run.py --only turbo,pillow --images 350 --out_dir /dev/shm

Each run is a whole process, from its start to its end, with the files in the page cache. The first
round isn't timed: it warms caches, looks at memory, and compares the pixels with torchvision's on
PIL. In the timed rounds the contenders take turns, and every ratio is taken within a round, so that
a machine whose speed drifts doesn't tilt the table. Prints a table and writes it, as CSV with each
round's seconds and as a bar chart, into ``benchmarks/results`` or ``--out``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from contenders import EXACT, FLOOR, Contender, Job, contenders
from measure import Measured
from table import report
from tree import make_tree, thin_tree

from imagenet_subset.selection.subset import load_subset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.catalogue import list_images

HERE = Path(__file__).parent


def main() -> None:
    """Run the benchmark."""
    args = _arguments()
    folder = tempfile.TemporaryDirectory()
    outputs = tempfile.TemporaryDirectory(dir=args.out_dir)
    with folder as scratch, outputs as out:
        job, photos = _job(args, Path(scratch), Path(out))
        everybody = contenders(job, args.pillow_simd, args.against)
        asked = [c for c in everybody if c.name == FLOOR or _is_chosen(c.name, args.only)]
        left_out = {c.name: c.missing for c in asked if c.missing}
        chosen = [c for c in asked if not c.missing]
        able = [c for c in everybody if not c.missing]
        if not any(_is_chosen(c.name, args.only) for c in everybody):
            names = "; ".join(c.name for c in everybody)
            raise SystemExit(f"--only {args.only}: nobody's name has it in it: {names}")
        print(f"{photos} photos, {args.workers} workers", flush=True)
        for name, why in left_out.items():
            print(f"left out: {name} ({why})", flush=True)
        left_out |= _first_round(chosen, _right_pixels(able, job.out), job.out)
        chosen = [c for c in chosen if c.name not in left_out]
        for round_ in range(1, args.rounds + 1):
            for contender in chosen:
                contender.runs.append(_run(contender, job.out, memory=False))
                seconds = contender.runs[-1].seconds
                print(f"round {round_}  {contender.name:26} {seconds:6.2f} s", flush=True)
        report(chosen, left_out, photos, args.workers, args.out)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", type=Path, help="ILSVRC tree of real photos (default: made)")
    parser.add_argument("--subset_name", default="imagenet30", help="with --data_dir")
    parser.add_argument(
        "--splits", default="train,val", help="with --data_dir and without --images"
    )
    parser.add_argument(
        "--images", type=int, help="how many to make, or to take of --data_dir (default: 4500, all)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="those that are timed")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--only", metavar="NAME,NAME", help="parts of names: only these, and the bare decode"
    )
    parser.add_argument("--out_dir", type=Path, help="folder in which they write, such as /dev/shm")
    parser.add_argument(
        "--pillow_simd",
        metavar="PYTHON",
        default=os.environ.get("PILLOW_SIMD"),
        help="a Python that has pillow-simd (default: $PILLOW_SIMD)",
    )
    parser.add_argument(
        "--against",
        type=lambda text: Path(text).absolute(),
        metavar="FOLDER|PYTHON",
        help="another checkout, or a Python with another version: builds in the same rounds",
    )
    parser.add_argument("--out", type=Path, default=HERE / "results", help="for table and chart")
    args = parser.parse_args()
    if args.against and not args.against.exists():
        parser.error(f"--against {args.against}: there is no such folder or program")
    if args.out_dir and not args.out_dir.is_dir():
        parser.error(f"--out_dir {args.out_dir}: there is no such folder")
    return args


def _job(args: argparse.Namespace, scratch: Path, out: Path) -> tuple[Job, int]:
    """What is to be done, and the number of photos."""
    splits: tuple[str, ...] = ("train",)
    if not args.data_dir:
        tree, subset = make_tree(scratch / "tree", args.images or 4500)
    elif args.images:
        tree, subset = thin_tree(scratch / "tree", args.data_dir, args.subset_name, args.images)
    else:
        tree, subset = args.data_dir.absolute(), args.subset_name
        splits = tuple(args.splits.split(","))
    store = open_source(tree)
    listing = list_images(load_subset(subset), list(splits), store)
    paths = [store.describe(r.location) for split in splits for r in listing.records[split]]
    photos = scratch / "photos.txt"
    photos.write_text("\n".join(paths))
    return Job(tree, str(subset), splits, photos, out, args.workers), len(paths)


def _is_chosen(name: str, only: str | None) -> bool:
    return not only or any(part.strip().lower() in name.lower() for part in only.split(","))


def _right_pixels(able: list[Contender], out: Path) -> np.ndarray:
    """Rows as torchvision makes them on PIL, ``(N, 224, 224, 3) uint8``."""
    by_name = {contender.name: contender for contender in able}
    for name in EXACT:
        if name not in by_name:
            continue
        try:
            _run(by_name[name], out, memory=False)
        except subprocess.CalledProcessError as error:
            print(f"not for comparison: {name} ({_why(error)})", flush=True)
            continue
        print(f"compared with: {name}", flush=True)
        return np.concatenate(by_name[name].load(by_name[name].output))
    raise SystemExit("nothing to compare with: Pillow's pool fails too")


def _first_round(chosen: list[Contender], pixels: np.ndarray, out: Path) -> dict[str, str]:
    """Warm everything up, look at memory and pixels; who fails, and why."""
    failed = {}
    for contender in chosen:
        try:
            contender.peak_bytes = _run(contender, out, memory=True).peak_bytes
        except subprocess.CalledProcessError as error:
            failed[contender.name] = _why(error)
            print(f"left out: {contender.name} ({failed[contender.name]})", flush=True)
            continue
        if contender.load:
            contender.difference = _difference(contender.load(contender.output), pixels)
        print(f"looked at {contender.name}", flush=True)
    return failed


def _why(error: subprocess.CalledProcessError) -> str:
    said = error.stderr.strip().splitlines()
    return f"fails: {said[-1] if said else f'exit status {error.returncode}'}"


def _run(contender: Contender, out: Path, *, memory: bool) -> Measured:
    """Run it in an empty folder, with nothing of the one before left to be written to the disk."""
    for path in out.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    os.sync()
    return contender.run(memory=memory)


def _difference(theirs: list[np.ndarray], right: np.ndarray) -> int:
    most = row = 0
    for array in theirs:
        for start in range(0, len(array), 100):
            part = array[start : start + 100].astype(np.int16)
            most = max(most, int(np.abs(part - right[row : row + len(part)]).max()))
            row += len(part)
    if row != len(right):
        raise ValueError(f"{row} rows were written, {len(right)} were asked for")
    return most


if __name__ == "__main__":
    main()
