"""How builds scale with workers, by each engine, and when the process that leads is the limit.

::

    python benchmarks/scaling.py engines       # 12,000 photos: local processes, Dask, MPI in turns
    python benchmarks/scaling.py workers       # the same photos by 1, 2 and 4 local processes
    python benchmarks/scaling.py parent        # what a shard costs, workers that answer at once
    python benchmarks/scaling.py simulation    # 100 and 1,000 workers that sleep 1/600 s an image

The photos of ``engines`` and ``workers`` are made, with ImageNet's sizes; they repeat 1,500 by hard
links. Dask's scheduler and workers are started before the first build and stay for all; MPI's
ranks and local processes start with each build. In ``parent`` and ``simulation`` nothing is
decoded: see `sleeping`. CPU time there is per shard, in microseconds: ``lead`` is the thread that
leads, of which ``make`` is for tasks and ``take`` for results; ``process`` has its other threads
too, and for the executor of threads the workers themselves. ``engines`` and ``workers`` also write
a chart into ``benchmarks/results``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import psutil
from charts import Bar, Panel, draw
from dask_here import Cluster, dask_cluster
from growth import link_tree
from sleeping import Cost, lead, plan_of_names
from tree import make_tree

from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.shards import local_pool
from imagenet_subset.execution import mpi
from imagenet_subset.execution.borrowed import Borrowed
from imagenet_subset.execution.dask import connected
from imagenet_subset.execution.scheduler import threads_of
from imagenet_subset.npz.crc import crc32
from imagenet_subset.system.files import pread_into
from pipelines.rule import DEFAULT

MADE = 1500
"""Photos that differ."""
RATE = 600.0
"""Images that one core decodes in a second by turbo: 1.6 ms each (`stages.py`)."""
AT_ONCE = float("inf")
SIMULATED = (100, 1000)
"""Workers."""
SIZES = (64, 256)
"""Rows of a shard."""
RANKS = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
HEADER = ("workers", "rows", "shards", "images/s", "make", "take", "lead", "process", "scheduler")


def main() -> None:
    """Run a part of the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("engines", "workers", "parent", "simulation", "rank"))
    parser.add_argument("--photos", type=int, default=12_000, help="of engines and workers")
    parser.add_argument("--rounds", type=int, default=5, help="of engines and workers")
    parser.add_argument("--rows", type=int, default=400_000, help="of each run of the others")
    args = parser.parse_args()
    if args.part == "rank":
        lead_ranks(args.rows)
    elif args.part in ("engines", "workers"):
        with tempfile.TemporaryDirectory() as folder:
            compare_builds(Path(folder), args.part, args.photos, args.rounds)
    else:
        print(f"{'':22}" + "".join(title.rjust(10) for title in HEADER))
        {"parent": saturate, "simulation": simulate}[args.part](args.rows)


def compare_builds(scratch: Path, part: str, photos: int, rounds: int) -> None:
    """Build in turns; print medians, and ratios to the first of each round."""
    make_tree(scratch / "made", MADE)
    made = sorted((scratch / "made").rglob("*.JPEG"))
    data, subset = link_tree(scratch / "tree", made, photos)
    build = [sys.executable, "-m", "imagenet_subset", "--subset_name", str(subset)]
    build += ["--data_dir", str(data), "--out_dir", str(scratch / "out"), "--splits", "train"]
    build += ["--device", "cpu", "--pipeline", "turbo", "--overwrite"]
    with contextlib.ExitStack() as stack:
        if part == "workers":
            contenders = {f"workers: {n}": [*build, "--workers", str(n)] for n in (1, 2, 4)}
        else:
            cluster = stack.enter_context(dask_cluster(scratch, workers=2))
            ranks = ["mpiexec", "-n", "3", "--oversubscribe"]
            contenders = {
                "local": [*build, "--workers", "2"],
                "dask": [*build, "--executor", f"dask:{cluster.file}"],
                "mpi": [*ranks, *build, "--executor", "mpi"],
            }
        runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in contenders}
        for number in range(rounds):
            for name, command in contenders.items():
                before = cpu_seconds()
                runs[name].append((*timed(command), cpu_seconds() - before))
                print(f"round {number + 1}  {name:10}", *(f"{s:7.1f}" for s in runs[name][-1]), "s")
                sys.stdout.flush()
    report(runs, photos)
    chart = Path(__file__).parent / "results" / f"scaling_{part}.png"
    print(draw([panel(runs, photos)], chart))


