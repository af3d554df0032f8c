"""Processes watched from outside, by /proc; Linux only."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

HARNESS = Path(__file__).parent
"""On ``PYTHONPATH``, a ``sitecustomize`` can import `sabotage` and `other_systems`."""

NURSERY = "import run_nursery"
"""In the command line of the nursery, and of the workers that it forks."""


def wait_for(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it didn't come true"
        time.sleep(0.005)


def members(group: int) -> dict[int, str]:
    """Command line by process id of the living members of a process group."""
    found: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == group and fields[0] not in "ZX":
                    command = (folder / "cmdline").read_bytes()
                    found[int(folder.name)] = command.replace(b"\0", b" ").decode()
    return found


def workers(group: int) -> list[int]:
    """Process ids of the nursery's children."""
    nurseries = {pid for pid, command in members(group).items() if NURSERY in command}
    return [pid for pid in nurseries if parent(pid) in nurseries]


def nurseries(group: int) -> list[int]:
    """Process ids of the nursery, which forks the workers."""
    found = [pid for pid, command in members(group).items() if NURSERY in command]
    return [pid for pid in found if parent(pid) == group]


def state(pid: int) -> str:
    """State of a process, a letter as in /proc; X for none."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return "X"


def halted(pid: int) -> bool:
    """Whether a process does nothing any more."""
    return state(pid) in "TZX"


def parent(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return 0


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal."""
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        mask = int(re.findall(r"SigCgt:\s*([0-9a-f]+)", status)[0], 16)
        return bool(mask >> (number - 1) & 1)
    return False


def open_files() -> set[str]:
    """What this process's file descriptors refer to."""
    found = set()
    for entry in os.scandir("/proc/self/fd"):
        try:
            found.add(os.readlink(entry.path))
        except OSError:
            continue
    return found


def tell_open_files(_number: int) -> tuple[int, set[str]]:
    """For the workers of an executor: process id and `open_files`, after a moment, so that the
    others are asked too."""
    time.sleep(0.2)
    return os.getpid(), open_files()


def wait_until_stopped(process: subprocess.Popen[str]) -> None:
    """Wait until a process has stopped itself by SIGSTOP."""

    def stopped() -> bool:
        assert process.poll() is None, process.communicate()
        return state(process.pid) == "T"

    wait_for(stopped)
