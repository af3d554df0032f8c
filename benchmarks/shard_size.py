"""On paper: how busy workers are, by rows per shard, when each shard costs one process its time.

::

    python benchmarks/shard_size.py [--milliseconds 1.5]

The leading process hands shards out one after the other; each goes to the worker that is free
first, and takes it as long as its rows take, give or take a tenth. Printed is the share of the time
in which the workers decode: what is lost is the wait for the leading process, and at the end that
for the last shards. ``chosen`` is what the program would take.
"""

from __future__ import annotations

import argparse
import heapq
import random
import statistics

from imagenet_subset.building.shard_sizes import rows_per_shard

RATE = 600.0
"""Images that a worker decodes in a second: turbo on one core."""
SPREAD, SEEDS = 0.1, range(20)
SIZES = (64, 128, 256, 512)
BUILDS = ((4_500, 2), (45_000, 16), (133_135, 32), (133_135, 64), (133_135, 100),
          (1_331_167, 64), (1_331_167, 100), (1_331_167, 200), (1_331_167, 400))  # fmt: skip
"""Images and workers."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--milliseconds", type=float, default=1.5, help="of a shard (default 1.5)")
    cost = parser.parse_args().milliseconds / 1000
    print("".join(str(title).rjust(10) for title in ("images", "workers", *SIZES, "chosen")))
    for images, workers in BUILDS:
        shares = [f"{busy(images, workers, size, cost):.2f}" for size in SIZES]
        cells = [f"{images:,}", f"{workers}", *shares, str(rows_per_shard(64, images, workers))]
        print("".join(cell.rjust(10) for cell in cells))


def busy(images: int, workers: int, size: int, cost: float) -> float:
    """Share of the time in which workers decode, median over `SEEDS`."""
    ideal = images / RATE / workers
    return statistics.median(ideal / _seconds(images, workers, size, cost, s) for s in SEEDS)


def _seconds(images: int, workers: int, size: int, cost: float, seed: int) -> float:
    chance = random.Random(seed)
    free_at = [0.0] * workers
    handed_out = end = 0.0
    for first in range(0, images, size):
        handed_out += cost
        work = min(size, images - first) / RATE * chance.gauss(1, SPREAD)
        done = max(heapq.heappop(free_at), handed_out) + work
        heapq.heappush(free_at, done)
        end = max(end, done)
    return end


if __name__ == "__main__":
    main()
