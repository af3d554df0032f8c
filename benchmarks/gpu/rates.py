"""Rates: the bare graph by load, threads and batch; each host stage of one process."""

from __future__ import annotations

import itertools
import os
import subprocess
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu.setting import Numbers, Setting, say
from imagenet_subset.npz.crc import crc32
from imagenet_subset.system.files import pwrite_all
from pipelines.dali.flights import AHEAD
from pipelines.dali.graph import build_graph, inputs_of, launch
from pipelines.dali.pipeline import DaliPipeline
from pipelines.jpeg import has_stray_marker, route
from pipelines.kinds import LOADS
from pipelines.rule import DEFAULT

ROW_NBYTES = DEFAULT.nbytes


class GpuUse:
    """Samples use and memory of the GPU while a block runs."""

    def __enter__(self) -> GpuUse:
        self.rows: list[list[float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def _sample(self) -> None:
        asked = "utilization.gpu,utilization.jpeg,memory.used"
        while not self._stop.wait(0.4):
            command = ["nvidia-smi", f"--query-gpu={asked}", "-i", "0"]
            try:
                done = subprocess.run(
                    [*command, "--format=csv,noheader,nounits"],
                    capture_output=True, text=True, timeout=5,
                )  # fmt: skip
            except (OSError, subprocess.SubprocessError):
                return
            if done.returncode:  # an older nvidia-smi doesn't know of the JPEG engine
                asked = "utilization.gpu,utilization.gpu,memory.used"
                continue
            row = [float(x) if x.strip().isdigit() else -1 for x in done.stdout.split(",")]
            self.rows += [row] if len(row) == 3 else []

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def most(self) -> Numbers:
        """The most of each that was seen; nothing without ``nvidia-smi``."""
        if not self.rows:
            return {}
        gpu, jpeg, memory = (max(column) for column in zip(*self.rows, strict=True))
        mean = sum(row[1] for row in self.rows) / len(self.rows)
        return {"gpu_%": gpu, "jpeg_%": jpeg, "jpeg_%_mean": round(mean, 1), "gpu_MiB": memory}


def fed(data: list[bytes], size: int, batches: int) -> list[dict[str, Any]]:
    """Batches as the graph is fed, of photos that are for DALI."""
    headers = [route(photo) for photo in data]
    ring = itertools.cycle(range(len(data)))
    made = []
    for _ in range(batches):
        which = list(itertools.islice(ring, size))
        regions = [DEFAULT.crop_roi(headers[k].width, headers[k].height) for k in which]
        made.append(inputs_of([data[k] for k in which], regions))
    return made


def bare_rate(
    setting: Setting, data: list[bytes], size: int, threads: int, load: str, first: int = 0
) -> float:
    """Images/s of the project's own graph, fed from memory, output dropped on the device.

    ``first``: images of the graph's first batch; 0 for a full one, as in a build.
    """
    graph = build_graph(setting.device, size, threads, 0, DEFAULT.crop, load)
    batches = fed(data, size, max(4, min(16, 4096 // size)))
    if first:
        launch(graph, {name: value[:first] for name, value in batches[0].items()})
        graph.outputs()
    for batch in batches[:3]:  # memory, modules
        launch(graph, batch)
        graph.outputs()
    ring = itertools.cycle(batches)
    for _ in range(AHEAD + 1):
        launch(graph, next(ring))
    done, start = 0, time.perf_counter()
    while True:
        graph.outputs()
        done += size
        spent = time.perf_counter() - start
        if spent > (2.0 if setting.on_gpu else 0.5):
            break
        launch(graph, next(ring))
    for _ in range(AHEAD):
        graph.outputs()
    return done / spent


def bare(setting: Setting) -> Numbers:
    """The graph alone, by load, then by threads and batch; then the pipeline in memory."""
    data = setting.for_dali()
    found: Numbers = {"rates": []}

    def at(load: str, threads: int, size: int, first: int = 0) -> float:
        row: Numbers = {"load": load, "threads": threads, "batch": size, "first": first or size}
        with GpuUse() as use:
            try:
                rate = bare_rate(setting, data, size, threads, load, first)
                row["images/s"] = round(rate)
            except Exception as error:
                rate, row["error"] = 0.0, f"{type(error).__name__}: {error}"[:500]
        found["rates"].append(row | use.most())
        say(found["rates"][-1])
        setting.keep(found)
        return rate

    size, threads = setting.batch, setting.threads
    loads = list(LOADS) if setting.on_gpu else ["split"]
    rates = {load: at(load, threads, size) for load in loads}
    best = max(rates, key=rates.__getitem__)
    for fewer in (2, 4, 8, 12) if setting.on_gpu else (1,):
        for load in dict.fromkeys((best, "engine")) if setting.on_gpu else ("split",):
            at(load, fewer, size)
    for other in (64, 128, 512) if setting.on_gpu else (8,):
        at(best, threads, other)
    at("split", threads, size, first=1)  # what a retry would do to the division of work
    found["best"] = {"load": best, "images/s": round(rates[best])}
    found["pipeline in memory"] = round(in_memory(setting, data))
    say("pipeline in memory, one process:", found["pipeline in memory"], "images/s")
    return found


def in_memory(setting: Setting, data: list[bytes]) -> float:
    """Images/s of `DaliPipeline.run`: routing, feeding and the ring, no files."""
    pipeline = DaliPipeline(setting.device, setting.batch, setting.threads)
    seconds, stop = 2.0 if setting.on_gpu else 0.5, threading.Event()

    def endless() -> Iterator[tuple[int, bytes]]:
        for k, photo in enumerate(itertools.cycle(data)):
            if stop.is_set() and k % setting.batch == 0:
                return
            yield k, photo

    done, start, rate = 0, 0.0, 0.0
    for number, batch in enumerate(pipeline.run(endless())):
        if number == 6:
            done, start = 0, time.perf_counter()
        done += len(batch.keys)
        if start and not stop.is_set() and (spent := time.perf_counter() - start) > seconds:
            rate = done / spent
            stop.set()
    pipeline.close()
    return rate


def host(setting: Setting) -> Numbers:
    """Microseconds of each host stage for one photo, on one core; then by threads."""
    paths, data = setting.files(), setting.for_dali()
    found: Numbers = {"photos": len(data), "us": {}, "images/s by threads": {}}
    row = memoryview(np.random.default_rng(0).integers(0, 255, ROW_NBYTES, np.uint8)).cast("B")
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})

    def timed(name: str, work: Callable[[], object], count: int) -> None:
        best = min(_seconds(work) for _ in range(3)) / count * 1e6
        found["us"][name] = round(best, 1)
        say(f"{name:40} {best:8.1f} us {1e6 / best:10.0f}/s")

    timed("read", lambda: [_read(path) for path in paths], len(paths))
    timed("route", lambda: [route(d) for d in data], len(data))
    timed("has_stray_marker", lambda: [has_stray_marker(d) for d in data], len(data))
    timed("crc32", lambda: [crc32(row) for _ in range(300)], 300)
    timed("zlib's crc32", lambda: [zlib.crc32(row) for _ in range(300)], 300)
    for folder in ("/dev/shm", str(setting.work)):
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, ROW_NBYTES * 900)
            turns = iter(range(3))

            def write(fd: int = file.fileno(), turns: Iterator[int] = turns) -> None:
                first = 300 * next(turns)
                for k in range(first, first + 300):
                    pwrite_all(fd, row, k * ROW_NBYTES)

            timed(f"write, fresh pages, {folder}", write, 300)
    os.sched_setaffinity(0, cores)
    for threads in (n for n in (1, 2, 4, 8, 16) if n <= setting.cores):
        rates = _by_threads(paths, row, threads)
        found["images/s by threads"][str(threads)] = rates
        say(f"{threads} threads: {rates}")
    return found


def _read(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return file.read()


def _by_threads(paths: list[Path], row: memoryview, threads: int, each: int = 600) -> Numbers:
    """What threads of one process add, with Python's lock."""

    def take(_: int, place: int) -> None:
        data = _read(paths[place % len(paths)])
        if not isinstance(route(data), str):
            has_stray_marker(data)

    def give(fd: int, place: int) -> None:
        pwrite_all(fd, row, len(row) * place)
        crc32(row)

    rates = {}
    for name, work in (("read, route", take), ("write, crc", give)):
        with tempfile.TemporaryFile(dir="/dev/shm") as file:
            os.posix_fallocate(file.fileno(), 0, len(row) * each * threads)

            def some(thread: int, work: Any = work, fd: int = file.fileno()) -> None:
                for place in range(thread * each, (thread + 1) * each):
                    work(fd, place)

            runners = [threading.Thread(target=some, args=(n,)) for n in range(threads)]
            start = time.perf_counter()
            for runner in runners:
                runner.start()
            for runner in runners:
                runner.join()
            rates[name] = round(threads * each / (time.perf_counter() - start))
    return rates


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
