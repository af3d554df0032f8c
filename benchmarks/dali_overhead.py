"""What the DALI pipeline adds to the bare DALI graph: the same photos through both, in turns.

::

    python benchmarks/dali_overhead.py

The graph alone is fed with photos that are in memory already, each with its region computed; its
output is dropped. A build reads, routes, feeds, writes, checksums, journals and seals around the
same graph, in a thread of this process, so that neither starts a process or imports DALI.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tree import make_tree, plan_again

from imagenet_subset.building.run import run_build
from imagenet_subset.execution.borrowed import Borrowed
from pipelines.dali.flights import AHEAD
from pipelines.dali.graph import Graph, build_graph, inputs_of, launch
from pipelines.jpeg import JpegHeader, route
from pipelines.kinds import KINDS
from pipelines.rule import DEFAULT

THREADS = 2
BATCH = KINDS["dali", "cpu"].batch_size
Inputs = dict[str, Any]


def main() -> None:
    """Run the benchmark and print images/s of both and the overhead."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
        data, subset = make_tree(Path(folder) / "tree", args.images)
        plan = plan_again(data, subset, Path(folder) / "out", pipeline="dali", workers=THREADS)
        graph = build_graph("cpu", BATCH, THREADS, 0, DEFAULT.crop)
        reader = plan.store.open()
        batches = _batches([reader.read(location) for location in plan.records["train"].locations])

        def bare() -> None:
            _run(graph, batches)

        def build() -> None:
            run_build(plan, runner=Borrowed(executor))

        for warm_up in (bare, build):
            warm_up()
        rounds = [(_seconds(bare), _seconds(build)) for _ in range(args.rounds)]
    overheads = [100 * (whole / alone - 1) for alone, whole in rounds]
    rates = [args.images / statistics.median(times) for times in zip(*rounds, strict=True)]
    print(f"{args.images} photos, DALI on the CPU with {THREADS} threads, {args.rounds} rounds")
    print(f"bare graph {rates[0]:6.0f} images/s")
    print(f"build      {rates[1]:6.0f} images/s")
    low, middle, high = (f(overheads) for f in (min, statistics.median, max))
    print(f"overhead   {middle:.1f}% ({low:.1f} to {high:.1f})")


def _batches(photos: list[bytes]) -> list[Inputs]:
    """What the graph is fed, for photos that are all for DALI."""
    made = []
    for start in range(0, len(photos), BATCH):
        part = photos[start : start + BATCH]
        headers = [header for header in map(route, part) if isinstance(header, JpegHeader)]
        made.append(inputs_of(part, [DEFAULT.crop_roi(h.width, h.height) for h in headers]))
    return made


def _run(graph: Graph, batches: list[Inputs]) -> None:
    """Feed and take batches with as many in hand as `pipelines.dali.pipeline.DaliPipeline` has."""
    for place in range(len(batches) + AHEAD):
        if place < len(batches):
            launch(graph, batches[place])
        if place >= AHEAD:
            graph.outputs()


def _seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
