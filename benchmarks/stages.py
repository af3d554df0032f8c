"""Where a build's time goes: each stage of a photo, and the build's start and end.

::

    python benchmarks/stages.py                # generated photos
    python benchmarks/stages.py --images 4500

The stages are timed on one core, over the same photos; the start and the end are those
of a whole build with 2 workers, seen from the parent.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from tree import make_tree

ROUNDS = 5
"""The stages take turns, so that a machine whose speed drifts is unfair to none."""


def main() -> None:
    """Run the benchmark and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1500)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data, subset = make_tree(Path(folder) / "tree", args.images)
        _start_and_end(data, subset, Path(folder) / "out")
        _stages(sorted(data.glob("train/*/*.JPEG")), Path(folder) / "rows")


def _stages(paths: list[Path], target: Path) -> None:
    from imagenet_subset.npz.crc import crc32
    from pipelines.jpeg import route
    from pipelines.per_image import PillowPipeline
    from pipelines.rule import DEFAULT
    from pipelines.turbo.pipeline import TurboPipeline

    turbo, pillow = TurboPipeline(), PillowPipeline()
    out = np.empty(DEFAULT.shape, np.uint8)
    memory = np.empty(64 << 20, np.uint8)
    photos = [path.read_bytes() for path in paths]
    fd = os.open(target, os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, out.nbytes * len(paths))
    rows = range(0, out.nbytes * len(paths), out.nbytes)
    stages = (
        ("read the file", paths, lambda path: path.read_bytes()),
        ("sniff the header", photos, route),
        ("decode alone (simplejpeg)", photos,
         lambda data: simplejpeg.decode_jpeg(data, "RGB", buffer=memory)),
        ("turbo: sniff, decode, resample", photos, lambda data: turbo.decode_into(data, out)),
        ("Pillow: decode, resample", photos, lambda data: pillow.decode_into(data, out)),
        ("CRC-32 of the row", photos, lambda _: crc32(out)),
        ("write the row", rows, lambda offset: os.pwrite(fd, out, offset)),
    )  # fmt: skip
    rounds = [[_milliseconds(step, items) for _, items, step in stages] for _ in range(ROUNDS)]
    for (name, _, _), times in zip(stages, zip(*rounds, strict=True), strict=True):
        print(f"{name:32} {statistics.median(times):7.3f} ms per photo")
    os.close(fd)


def _milliseconds(step: Callable[[Any], object], items: Sequence[Any]) -> float:
    start = time.perf_counter()
    for item in items:
        step(item)
    return 1000 * (time.perf_counter() - start) / len(items)


def _start_and_end(data: Path, subset: Path, out: Path) -> None:
    from imagenet_subset.building.options import BuildOptions
    from imagenet_subset.building.plan import plan_build
    from imagenet_subset.building.run import run_build

    done: list[float] = []
    start = time.perf_counter()
    plan = plan_build(
        BuildOptions(subset, data, out, splits=["train"], device="cpu", pipeline="turbo", workers=2)
    )
    planned = time.perf_counter()
    run_build(plan, progress=lambda shard: shard.crcs and done.append(time.perf_counter()))
    end = time.perf_counter()
    print(f"plan {planned - start:.2f} s; first shard after {done[0] - planned:.2f} s; "
          f"all shards after {done[-1] - planned:.2f} s; seal {end - done[-1]:.2f} s")  # fmt: skip


if __name__ == "__main__":
    main()
