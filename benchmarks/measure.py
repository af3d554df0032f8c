"""Wall time and peak memory of a command and all its children."""

from __future__ import annotations

import contextlib
import subprocess
import time
from dataclasses import dataclass

import psutil

SAMPLE_SECONDS = 0.05
"""How often memory is looked at, which itself takes half a millisecond."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a command."""

    seconds: float
    peak_bytes: int
    """Largest sum of the resident memory of the process and its children, mapped files included."""


def measure(command: list[str]) -> Measured:
    """Run a command to its end.

    Raises
    ------
    subprocess.CalledProcessError
        It failed; its stderr has been passed on.
    """
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
        peak = 0
        process = psutil.Process(running.pid)
        while True:
            peak = max(peak, _memory(process))
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(SAMPLE_SECONDS)
                break
        seconds = time.perf_counter() - start
    if running.returncode:
        raise subprocess.CalledProcessError(running.returncode, command)
    return Measured(seconds, peak)


def _memory(process: psutil.Process) -> int:
    total = 0
    with contextlib.suppress(psutil.NoSuchProcess):
        for member in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += member.memory_info().rss
    return total
