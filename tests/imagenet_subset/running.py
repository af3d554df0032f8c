"""Builds run as their user runs them, watched and disturbed from outside; Linux only."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from imagenet_subset.building.journal import MAGIC
from imagenet_subset.demo.tree import DEMO_WNIDS

NURSERY = "import run_nursery"
"""In the command line of the nursery, and of the workers that it forks."""


class Build:
    """A build as its user starts it, at the head of a process group of its own."""

    def __init__(
        self,
        data: Path,
        out: Path,
        *more: str,
        splits: str = "train,val",
        env: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.data, self.out, self.env = data, out, env
        subset = data / "two.txt"
        if not subset.exists():
            subset.write_text("\n".join(DEMO_WNIDS[:2]))
        self.command = [
            sys.executable, "-m", "imagenet_subset", "--subset_name", str(subset),
            "--data_dir", str(data), "--out_dir", str(out), "--device", "cpu",
            "--pipeline", "pillow", "--workers", "2", "--quiet", "--splits", splits, *more,
        ]  # fmt: skip

    @property
    def npz(self) -> Path:
        return self.out / "two_cls.npz"

    def run(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command,
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            timeout=300,
        )

    def sha256(self) -> str:
        """Finish the build; SHA-256 of what it made."""
        done = self.run()
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        assert sorted(path.name for path in self.out.iterdir()) == [
            "two_cls.npz",
            "two_cls_metadata.csv",
        ]
        return hashlib.sha256(self.npz.read_bytes()).hexdigest()

    @contextlib.contextmanager
    def begun(self) -> Iterator[subprocess.Popen[str]]:
        """The build, running; whatever is left of it in the end is killed."""
        with subprocess.Popen(
            self.command,
            env={**os.environ, **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)

    @contextlib.contextmanager
    def caught(self, condition: Callable[[int], object]) -> Iterator[subprocess.Popen[str]]:
        """The build, halted in its course while a condition of its process id holds.

        A build that ends before it is caught, as one may on a busy machine, is begun anew.
        """
        for _ in range(20):
            with self.begun() as process:
                while process.poll() is None and not condition(process.pid):
                    time.sleep(0.002)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGSTOP)
                    wait_for(lambda pid=process.pid: state(pid) in "TZX")
                if process.poll() is None and condition(process.pid):
                    yield process
                    return
            shutil.rmtree(self.out, ignore_errors=True)
        pytest.fail("20 builds ended before they could be caught")

    def rows_done(self) -> int:
        """Rows that the journal calls done."""
        with contextlib.suppress(FileNotFoundError):
            data = (self.out / "two_cls.npz.journal").read_bytes()
            length = int.from_bytes(data[len(MAGIC) : len(MAGIC) + 4], "little")
            entries = data[len(MAGIC) + 8 + length : -8]
            return int((np.frombuffer(entries, "<u8") >> np.uint64(32) == 1).sum())
        return 0


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


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and stderr, once nobody of its process group is left."""
    _, stderr = process.communicate(timeout=120)
    wait_for(lambda: not members(process.pid))
    return process.returncode, stderr


def sent(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """Send a signal to the group of a build that was caught; its exit code and stderr."""
    os.killpg(process.pid, number)
    os.killpg(process.pid, signal.SIGCONT)
    return end_of(process)


WHEN_ROWS_ARE_NOTED = """
import os

def watched(name):
    true = getattr(os, name)

    def wrapped(fd, *args):
        written = true(fd, *args)
        if os.readlink(f"/proc/self/fd/{fd}").endswith(".journal"):
            setattr(os, name, true)
            os.kill(0, int(os.environ["SIGNAL"]))
        return written

    setattr(os, name, wrapped)

watched("pwrite" if hasattr(os, "pwrite") else "write")
"""
"""A ``sitecustomize``: the build sends a signal to its group when it has noted its first rows."""


def disturbed(build: Build, disturb: Callable[[], object]) -> tuple[int, str]:
    """Disturb a build when some of its rows are done and some aren't; its exit code and stderr.

    It stops itself as soon as it has noted the first rows: nobody has to look in time.
    """
    with tempfile.TemporaryDirectory() as hook:
        Path(hook, "sitecustomize.py").write_text(WHEN_ROWS_ARE_NOTED)
        build.env = {"PYTHONPATH": hook, "SIGNAL": str(int(signal.SIGSTOP))}
        with build.begun() as process:
            wait_until_stopped(process)
            build.env = {}
            assert build.rows_done() > 0
            assert not build.npz.exists()
            disturb()
            os.killpg(process.pid, signal.SIGCONT)
            return end_of(process)


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
