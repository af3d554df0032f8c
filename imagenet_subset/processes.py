"""Starts worker processes and learns how they ended; `imagenet_subset.nursery` is what they run.

They are ordinary child processes, and none of `multiprocessing`'s: nothing of the caller's module
``__main__`` runs again in them, they start in a process that may have no children of that kind, and
the caller's own children are nobody's business here. They import this program from where their
parent has it, and all else from the parent's path, but for the current folder: what lies there
comes last.
"""

from __future__ import annotations

import collections
import contextlib
import io
import os
import re
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Protocol

import imagenet_subset
import pipelines
from imagenet_subset.channel import Channel, SharedNumbers
from imagenet_subset.errors import printable
from imagenet_subset.nursery import END_SECONDS, KILL, NUMBER, REPORT
from imagenet_subset.signals import signals_blocked

_LIBJPEG = re.compile(
    "Corrupt JPEG data: |Premature end of JPEG file|Invalid SOS parameters|"
    "Inconsistent progression sequence|Unknown Adobe color transform code|"
    "Warning: unknown JFIF revision number"
)
"""Warnings that libjpeg prints without the file's name (its ``jerror.h``). The pixels are the same
as in pipelines where it keeps silent."""
_LINES = 50
_REPORT_SECONDS = 1.0
"""How long the report of a worker's end may come after the end of its channel."""

_BOOT = """\
import sys
sys.path[:] = {path!r}
from importlib import util
for name, file in {packages!r}:
    spec = util.spec_from_file_location(name, file)
    module = sys.modules[name] = util.module_from_spec(spec)
    spec.loader.exec_module(module)
from imagenet_subset.nursery import {function}
{function}{arguments!r}
"""


def command(function: str, *arguments: object) -> list[str]:
    """Command line of a Python that calls a function of `imagenet_subset.nursery`."""
    packages = [
        (m.__name__, os.path.abspath(str(m.__file__))) for m in (pipelines, imagenet_subset)
    ]
    code = _BOOT.format(
        path=_safe_path(), packages=packages, function=function, arguments=arguments
    )
    return [sys.executable, "-I" if sys.flags.isolated else "-P", "-c", code]


def _safe_path() -> list[str]:
    """The path of this process, absolute, with the current folder at its end."""
    try:
        here = os.getcwd()
    except FileNotFoundError:
        here = ""
    path = dict.fromkeys(os.path.abspath(p) if here else p for p in sys.path if p)
    if here in path:
        del path[here]
        path[here] = None
    return list(path)


class Listener:
    """Keeps what child processes print to standard error."""

    def __init__(self) -> None:
        self.last = ""
        """Last line of all."""
        self.new: collections.deque[str] = collections.deque(maxlen=_LINES)
        """Lines that nobody has looked at yet, without libjpeg's."""
        self._threads: list[threading.Thread] = []

    def listen(self, process: subprocess.Popen[bytes]) -> None:
        """Read a process's standard error to its end, in the background."""
        stream, process.stderr = process.stderr, None  # which is closed here and nowhere else
        thread = threading.Thread(target=self._read, args=[stream], daemon=True)
        thread.start()
        self._threads.append(thread)

    def _read(self, stream: io.RawIOBase) -> None:
        with io.BufferedReader(stream) as lines:
            for raw in lines:
                line = printable(raw.decode(errors="replace").strip())
                self.last = line or self.last
                if line and not _LIBJPEG.match(line):
                    self.new.append(line)

    def join(self) -> None:
        """Wait, for a moment, until all is read of processes that have ended."""
        for thread in self._threads:
            thread.join(END_SECONDS)


class Workers(Protocol):
    """Worker processes by slot, from 0 on."""

    numbers: SharedNumbers

    def start(self, slot: int) -> Channel:
        """Start the worker of a slot.

        Raises
        ------
        OSError
            It can't be started.
        """
        ...

    def exit_status(self, slot: int) -> int | None:
        """Exit status of a worker that has ended, ``-n`` for signal ``n``; None if unknown."""
        ...

    def kill(self) -> None:
        """End all workers at once."""
        ...

    def close(self) -> None:
        """Let go of the workers, which end when their channels are closed, and wait for that."""
        ...


