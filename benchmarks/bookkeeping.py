"""What the journal and the CRCs cost: builds with and without them, in turns.

::

    python benchmarks/bookkeeping.py

Both run in this process with one worker thread. Without them the file's checksums are wrong, so it
is thrown away.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

from tree import make_tree, plan_again

from imagenet_subset.building import worker
from imagenet_subset.building.journal import Journal
from imagenet_subset.building.run import run_build
from imagenet_subset.execution.borrowed import Borrowed

PHOTOS, ROUNDS = 900, 7


def main() -> None:
    """Run the benchmark and print the share of the build's time."""
    with tempfile.TemporaryDirectory() as folder:
        data, subset = make_tree(Path(folder) / "tree", PHOTOS)
        for pipeline in ("pillow", "turbo"):
            plan = plan_again(data, subset, Path(folder) / "out", pipeline=pipeline)
            with ThreadPoolExecutor(1) as executor:

                def build(plan=plan, executor=executor) -> float:
                    start = time.perf_counter()
                    run_build(plan, runner=Borrowed(executor))
                    return time.perf_counter() - start

                build()
                shares = []
                for _ in range(ROUNDS):
                    whole = build()
                    with (
                        mock.patch.object(worker, "crc32", _no_crc),
                        mock.patch.object(Journal, "record", _only_count),
                    ):
                        shares.append(1 - build() / whole)
            low, middle, high = (100 * f(shares) for f in (min, statistics.median, max))
            print(f"{pipeline:7} {middle:.1f}% of the build ({low:.1f} to {high:.1f})")


def _no_crc(_data: object, _start: int = 0) -> int:
    return 0


def _only_count(_journal: Journal, _indices: list[int], _crcs: list[int | None]) -> None:
    pass


if __name__ == "__main__":
    main()
