"""Starts the worker processes of `imagenet_subset.execution.nursery`, learns how they ended.

They are ordinary child processes, not those of `multiprocessing`: nothing of the caller's module
``__main__`` runs again in them, a daemonic process may start them, and the caller's own children
are left alone. They import this program from where their parent has it, and everything else from
the parent's path, with the current folder moved to its end.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from imagenet_subset.errors import WorkerStartError
from imagenet_subset.execution.channel import Channel, SharedNumbers
from imagenet_subset.execution.listening import REPORT_SECONDS, Listener, pipe_of
from imagenet_subset.execution.nursery import END_SECONDS, FEWER, HEAD, KILL, LOAD
from imagenet_subset.execution.signals import signals_blocked
from imagenet_subset.system.cgroup import count_oom_kills
from imagenet_subset.system.code import PACKAGES, package_file

_LIMITS = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
_BOOT = """\
import sys
sys.path[:] = {path!r}
from importlib import util
for name, file in {packages!r}:
    spec = util.spec_from_file_location(name, file)
    module = sys.modules[name] = util.module_from_spec(spec)
    spec.loader.exec_module(module)
from imagenet_subset.execution.nursery import {function}
{function}{arguments!r}
"""


@contextlib.contextmanager
def standard_streams_taken() -> Iterator[None]:
    """Keep files opened in this block off the numbers 0 to 2, if the caller has closed those.

    In a child they are its standard streams, and in any process some library prints to them.
    """
    with contextlib.ExitStack() as stack:
        while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
            stack.callback(os.close, fd)
        os.close(fd)
        yield


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """Turn the system's refusal of another process, file or thread into an error."""
    try:
        with standard_streams_taken():
            yield
    except (OSError, RuntimeError) as error:
        limited = isinstance(error, RuntimeError) or error.errno in _LIMITS
        raise WorkerStartError(
            f"worker processes can't start: {getattr(error, 'strerror', None) or error}"
            + (f"; {FEWER}" if limited else "")
        ) from error


def command(function: str, *arguments: object) -> list[str]:
    """Command line of a Python that calls a function of `imagenet_subset.execution.nursery`."""
    if not sys.executable:
        raise FileNotFoundError(errno.ENOENT, "this Python doesn't know its own program")
    packages = [(name, package_file(name)) for name in PACKAGES]
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


class Workers(Protocol):
    """Worker processes by slot, from 0 on; none at first.

    Attributes
    ----------
    listener : Listener
        Hears what they print to standard error.
    oom_kills_before : int
        What `imagenet_subset.system.cgroup.count_oom_kills` gave before anything was begun.
    """

    listener: Listener
    oom_kills_before: int

    def load(self, modules: Sequence[str]) -> None:
        """Have modules imported ahead, in the background, where workers that start share that."""
        ...

    def start(self, slot: int, numbers: SharedNumbers, variables: Mapping[str, str]) -> Channel:
        """Start the worker of a slot.

        Parameters
        ----------
        numbers
            In which it notes how it is.
        variables
            Of its environment, beside those of this process.

        Raises
        ------
        OSError
            It can't be started.
        """
        ...

    def exit_status(self, slot: int, *, started: bool) -> int | None:
        """Exit status of a worker that has ended, ``-n`` for signal ``n``; None if unknown.

        Parameters
        ----------
        started
            Whether it ever ran.
        """
        ...

    def kill(self) -> None:
        """End all workers at once."""
        ...

    def let_end(self) -> None:
        """Have the workers end, whose channels are closed."""
        ...

    def close(self) -> None:
        """The same, and wait until they have. Idempotent."""
        ...


def begin_workers(modules: Sequence[str] = ()) -> Workers:
    """Get ready to start worker processes, which will need these modules.

    Raises
    ------
    WorkerStartError
        No process can be started.
    """
    with starting():
        return _ForkedWorkers(modules) if forks() else _SpawnedWorkers()


def forks() -> bool:
    """Whether workers are forked by a nursery, and inherit what it opened."""
    return hasattr(os, "fork")


