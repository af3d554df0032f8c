"""How long a build takes until its first row is written, and in all: whole processes, in turns.

The unfinished file is looked at every two milliseconds: there is a first row as soon as a page in
the middle of row 0 isn't black. Builds go into memory where there is ``/dev/shm``, so that no disk
has a part in it.

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
            time.sleep(0.002)
    if building.returncode or not first:
        raise SystemExit(f"{' '.join(command)}: it failed, or was too quick to be seen at work")
    return first, time.perf_counter() - started


def _has_first_row(out: Path) -> bool:
    for path in out.glob("*.partial"):
        try:
            with open(path, "rb", buffering=0) as file:
                return bool(os.pread(file.fileno(), 4096, 65_536).strip(b"\0"))
        except OSError:  # it has just got its name
            continue
    return False


Times = list[tuple[float, float]]


def main() -> None:
    """Measure, and print medians and the ratio of each round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=350, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=9, help="default: %(default)s")
    parser.add_argument("--pipeline", default="auto", help="default: %(default)s")
    parser.add_argument("--against", type=Path, help="another checkout to build by in turns")
    args = parser.parse_args()
    checkouts = [ROOT, *([args.against] if args.against else [])]
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        data_dir, subset = make_tree(Path(folder), args.images, classes=5)
        words = ["--subset_name", str(subset), "--data_dir", str(data_dir), "--splits", "train"]
        words += ["--device", "cpu", "--pipeline", args.pipeline]
        found = in_turns(checkouts, words, args.rounds, Path(folder))
    for k, what in enumerate(("first row", "whole")):
        for checkout, times in zip(checkouts, found, strict=True):
            seconds = [time[k] for time in times]
            low, high = min(seconds), max(seconds)
            middle = statistics.median(seconds)
            print(f"{what:9} {middle:.3f} s ({low:.3f} to {high:.3f})  {checkout}")
        for theirs in found[1:]:
            ratios = [mine[k] / other[k] for mine, other in zip(found[0], theirs, strict=True)]
            print(f"{what:9} {statistics.median(ratios):.2f} of the other checkout's")


def in_turns(checkouts: list[Path], words: list[str], rounds: int, folder: Path) -> list[Times]:
    """Times of each checkout's builds, round by round; a first round warms up."""
    found: list[Times] = [[] for _ in checkouts]
    for n in range(rounds + 1):
        for k, checkout in enumerate(checkouts):
            times = timed(checkout, words, folder / f"out{n}_{k}")
            if n:
                found[k].append(times)
    return found


if __name__ == "__main__":
    main()
