"""A Dask cluster on this machine, started by command line as a user would, and ended."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).parent
END_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Cluster:
    """A scheduler, and workers that have been told to join it."""

    file: Path
    """Where the scheduler says how it is reached."""
    scheduler: psutil.Process

    def scheduler_seconds(self) -> float:
        """CPU time that the scheduler has taken."""
        times = self.scheduler.cpu_times()
        return float(times.user + times.system)


@contextlib.contextmanager
def dask_cluster(folder: Path, workers: int, threads: int = 1) -> Iterator[Cluster]:
    """Start a scheduler and worker processes; end them at the end of the context.

    Parameters
    ----------
    threads
        Of each worker. More than one is for workers that sleep.
    """
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    dask = [sys.executable, "-m", "dask"]
    where = ["--scheduler-file", str(file), "--no-dashboard"]
    many = ["--nworkers", str(workers), "--nthreads", str(threads)]
    with contextlib.ExitStack() as stack:
        scheduler = _started(stack, [*dask, "scheduler", *where, "--port", "0"])
        room = ["--local-directory", str(folder), "--memory-limit", "0"]
        _started(stack, [*dask, "worker", *where, *many, *room])
        yield Cluster(file, psutil.Process(scheduler.pid))


def _started(stack: contextlib.ExitStack, command: list[str]) -> subprocess.Popen[bytes]:
    """A process that is asked to end at the end of the stack, and that can import these scripts."""
    path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL
    )
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
