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
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from imagenet_subset.execution.channel import Channel, SharedNumbers
from imagenet_subset.execution.listening import REPORT_SECONDS, Listener, pipe_of
from imagenet_subset.execution.nursery import END_SECONDS, KILL, NUMBER, environment_of
from imagenet_subset.execution.signals import signals_blocked
from imagenet_subset.system.code import PACKAGES, package_file

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
        """Wait until the workers end, which they do when their channels are closed."""
        ...


def start_workers(
    slots: int,
    modules: Sequence[str],
    listener: Listener,
    environments: Sequence[Mapping[str, str]] = (),
) -> Workers:
    """Get ready to start up to ``slots`` workers, which will need these modules.

    Parameters
    ----------
    environments
        Variables of the worker of each slot, in turn, beside those of this process.

    Raises
    ------
    OSError
        No process can be started.
    """
    if hasattr(os, "fork"):
        return _ForkedWorkers(slots, modules, listener, environments)
    return _SpawnedWorkers(slots, listener, environments)


class _ForkedWorkers:
    """Workers that a nursery forks."""

    def __init__(
        self,
        slots: int,
        modules: Sequence[str],
        listener: Listener,
        environments: Sequence[Mapping[str, str]],
    ) -> None:
        self._used = False
        self._listener = listener
        with contextlib.ExitStack() as undo, contextlib.ExitStack() as theirs:
            self.numbers = SharedNumbers.create(slots, inherited=True)
            undo.callback(self.numbers.close)
            self._sockets, fds = [], []
            for _ in range(slots):
                ours, other = socket.socketpair()
                self._sockets.append(undo.enter_context(ours))
                fds.append(theirs.enter_context(other).fileno())
            with signals_blocked():
                self._nursery = subprocess.Popen(
                    command(
                        "run_nursery",
                        self.numbers.handle,
                        fds,
                        list(modules),
                        [dict(variables) for variables in environments],
                    ),
                    bufsize=0,
                    stdin=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    pass_fds=[int(str(self.numbers.handle)), *fds],
                )
            undo.callback(self._nursery.wait)
            undo.callback(self._nursery.kill)
            self._stdin = undo.enter_context(pipe_of(self._nursery.stdin))
            listener.listen(self._nursery)
            self._close = undo.pop_all()

    def start(self, slot: int) -> Channel:
        self._used = True
        with contextlib.suppress(BrokenPipeError):  # the channel will report it
            self._request(slot)
        fd = os.dup(self._sockets[slot].fileno())
        return Channel(fd, fd)

    def exit_status(self, slot: int) -> int | None:
        status = self._listener.exit_status(slot)
        if status is None and not self.numbers.has_started(slot):
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self._nursery.wait(REPORT_SECONDS)
        return status

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._request(KILL)
        # Should the nursery have died, its workers still notice the end of their channels.
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for sock in self._sockets:
            sock.close()
        if self._used:  # else the nursery may be in the middle of its imports
            self._stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._nursery.wait(2 * END_SECONDS)
        self._close.close()

    def _request(self, number: int) -> None:
        self._stdin.write(NUMBER.pack(number))


class _SpawnedWorkers:
    """Workers that are interpreters of their own."""

    def __init__(
        self, slots: int, listener: Listener, environments: Sequence[Mapping[str, str]]
    ) -> None:
        self._environments = environments
        self.numbers = SharedNumbers.create(slots, inherited=False)
        self._listener = listener
        self._workers: dict[int, subprocess.Popen[bytes]] = {}
        self._listening: dict[int, threading.Thread] = {}

    def start(self, slot: int) -> Channel:
        with signals_blocked():
            worker = subprocess.Popen(
                command("run_worker", self.numbers.handle, slot),
                bufsize=0,
                env={**os.environ, **environment_of(slot, self._environments)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        self._workers[slot] = worker
        with pipe_of(worker.stdout) as answers, pipe_of(worker.stdin) as tasks:
            self._listening[slot] = self._listener.listen(worker)
            return Channel(os.dup(answers.fileno()), os.dup(tasks.fileno()))

    def exit_status(self, slot: int) -> int | None:
        try:
            status = self._workers[slot].wait(REPORT_SECONDS)
            self._listening[slot].join(REPORT_SECONDS)
            return status
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
