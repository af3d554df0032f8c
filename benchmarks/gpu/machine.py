"""What is here: versions, photos to work with, the program's own checks."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from benchmarks.charts import processor
from benchmarks.gpu.setting import Numbers, Setting, say
from benchmarks.tree import write_photo
from imagenet_subset.checking.selftest import machine_versions
from imagenet_subset.checking.selftest import selftest as run_selftest
from imagenet_subset.demo.photos import jpeg, photo
from pipelines.choice import resolve
from pipelines.request import PipelineRequest

GPU_TESTS = ("dali/test_gpu.py", "test_parity.py", "test_choice.py", "test_kinds.py")
"""Modules of ``tests/pipelines`` with tests marked ``gpu``."""
ROOT = Path(__file__).resolve().parents[2]


def versions(setting: Setting) -> Numbers:
    """Machine, driver, packages, and the commit."""
    found: Numbers = {
        "commit": _commit(),
        "cores": setting.cores,
        "cpu": processor(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "versions": machine_versions(resolve(_request(setting), setting.cores)),
        "free_GB": {d: shutil.disk_usage(d).free / 1e9 for d in ("/tmp", "/dev/shm")},
    }
    if setting.on_gpu:
        asked = ["nvidia-smi", "-q", "-d", "MEMORY,UTILIZATION,CLOCK,PERFORMANCE"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            done = subprocess.run(asked, capture_output=True, text=True, timeout=30)
            found["nvidia_smi"] = done.stdout
    say(found)
    return found


def _request(setting: Setting) -> PipelineRequest:
    return PipelineRequest(setting.device, "dali")


def _commit() -> str:
    if (ROOT / "COMMIT").exists():
        return (ROOT / "COMMIT").read_text().strip()
    asked = ["git", "-C", str(ROOT), "log", "-1", "--format=%h %s"]
    with contextlib.suppress(OSError):
        return subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    return ""


def prepare(setting: Setting) -> Numbers:
    """Photos of ImageNet's sizes and kinds, and a large one; they stay for later calls."""
    setting.made.mkdir(parents=True, exist_ok=True)
    count = 384 if setting.on_gpu else 48
    paths = [setting.made / f"{k:04d}.JPEG" for k in range(count)]
    with ProcessPoolExecutor(setting.cores) as pool:
        large = pool.submit(_make_large, setting.made / "large.jpg", setting.on_gpu)
        missing = [(path, k) for k, path in enumerate(paths) if not path.exists()]
        list(pool.map(write_photo, *zip(*missing, strict=True), chunksize=4) if missing else ())
        large.result()
    data = setting.for_dali()
    real = len(setting.files()) if setting.photos else 0
    return {"for_dali": len(data), "mean_bytes": sum(map(len, data)) / len(data), "real": real}


def _make_large(path: Path, on_gpu: bool) -> None:
    if not path.exists():
        size = (6000, 4000) if on_gpu else (1500, 1000)
        path.write_bytes(jpeg(photo(1, *size), subsampling="4:2:0"))


def selftest(setting: Setting) -> Numbers:
    """The program's own comparison with Pillow."""
    config = resolve(_request(setting), setting.cores)
    photos = 8192 if setting.on_gpu else 128
    report = run_selftest(config, setting.photos, rate_photos=photos)
    for kind in report.kinds:
        say(kind)
    say("problems:", *report.problems)
    return report.to_dict() | {"config": asdict(config)}


def tests(_: Setting) -> Numbers:
    """The tests that need a GPU; without one, how they are skipped."""
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-m", "gpu", "--durations=8"]
    command += ["-o", "addopts=", "--import-mode=importlib", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command + [f"tests/pipelines/{name}" for name in GPU_TESTS],
        cwd=ROOT,
        text=True,
        capture_output=True,
        env=os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
    )
    say(done.stdout[-20_000:], done.stderr[-5_000:])
    found: Numbers = {"exit": done.returncode, "last": done.stdout.strip().splitlines()[-1:]}
    # 5: nothing was collected, as where the whole module is skipped.
    return found if done.returncode in (0, 5) else found | {"failed": "tests failed"}
