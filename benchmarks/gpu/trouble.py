"""Trouble: too little memory, damaged files, CUDA and fork."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from benchmarks.gpu.rates import fed
from benchmarks.gpu.setting import Numbers, Setting, say
from imagenet_subset.demo.photos import jpeg, odd_images, photo
from pipelines.dali.errors import last_line
from pipelines.dali.graph import ENCODED, ROI_END, ROI_START, build_graph, launch
from pipelines.dali.pipeline import DaliPipeline
from pipelines.driver import find_driver
from pipelines.jpeg import has_stray_marker, route
from pipelines.pillow import decode
from pipelines.rule import DEFAULT

FREE_MIB = (6000, 2500, 1500, 900, 500)
"""Memory that is left on the GPU, in turn."""


def oom(setting: Setting) -> Numbers:
    """Decode large photos with little memory left on the GPU, and see whether all come out.

    Without a GPU the same photos go through without want of memory.
    """
    found: Numbers = {}
    for free in FREE_MIB if setting.on_gpu else (0,):
        command = [sys.executable, "-m", "benchmarks.gpu.trouble", setting.to_json(), str(free)]
        name = f"{free} MiB free" if free else "memory is plenty"
        try:
            done = subprocess.run(command, text=True, capture_output=True, timeout=40)
        except subprocess.TimeoutExpired:
            found[name] = {"error": "40 s were not enough"}
        else:
            lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
            found[name] = json.loads(lines[-1]) if lines else {"error": done.stderr[-1500:]}
        say(name, found[name])
        setting.keep(found)
    return found


def decode_with_little_memory(setting: Setting, free: int) -> Numbers:
    """In a process of its own: decode the large photo many times with so many MiB left."""
    said: list[str] = []
    handler = logging.Handler(logging.INFO)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("pipelines").addHandler(handler)
    held: Any = None
    if free:
        import cupy

        there = cupy.cuda.runtime.memGetInfo()[0]
        held = cupy.cuda.runtime.malloc(max(1, there - (free << 20)))
    large, count = setting.large(), 96 if free else 6
    expected = decode(large).astype(np.int16)
    keys, worst, by_pillow, start = [], 0, 0, time.perf_counter()
    found: Numbers = {}
    try:
        pipeline = DaliPipeline(setting.device, 256 if free else 4, min(setting.cores, 8))
        for batch in pipeline.run((k, large) for k in range(count)):
            keys += batch.keys
            by_pillow += len(batch.fallbacks)
            worst = max(worst, int(np.abs(batch.images.astype(np.int16) - expected).max()))
        found["batch after"] = pipeline.batch_size
    except Exception as error:
        found["escaped"] = f"{type(error).__module__}.{type(error).__name__}: {error}"[:600]
    found |= {"all there": keys == list(range(count)), "largest": worst, "by Pillow": by_pillow,
              "seconds": round(time.perf_counter() - start, 2), "said": said[:6]}  # fmt: skip
    if held is not None:
        cupy.cuda.runtime.free(held)
    return found


def broken(setting: Setting) -> Numbers:
    """Feed damaged files straight into the graph, then into the pipeline: who notices what."""
    bad = damaged()
    good = [jpeg(photo(k, 500, 375)) for k in range(40)]
    found: Numbers = {}
    for load in ("engine", "cuda") if setting.on_gpu else ("split",):
        for name, data in bad.items():
            told = _straight_into_the_graph(setting, load, good[:31], data)
            routed = route(data)
            caught = routed if isinstance(routed, str) else ""
            if not caught and has_stray_marker(data):
                caught = "a stray marker"
            found[f"{load} {name}"] = {"graph": told, "route": caught or "goes to DALI"}
            say(f"{load} {name:40} graph: {told}; route: {caught or 'goes to DALI'}")
        setting.keep(found)
    found["pipeline"] = _through_the_pipeline(setting, good, bad)
    say(json.dumps(found["pipeline"], indent=1))
    return found


def damaged() -> dict[str, bytes]:
    """Files that no decoder should take in silence."""
    whole = jpeg(photo(3, 500, 375), subsampling="4:2:0")
    scan = whole.index(b"\xff\xda")
    table = whole.index(b"\xff\xc4") + 5
    middle = scan + (len(whole) - scan) // 2
    odd = {i.name: i.data for i in odd_images() if not i.decodable and i.data[:2] == b"\xff\xd8"}
    return odd | {
        "a marker amid the scan": whole[:middle] + b"\xff\xc0" + whole[middle + 2 :],
        "an end amid the scan": whole[:middle] + b"\xff\xd9" + whole[middle + 2 :],
        "zeros amid the scan": whole[:middle] + bytes(2000) + whole[middle + 2000 :],
        "noise amid the scan": whole[:middle] + bytes(range(1, 201)) * 8 + whole[middle + 1600 :],
        "poisoned Huffman table": whole[:table] + b"\xff" * 16 + whole[table + 16 :],
        "truncated, end put back": whole[:middle] + b"\xff\xd9",
    }


def _straight_into_the_graph(setting: Setting, load: str, good: list[bytes], bad: bytes) -> str:
    graph = build_graph(setting.device, 32, 4, 0, DEFAULT.crop, load)
    batch = fed(good, len(good), 1)[0]
    batch[ENCODED].append(np.frombuffer(bad, np.uint8))
    for key in (ROI_START, ROI_END):
        batch[key] = np.concatenate([batch[key], batch[key][-1:]])
    try:
        launch(graph, batch)
        graph.outputs()
    except Exception as error:
        return f"{type(error).__name__}: {last_line(error)}"
    return "not noticed"


def _through_the_pipeline(setting: Setting, good: list[bytes], bad: dict[str, bytes]) -> Numbers:
    pipeline = DaliPipeline(setting.device, 16, 4)
    files = [*good[:20], *bad.values(), *good[20:]]
    names = dict(enumerate(bad, 20))
    keys: set[int] = set()
    failures: dict[int, str] = {}
    doubts: dict[int, str] = {}
    for batch in pipeline.run(enumerate(files)):
        keys.update(batch.keys)
        failures |= batch.failures
        doubts |= batch.doubts
    pipeline.close()
    return {
        "good lost": [k for k in range(len(files)) if k not in names and k not in keys],
        "failures": {names.get(k, k): why for k, why in failures.items()},
        "let through": [name for k, name in names.items() if k in keys],
        "doubts": {names.get(k, k): why for k, why in doubts.items()},
    }


def fork(_: Setting) -> Numbers:
    """Whether asking the driver (``cuInit``) spoils CUDA for processes forked afterwards.

    The program asks in a child, so that it doesn't matter; 0 is no, 3 is yes.
    """
    found: Numbers = {"driver": str(find_driver())}
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return found | {"skipped": "there is no driver"}
    found["cuInit here"] = library.cuInit(0)
    if child := os.fork():
        found["cuInit in a forked child"] = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return found
    context = ctypes.c_void_p()
    os._exit(library.cuInit(0) or library.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))


if __name__ == "__main__":
    little = decode_with_little_memory(Setting.from_json(sys.argv[1]), int(sys.argv[2]))
    print(json.dumps(little))
