"""Taking up a build that is done but for one photo, against reading its unfinished file once.

::

    python benchmarks/resume.py              # 10 GB; needs as much room, and a few minutes
    python benchmarks/resume.py --images 7000

One photo is empty at first, so that the build ends unsealed. Then, in turns: the file is read once
by as many threads as the build has workers; and the photo is mended and the same command run again,
start of processes, last photo and sealing included. Before each the file is written out and dropped
from the page cache, as far as the system does that.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from growth import link_tree
from tree import make_tree

WORKERS = 2
BLOCK = 1 << 22


def main() -> None:
    """Run the benchmark and print both times and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=67_000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=results) as folder:  # /tmp is memory on many systems
        rounds = _rounds(Path(folder), args.images, args.rounds)
    read, resume = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratios = [theirs / ours for ours, theirs in rounds]
    print(f"{args.images} images, {WORKERS} workers, {args.rounds} rounds")
    print(f"reading once {read:6.2f} s")
    print(f"resuming     {resume:6.2f} s")
    low, middle, high = (f(ratios) for f in (min, statistics.median, max))
    print(f"ratio        {middle:.2f} ({low:.2f} to {high:.2f})")


def _rounds(scratch: Path, images: int, count: int) -> list[tuple[float, float]]:
    """Seconds of reading and of resuming, round by round."""
    make_tree(scratch / "photos", 1000)
    photos = sorted((scratch / "photos").rglob("*.JPEG"))
    data, subset = link_tree(scratch / "tree", photos, images)
    last = sorted(data.glob("train/*/*.JPEG"))[-1]
    last.unlink()
    last.touch()
    command = [
        sys.executable, "-m", "imagenet_subset", "--subset_name", str(subset), "--data_dir",
        str(data), "--out_dir", str(scratch / "out"), "--device", "cpu", "--workers", str(WORKERS),
        "--splits", "train", "--quiet",
    ]  # fmt: skip
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if "1 image can't be decoded" not in done.stderr:
        raise RuntimeError(f"the build should have lacked its last photo alone: {done.stderr}")
    last.unlink()
    os.link(photos[0], last)
    npz = scratch / "out" / f"{subset.stem}_cls.npz"
    partial, journal = npz.with_name(f"{npz.name}.partial"), npz.with_name(f"{npz.name}.journal")
    shutil.copy(journal, scratch / "journal")
    found = []
    for _ in range(count):
        _drop_from_cache(partial)
        start = time.perf_counter()
        _read(partial)
        read = time.perf_counter() - start
        _drop_from_cache(partial)
        start = time.perf_counter()
        subprocess.run(command, check=True)
        found.append((read, time.perf_counter() - start))
        os.rename(npz, partial)
        shutil.copy(scratch / "journal", journal)
    return found


def _read(path: Path) -> None:
    """Read a file once, in neighbouring blocks and on all workers."""
    with ThreadPoolExecutor(WORKERS) as pool, open(path, "rb", buffering=0) as file:

        def block(start: int) -> None:
            os.pread(file.fileno(), BLOCK, start)

        list(pool.map(block, range(0, path.stat().st_size, BLOCK)))


def _drop_from_cache(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