def cpu_seconds() -> float:
    """CPU time of all commands that have ended, and of Dask's processes, which are still there."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = ended.ru_utime + ended.ru_stime
    for process in psutil.Process().children(recursive=True):
        times = process.cpu_times()
        seconds += times.user + times.system
    return float(seconds)


def timed(command: list[str]) -> tuple[float, float]:
    """Seconds of a build as it says itself, and of the whole command."""
    start = time.perf_counter()
    done = subprocess.run(command, env=RANKS, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    if done.returncode:
        sys.exit(done.stderr)
    found = re.search(r"images in ([\d.]+) s", done.stdout + done.stderr)
    if not found:
        sys.exit(f"no time in: {done.stdout}")
    return float(found[1]), seconds


def report(runs: dict[str, list[tuple[float, float, float]]], photos: int) -> None:
    """Print images/s of the build, of the command, and by CPU second, with ratios to the first."""
    first = next(iter(runs.values()))
    for column, what in enumerate(("build", "command", "CPU")):
        print(f"\n{what:12}{'images/s':>10}{'ratio':>8}{'from':>7}{'to':>6}")
        for name, times in runs.items():
            rate = statistics.median(photos / run[column] for run in times)
            ratios = [a[column] / b[column] for a, b in zip(first, times, strict=True)]
            middle = f"{rate:10.0f}{statistics.median(ratios):8.2f}"
            print(f"{name:12}{middle}{min(ratios):7.2f}{max(ratios):6.2f}")


def panel(runs: dict[str, list[tuple[float, float, float]]], photos: int) -> Panel:
    """Median images/s of the builds, as they say themselves, in the order of the table."""
    bars = []
    for name, times in runs.items():
        rates = [photos / build for build, *_ in times]
        bars.append(Bar(name, statistics.median(rates), (min(rates), max(rates))))
    unit = f"images/s of the build, median and range of {len(times)} rounds"
    return Panel(f"Builds of {photos:,} photos by turbo", unit, bars)


def saturate(rows: int) -> None:
    """Lead workers that answer at once, by each engine: what a shard costs."""
    plan = plan_of_names(Path())
    print_cost("local processes", 2, lead_processes(plan, rows, 2, AT_ONCE))
    for size in SIZES:
        print_cost("threads", 2, lead_threads(plan, rows, 2, AT_ONCE, size))
    for cost, scheduler in lead_dask(plan, rows, (2, 1), AT_ONCE):
        print_cost("Dask", 2, cost, scheduler)
    command = ["mpiexec", "-n", "3", "--oversubscribe", sys.executable, __file__, "rank"]
    told = subprocess.run(
        [*command, "--rows", str(rows)], env=RANKS, check=True, capture_output=True, text=True
    )
    for line in told.stdout.splitlines():
        print_cost("MPI", 2, Cost(**json.loads(line)))
    print(f"to read a row back for the seal, from memory: {1e6 * read_back():.0f} microseconds")


def read_back(rows: int = 4000) -> float:
    """CPU seconds of a row in the last look at a file, which one process does for all rows."""
    row = memoryview(bytearray(DEFAULT.nbytes))
    with tempfile.TemporaryFile() as file:
        for _ in range(rows):
            file.write(row)
        file.flush()
        start = time.thread_time()
        for k in range(rows):
            pread_into(file.fileno(), row, k * len(row))
            crc32(row)
        return (time.thread_time() - start) / rows


def lead_ranks(rows: int) -> None:
    """Be a rank of MPI; the one that leads prints its costs."""
    with mpi.joined() as leads:
        if leads and (runner := mpi.leading()):
            plan = plan_of_names(Path())
            for size in SIZES:
                print(json.dumps(asdict(lead(plan, runner, rows, AT_ONCE, size))))


def simulate(rows: int) -> None:
    """Lead many workers that take as long as turbo would on a core each."""
    plan = plan_of_names(Path())
    print_cost("local processes", 100, lead_processes(plan, rows, 100, RATE))
    for workers in SIMULATED:
        for size in SIZES:
            print_cost("threads", workers, lead_threads(plan, rows, workers, RATE, size))
    for workers in SIMULATED:
        for cost, scheduler in lead_dask(plan, rows, (4, workers // 4), RATE):
            print_cost("Dask", workers, cost, scheduler)


def lead_threads(plan: BuildPlan, rows: int, workers: int, rate: float, size: int) -> Cost:
    """Threads of this process, as an executor of somebody else."""
    with ThreadPoolExecutor(workers) as executor:
        return lead(plan, Borrowed(executor), rows, rate, size)


def lead_processes(plan: BuildPlan, rows: int, workers: int, rate: float) -> Cost:
    """Our own processes; their start is within the time."""
    config = replace(plan.config, processes=workers)
    return lead(plan, local_pool(config), rows, rate, 64)


def lead_dask(
    plan: BuildPlan, rows: int, workers: tuple[int, int], rate: float
) -> Iterator[tuple[Cost, float]]:
    """Threads of Dask's workers, by size of the shards; the CPU seconds of the scheduler too.

    Parameters
    ----------
    workers
        Processes, and threads of each.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        dask_cluster(Path(folder), *workers) as cluster,
        connected(str(cluster.file), lambda _: None) as runner,
    ):
        wait_for(cluster, workers[0] * workers[1])
        for size in SIZES:
            before = cluster.scheduler_seconds()
            cost = lead(plan, runner, rows, rate, size)
            yield cost, cluster.scheduler_seconds() - before


def wait_for(cluster: Cluster, threads: int) -> None:
    """Wait until all threads of the workers have joined."""
    from distributed import Client

    with Client(scheduler_file=str(cluster.file), set_as_default=False) as client:
        while sum(threads_of(client).values()) < threads:
            time.sleep(0.1)


def print_cost(name: str, workers: int, cost: Cost, scheduler: float | None = None) -> None:
    """Print a row of the table."""
    spent = [cost.making, cost.taking, cost.leading, cost.process]
    spent += [] if scheduler is None else [scheduler]
    cells = [f"{workers:,}", f"{cost.images / cost.shards:.0f}", f"{cost.shards:,}"]
    cells += [f"{cost.images / cost.seconds:,.0f}"]
    cells += [f"{cost.microseconds(seconds):.0f}" for seconds in spent]
    print(name.ljust(22) + "".join(cell.rjust(10) for cell in cells), flush=True)


if __name__ == "__main__":
    main()
