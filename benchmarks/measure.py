"""Wall time and peak memory of a command and all its children."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

SAMPLE_SECONDS = 0.05
"""How often memory is looked at, unless that takes long."""
SHARE = 0.02
"""Part of a core that looking may take: a process with much memory takes milliseconds."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One run of a command."""

    seconds: float
    peak_bytes: int
    """Largest sum of the proportional set sizes (PSS) of the process and all its children: what
    several of them share counts once. Pages of a mapped file that they have touched count too,
    those that were written by ``write`` don't. Where the system has no PSS: resident sizes. 0 if
    memory wasn't looked at."""


def measure(
    command: list[str],
    *,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    memory: bool = True,
) -> Measured:
    """Run a command to its end.

    Parameters
    ----------
    command
        Program and arguments.
    environment
        In place of this process's.
    folder
        Where it runs, by default here.
    memory
        Whether to sample its memory, which disturbs it a little.

    Raises
    ------
    subprocess.CalledProcessError
        It failed; its stderr is in it. What a command that succeeds says there is dropped.
    """
    start = time.perf_counter()
    peak = _Peak()
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=folder,
        text=True,
        errors="replace",
    ) as running:
        sampler = threading.Thread(target=peak.sample, args=(running.pid,))
        if memory:
            sampler.start()
        said = running.communicate()[1]
        seconds = time.perf_counter() - start
    peak.over.set()
    if memory:
        sampler.join()
    if running.returncode:
        error = subprocess.CalledProcessError(running.returncode, command, stderr=said)
        error.add_note(said.strip())
        raise error
    return Measured(seconds, peak.nbytes)


class _Peak:
    """Largest memory of a process tree, sampled by a thread."""

    def __init__(self) -> None:
        self.nbytes = 0
        self.over = threading.Event()

    def sample(self, pid: int) -> None:
        """Look until `over` is set."""
        pause = 0.0
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            while not self.over.wait(pause):
                start = time.thread_time()
                self.nbytes = max(self.nbytes, _memory(process))
                pause = max(SAMPLE_SECONDS, (time.thread_time() - start) / SHARE)


def _memory(process: psutil.Process) -> int:
    total = 0
    for member in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            found = member.memory_full_info()
            total += getattr(found, "pss", found.rss)
    return total