def _environment() -> dict[str, str]:
    """Variables of worker processes: OpenBLAS's idle threads cost memory and time."""
    return {"OPENBLAS_NUM_THREADS": "1", **os.environ}


class _ForkedWorkers:
    """Workers that a nursery forks."""

    def __init__(self, modules: Sequence[str]) -> None:
        self.listener, self.oom_kills_before = Listener(), count_oom_kills()
        self._sockets: list[socket.socket] = []
        self._asking = threading.Lock()
        with contextlib.ExitStack() as undo:
            requests, theirs = socket.socketpair()
            self._requests = undo.enter_context(requests)
            with theirs, signals_blocked():
                self._nursery = subprocess.Popen(
                    command("run_nursery", list(modules)),
                    bufsize=0,
                    stdin=theirs.fileno(),
                    stderr=subprocess.PIPE,
                    env=_environment(),
                )
            undo.callback(self._nursery.wait)
            undo.callback(self._nursery.kill)
            self._listening = self.listener.listen(self._nursery)
            self._close = undo.pop_all()

    def load(self, modules: Sequence[str]) -> None:
        self._request(LOAD, list(modules))

    def start(self, slot: int, numbers: SharedNumbers, variables: Mapping[str, str]) -> Channel:
        ours, theirs = socket.socketpair()
        self._sockets.append(ours)
        with theirs:
            self._request(slot, dict(variables), theirs.fileno(), int(numbers.handle))
        fd = os.dup(ours.fileno())
        return Channel(fd, fd)

    def exit_status(self, slot: int, *, started: bool) -> int | None:
        status = self.listener.exit_status(slot)
        if status is None and not started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._nursery.wait(REPORT_SECONDS)
        return status

    def kill(self) -> None:
        if not self._sockets:  # it hears no request while it imports
            self._nursery.kill()
        with contextlib.suppress(OSError):
            self._request(KILL, None)
        # Should the nursery have died, its workers still notice the end of their channels.
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def let_end(self) -> None:
        for sock in (*self._sockets, self._requests):
            sock.close()

    def close(self) -> None:
        self.let_end()
        if self._sockets:  # else the nursery may be in the middle of its imports
            # The end of what they print comes at once; a wait with a limit looks now and then.
            self._listening.join(2 * END_SECONDS)
        self._close.close()
        self.listener.join()

    def _request(self, number: int, asked: object, *fds: int) -> None:
        """Ask the nursery for something. If it has died, the workers' channels report it."""
        data = pickle.dumps(asked)
        with self._asking, contextlib.suppress(ConnectionError):
            socket.send_fds(self._requests, [HEAD.pack(number, len(data)) + data], fds)


class _SpawnedWorkers:
    """Workers that are interpreters of their own."""

    def __init__(self) -> None:
        self.listener, self.oom_kills_before = Listener(), count_oom_kills()
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._listening: dict[int, threading.Thread] = {}

    def load(self, modules: Sequence[str]) -> None:
        """Do nothing: each imports by itself."""

    def start(self, slot: int, numbers: SharedNumbers, variables: Mapping[str, str]) -> Channel:
        with signals_blocked():
            worker = subprocess.Popen(
                command("run_worker", numbers.handle, slot),
                bufsize=0,
                env={**_environment(), **variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        self._workers[slot] = worker
        with pipe_of(worker.stdout) as answers, pipe_of(worker.stdin) as tasks:
            self._listening[slot] = self.listener.listen(worker)
            return Channel(os.dup(answers.fileno()), os.dup(tasks.fileno()))

    def exit_status(self, slot: int, *, started: bool) -> int | None:
        try:
            status = self._workers[slot].wait(REPORT_SECONDS)
            self._listening[slot].join(REPORT_SECONDS)
            return status
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        for worker in self._workers.values():
            worker.kill()

    def let_end(self) -> None:
        """Do nothing more: they know by their channels."""

    def close(self) -> None:
        end = time.monotonic() + END_SECONDS
        for worker in self._workers.values():
            try:
                worker.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
        self.listener.join()
