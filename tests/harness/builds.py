"""Builds run as their user runs them, halted and disturbed from outside; Linux only."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from imagenet_subset.building.journal import MAGIC
from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from tests.harness.processes import halted, members, wait_for, wait_until_stopped


def two_classes(root: Path, train_per_class: int, **options: Any) -> Path:
    """Write a tree of two classes, each with 50 val photos, and its ``two.txt``; ``CLS-LOC``."""
    data = write_demo_tree(root, wnids=DEMO_WNIDS[:2], train_per_class=train_per_class, **options)
    (data / "two.txt").write_text("\n".join(DEMO_WNIDS[:2]))
    return data


class Build:
    """A build as its user starts it, at the head of a process group of its own."""

    def __init__(
        self,
        data: Path,
        out: Path,
        *more: str,
        splits: str = "train,val",
        env: Mapping[str, str] = MappingProxyType({}),
        engine: str | None = None,
        under: Sequence[str] = (),
    ) -> None:
        self.data, self.out, self.env = data, out, env
        workers = ["--workers", "2"] if engine is None else ["--executor", engine]
        self.command = [
            *under, sys.executable, "-m", "imagenet_subset",
            "--subset_name", str(data / "two.txt"), "--data_dir", str(data), "--out_dir", str(out),
            "--device", "cpu", "--pipeline", "pillow", *workers, "--quiet", "--splits", splits,
            *more,
        ]  # fmt: skip

    def loud(self) -> Build:
        """The same build; it prints what it has to say."""
        self.command.remove("--quiet")
        return self

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
    def halted_when(self, condition: Callable[[int], object]) -> Iterator[subprocess.Popen[str]]:
        """The build, halted in its course while a condition of its process id holds.

        A build that ends before it is halted, as one may on a busy machine, is begun anew.
        """
        for _ in range(20):
            with self.begun() as process:
                while process.poll() is None and not condition(process.pid):
                    time.sleep(0.002)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGSTOP)
                    wait_for(functools.partial(halted, process.pid))
                if process.poll() is None and condition(process.pid):
                    yield process
                    return
            shutil.rmtree(self.out, ignore_errors=True)
        pytest.fail("20 builds ended before they could be halted")

    @contextlib.contextmanager
    def halted_at_first_rows(self) -> Iterator[subprocess.Popen[str]]:
        """The build, halted by itself when it has noted its first rows: never too late."""
        with tempfile.TemporaryDirectory() as hook:
            Path(hook, "sitecustomize.py").write_text(SIGNAL_AT_FIRST_ROWS)
            env, self.env = self.env, {"PYTHONPATH": hook, "SIGNAL": str(int(signal.SIGSTOP))}
            with self.begun() as process:
                self.env = env
                wait_until_stopped(process)
                assert self.rows_done() > 0
                assert not self.npz.exists()
                yield process

    def rows_done(self) -> int:
        """Rows that the journal calls done."""
        with contextlib.suppress(FileNotFoundError):
            data = (self.out / "two_cls.npz.journal").read_bytes()
            length = int.from_bytes(data[len(MAGIC) : len(MAGIC) + 4], "little")
            entries = data[len(MAGIC) + 8 + length : -8]
            return int((np.frombuffer(entries, "<u8") >> np.uint64(32) == 1).sum())
        return 0


def end_of(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and stderr, once nobody of its process group is left."""
    _, stderr = process.communicate(timeout=120)
    wait_for(lambda: not members(process.pid))
    return process.returncode, stderr


def sent(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """Send a signal to the group of a build that was halted; its exit code and stderr."""
    os.killpg(process.pid, number)
    os.killpg(process.pid, signal.SIGCONT)
    return end_of(process)


def disturbed(build: Build, disturb: Callable[[], object]) -> tuple[int, str]:
    """Disturb a build when some of its rows are done and some aren't; its exit code and stderr."""
    with build.halted_at_first_rows() as process:
        disturb()
        return sent(process, signal.SIGCONT)


SIGNAL_AT_FIRST_ROWS = """
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