def start_workers(slots: int, modules: Sequence[str], listener: Listener) -> Workers:
    """Get ready to start up to ``slots`` workers, which will need these modules.

    Raises
    ------
    OSError
        No process can be started.
    """
    if hasattr(os, "fork"):
        return _ForkedWorkers(slots, modules, listener)
    return _SpawnedWorkers(slots, listener)


class _ForkedWorkers:
    """Workers that a nursery forks."""

    def __init__(self, slots: int, modules: Sequence[str], listener: Listener) -> None:
        self._lock = threading.Lock()
        self._used = False
        self._statuses: dict[int, int] = {}
        with contextlib.ExitStack() as undo, contextlib.ExitStack() as theirs:
            self.numbers = SharedNumbers.create(slots, inherited=True)
            undo.callback(self.numbers.close)
            self._sockets, fds = [], []
            for _ in range(slots):
                ours, other = socket.socketpair()
                self._sockets.append(undo.enter_context(ours))
                fds.append(theirs.enter_context(other).fileno())
            self._reports, report_fd = os.pipe()
            undo.callback(os.close, self._reports)
            theirs.callback(os.close, report_fd)
            with signals_blocked():
                self._nursery = subprocess.Popen(
                    command("run_nursery", self.numbers.handle, report_fd, fds, list(modules)),
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=[int(str(self.numbers.handle)), report_fd, *fds],
                )
            self._close = undo.pop_all()
        listener.listen(self._nursery)

    def start(self, slot: int) -> Channel:
        self._used = True
        with contextlib.suppress(BrokenPipeError):  # the channel's end will say it
            self._request(slot)
        fd = os.dup(self._sockets[slot].fileno())
        return Channel(fd, fd)

    def exit_status(self, slot: int) -> int | None:
        end = time.monotonic() + _REPORT_SECONDS
        with self._lock:
            while slot not in self._statuses and time.monotonic() < end:
                if select.select([self._reports], [], [], 0.05)[0]:
                    report = os.read(self._reports, REPORT.size)
                    if not report:
                        return self._nursery.wait()
                    other, status = REPORT.unpack(report)
                    self._statuses[other] = status
            return self._statuses.get(slot)

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._request(KILL)
        # Should the nursery have died, its workers still notice the end of their channels.
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._close, self._nursery as nursery:
            for sock in self._sockets:
                sock.close()
            if nursery.stdin:
                nursery.stdin.close()
            if not self._used:
                nursery.kill()  # it may be in the middle of its imports
            try:
                nursery.wait(2 * END_SECONDS)
            except subprocess.TimeoutExpired:
                nursery.kill()

    def _request(self, number: int) -> None:
        if self._nursery.stdin:
            self._nursery.stdin.write(NUMBER.pack(number))


class _SpawnedWorkers:
    """Workers that are interpreters of their own."""

    def __init__(self, slots: int, listener: Listener) -> None:
        self.numbers = SharedNumbers.create(slots, inherited=False)
        self._listener = listener
        self._workers: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, slot: int) -> Channel:
        with signals_blocked():
            worker = subprocess.Popen(
                command("run_worker", self.numbers.handle, slot),
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        self._workers[slot] = worker
        if not worker.stdin or not worker.stdout:
            raise ValueError("no pipes")
        self._listener.listen(worker)
        with worker.stdout, worker.stdin:
            return Channel(os.dup(worker.stdout.fileno()), os.dup(worker.stdin.fileno()))

    def exit_status(self, slot: int) -> int | None:
        try:
            return self._workers[slot].wait(_REPORT_SECONDS)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        for worker in self._workers.values():
            worker.kill()

    def close(self) -> None:
        end = time.monotonic() + END_SECONDS
        for worker in self._workers.values():
            try:
                worker.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self.numbers.close()
