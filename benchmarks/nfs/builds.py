"""Builds of the demo tree on Dask: a worker on each of two hosts, the program itself on a third.

Each is run as it is, and then unprotected: `sitecustomize` has the workers open the file as one
that no other machine writes to, for reading and writing, with no sync. What is finished is verified
on the server's disk, and compared with the file that a build without Dask makes.
"""

from __future__ import annotations

import contextlib
import filecmp
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rows import DISK, MOUNT, SERVER

SIZES = {"224": "--crop 224", "100": "--resize 112 --crop 100"}
"""Flags by crop."""
SHARDS = (("224", "64"), ("100", "64"), ("224", "7"))
"""Crop and rows. The first, the default, is whole pages; of the others neighbours share a page."""

DASK = [sys.executable, "-m", "dask"]
PROGRAM = [sys.executable, "-m", "imagenet_subset"]
SCHEDULER = f"tcp://{SERVER}:8786"


def build(folder: Path, size: str, out: str, *words: str) -> list[str]:
    """Words of a build into ``out``."""
    places = f"--subset_name {folder}/demo.txt --data_dir {folder}/ILSVRC --out_dir {out}"
    how = f"--device cpu --pipeline pillow {SIZES[size]}"
    return [*PROGRAM, "build", *places.split(), *how.split(), *words]


@contextlib.contextmanager
def running(words: list[str], ready: str, environment: dict[str, str]) -> Iterator[None]:
    """Run a command in the background, once it has said that it is ready."""
    log = Path(f"/run/log{time.monotonic_ns()}")
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, env=environment)
    try:
        while ready not in log.read_text():
            if process.poll() is not None:
                raise OSError(f"{' '.join(words)} ended: {log.read_text()}")
            time.sleep(0.2)
        yield
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def cluster(hosts: list[Any], environment: dict[str, str]) -> Iterator[None]:
    """A scheduler on the server, and a worker on each of the hosts."""
    with contextlib.ExitStack() as started:
        words = [*DASK, "scheduler", "--host", SERVER, "--no-dashboard"]
        started.enter_context(running(words, "Scheduler at", environment))
        for host in hosts:
            flags = f"--nthreads 1 --no-nanny --no-dashboard --local-directory /run/{host.name}"
            words = [*host.start, *DASK, "worker", SCHEDULER, *flags.split()]
            started.enter_context(running(words, "Registered to", environment))
        yield


def outcome(host: Any, folder: Path, size: str, name: str, environment: dict[str, str]) -> str:
    """What became of a build from ``host``, in words."""
    words = build(folder, size, f"{MOUNT}/{name}", "--executor", f"dask:{SCHEDULER}")
    told: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run([*host.start, *words], env=environment, **told)
    if done.returncode:
        return "not finished: " + done.stdout.strip().splitlines()[-1]
    [npz] = Path(DISK, name).glob("*.npz")
    verified = subprocess.run([*PROGRAM, "verify", str(npz)], **told)
    if verified.returncode:
        return "finished, but damaged: " + verified.stdout.strip().splitlines()[-1]
    alone = Path(f"/run/alone{size}")
    if not alone.exists():
        subprocess.run(build(folder, size, str(alone)), check=True, capture_output=True)
    same = filecmp.cmp(npz, alone / npz.name, shallow=False)
    return "sound, the same bytes as without Dask" if same else "sound, but other bytes"


def main(hosts: list[Any], folder: Path) -> None:
    """Print a table of what became of the builds."""
    *workers, client = hosts
    print("| workers write | crop | rows in a shard | outcome |\n|---|---|---|---|")
    for how in ("as they do", "unprotected"):
        changed = {"PYTHONPATH": str(Path(__file__).parent), "NFS_WORKERS_WRITE": how}
        environment = os.environ | changed
        with cluster(workers, environment):
            for size, shard in SHARDS:
                name = f"{size}_{time.monotonic_ns()}"
                own = environment | {"NFS_SHARD_ROWS": shard}
                told = outcome(client, folder, size, name, own)
                print(f"| {how} | {size} | {shard} | {told} |", flush=True)
