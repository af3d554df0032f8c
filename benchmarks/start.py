"""How long a build takes until its first row is written, and in all: whole processes, in turns.

The unfinished file is looked at every millisecond: there is a first row as soon as a pixel of row 0
isn't black. Builds go into memory where there is ``/dev/shm``, so that no disk has a part in it.

``python benchmarks/start.py --against OTHER`` has builds of another checkout in the same rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tree import make_tree

ROOT = Path(__file__).parents[1]
"""This checkout."""


def timed(checkout: Path, words: list[str], out: Path) -> tuple[float, float]:
    """Seconds until row 0 is written, and of the whole command."""
    started = time.perf_counter()
    command = [sys.executable, str(checkout / "main.py"), *words, "--out_dir", str(out), "--quiet"]
    first = 0.0
    with subprocess.Popen(command) as building:
        while building.poll() is None:
            if not first and _has_first_row(out):
                first = time.perf_counter() - started
            time.sleep(0.001)
    if building.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return first, time.perf_counter() - started


def _has_first_row(out: Path) -> bool:
    for path in out.glob("*.partial"):
        try:
            with open(path, "rb", buffering=0) as file:
                return any(os.pread(file.fileno(), 150_528, 4096))
        except OSError:  # it has just got its name
            continue
    return False


def main() -> None:
    """Measure, and print medians and the ratio of each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=350, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=9, help="default: %(default)s")
    parser.add_argument("--pipeline", default="auto", help="default: %(default)s")
    parser.add_argument("--data_dir", type=Path, help="photos; generated ones by default")
    parser.add_argument("--subset_name", help="with --data_dir: what is built of it")
    parser.add_argument("--against", type=Path, help="another checkout to build by in turns")
    args = parser.parse_args()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        data_dir, subset = args.data_dir, args.subset_name
        if data_dir is None:
            data_dir, subset = make_tree(Path(folder), args.images, classes=5)
        words = ["--subset_name", str(subset), "--data_dir", str(data_dir), "--device", "cpu"]
        words += ["--splits", "train"] if args.data_dir is None else []
        words += ["--pipeline", args.pipeline]
        checkouts = [ROOT, *([args.against] if args.against else [])]
        found: dict[Path, list[tuple[float, float]]] = {checkout: [] for checkout in checkouts}
        for n in range(args.rounds + 1):
            for k, checkout in enumerate(checkouts):
                times = timed(checkout, words, Path(folder, f"out{n}_{k}"))
                if n:  # the first round warms up
                    found[checkout].append(times)
    for checkout, runs in found.items():
        for what, seconds in zip(("first row", "whole"), zip(*runs, strict=True), strict=True):
            middle = statistics.median(seconds)
            print(f"{what:9} {middle:.3f} s ({min(seconds):.3f} to {max(seconds):.3f})  {checkout}")
    if args.against:
        for k, what in enumerate(("first row", "whole")):
            pairs = zip(found[ROOT], found[args.against], strict=True)
            ratios = [mine[k] / theirs[k] for mine, theirs in pairs]
            print(f"{what} against the other checkout: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
