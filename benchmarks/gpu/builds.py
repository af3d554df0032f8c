"""Whole builds in files, by processes a card and load; then the CPU pipelines."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.gpu.rates import GpuUse
from benchmarks.gpu.setting import Numbers, Setting, descendants, memory_of, say
from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.plan import BuildPlan, plan_build
from imagenet_subset.building.run import run_build
from imagenet_subset.building.tasks import ShardResult
from imagenet_subset.ilsvrc.classes import class_table


@dataclass(frozen=True, slots=True)
class Case:
    """A build to time."""

    device: str
    pipeline: str
    photos: int
    processes: int = 0
    """Of DALI on each card; 0 for what the program takes."""
    load: str = "split"
    batch: int = 0


def build(setting: Setting) -> Numbers:
    """Time whole builds; the output is in memory where there is room."""
    count = setting.build_photos or (49_152 if setting.on_gpu else 300)
    room = shutil.disk_usage("/dev/shm").free > count * 160_000 + (8 << 30)
    fast = Path("/dev/shm") if room else setting.work
    found: Numbers = {"photos": count, "output_on": str(fast), "builds": []}
    with tempfile.TemporaryDirectory(dir=setting.work) as folder:
        data, subset = tree(setting, Path(folder) / "tree", count)
        for case in _cases(setting, count):
            row = asdict(case) | _one_build(data, subset, fast, case)
            found["builds"].append(row)
            say(row)
            setting.keep(found)
    return found


def _cases(setting: Setting, count: int) -> list[Case]:
    if not setting.on_gpu:
        few = min(count, 200)
        return [
            *(Case("cpu", "dali", count, k, batch=16) for k in (1, 2)),
            *(Case("cpu", pipeline, few) for pipeline in ("turbo", "pillow", "dali")),
        ]
    few = max(200, count // 4)
    return [
        *(Case("gpu", "dali", count, k) for k in (1, 2, 4, 6, 8)),
        *(Case("gpu", "dali", count, k, load) for load in ("engine", "cuda") for k in (1, 4)),
        *(Case("cpu", pipeline, few) for pipeline in ("turbo", "pillow", "dali")),
    ]


def tree(setting: Setting, folder: Path, count: int) -> tuple[Path, Path]:
    """ILSVRC tree whose files are links to the photos, over and over."""
    chosen = [c for c in class_table().values() if c.num_train_images == 1300][::20][:40]
    data, lists = folder / "Data/CLS-LOC", folder / "ImageSets/CLS-LOC"
    lists.mkdir(parents=True)
    copies = folder / "photos"
    copies.mkdir()
    made = [shutil.copy(p, copies / f"{k}.JPEG") for k, p in enumerate(setting.files())]
    lines, ring = [], itertools.cycle(made)
    for c in chosen:
        (data / "train" / c.wnid).mkdir(parents=True)
        for i in range(-(-count // len(chosen))):
            name = f"{c.wnid}/{c.wnid}_{10_000 + i}"
            os.link(next(ring), data / "train" / f"{name}.JPEG")
            lines.append(f"{name} {c.first_train_id + i}\n")
    (lists / "train_cls.txt").write_text("".join(lines))
    subset = folder / "made.txt"
    subset.write_text("".join(f"{c.wnid}\n" for c in chosen))
    return data, subset


def _one_build(data: Path, subset: Path, fast: Path, case: Case) -> Numbers:
    with tempfile.TemporaryDirectory(dir=fast) as out, GpuUse() as use:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.gpu.builds",
             str(data), str(subset), out, json.dumps(asdict(case))],
            text=True, capture_output=True,
        )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if not lines:
        *_, last = done.stderr.strip().splitlines() or [""]
        return {"error": f"exit status {done.returncode}: {last}", "stderr": done.stderr[-1500:]}
    return json.loads(lines[-1]) | use.most() | {"stderr": done.stderr[-500:]}


def _plan(data: str, subset: str, out: str, case: Case) -> BuildPlan:
    chosen: Numbers = {"dali_processes": case.processes} if case.processes else {}
    if case.batch:
        chosen["batch_size"] = case.batch
    options = BuildOptions(
        subset,
        data,
        out,
        splits=["train"],
        overwrite=True,
        device=case.device,
        pipeline=case.pipeline,
        **chosen,
    )
    plan = plan_build(options)
    records = plan.records["train"]
    few = records.take(np.arange(min(case.photos, len(records))))
    config = replace(plan.config, load=case.load)
    return replace(plan, config=config, records=plan.records | {"train": few})


def main(data: str, subset: str, out: str, case: Case) -> None:
    """In a process of its own: one build; prints its figures."""
    start = time.perf_counter()
    plan = _plan(data, subset, out, case)
    planned = time.perf_counter()
    times: list[tuple[float, int]] = []
    peak, over = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.2):
            peak = max(peak, memory_of(descendants(os.getpid())))

    def progress(shard: ShardResult) -> None:
        if shard.crcs:
            times.append((time.perf_counter(), len(shard.crcs)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        result = run_build(plan, progress=progress)
    finally:
        over.set()
        watcher.join()
    seconds = time.perf_counter() - planned
    print(json.dumps({
        "images": result.decoded,
        "seconds": round(seconds, 3),
        "images/s": round(result.decoded / seconds),
        "steady images/s": _steady(times, plan.config.processes),
        "processes in all": plan.config.processes,
        "threads": plan.config.threads,
        "rows a shard": plan.config.shard_size,
        "first shard s": round(times[0][0] - planned, 2),
        "plan s": round(planned - start, 2),
        "fallbacks": len(result.fallbacks),
        "notices": result.notices[:5],
        "memory_MB": peak // 1_000_000,
    }))  # fmt: skip


def _steady(times: list[tuple[float, int]], processes: int) -> int | None:
    """Images/s between the first shards that came back and the last: without the start."""
    skip = max(1, processes)
    if len(times) < skip + 2:
        return None
    images = sum(count for _, count in times[skip:])
    return round(images / (times[-1][0] - times[skip - 1][0]))


if __name__ == "__main__":
    main(*sys.argv[1:4], Case(**json.loads(sys.argv[4])))
