"""What runs in the worker processes of a local pool, and in the process that forks them.

::

    parent  --slot-->  nursery  --fork-->  worker  <--tasks, answers-->  parent

Where there is ``fork``, one process, the nursery, imports what all workers need and forks them:
they start in milliseconds and share that memory. The parent itself is never forked: it may have
threads, locks and a CUDA context. Elsewhere each worker is an interpreter of its own.

A worker ends when the parent's end of its channel is closed, for whatever reason. Ctrl-C and
SIGTERM, which reach the whole process group, are ignored here: the parent stops the workers.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pickle
import select
import signal
import struct
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from imagenet_subset.execution.channel import Channel, Handle, SharedNumbers
from imagenet_subset.execution.context import Context, enter
from imagenet_subset.execution.signals import ignore_signals

NUMBER = struct.Struct("<i")
"""A request of the parent: the slot of a worker to fork, or `KILL`."""
REPORT = b"\0"
"""Mark on standard error before a report to the parent: the slot of a worker that has ended, and
its exit status. All that the worker printed there comes before."""
KILL = -1
FEWER = "try fewer --workers, or raise the limit (ulimit -a shows it)"
"""What to do where the system refuses another process, thread or file."""
END_SECONDS = 1.0
"""How long workers have to end by themselves after their channels are closed."""


def run_nursery(
    handle: Handle,
    channels: Sequence[int],
    modules: Sequence[str],
    environments: Sequence[Mapping[str, str]] = (),
) -> None:
    """Fork the workers that are asked for on standard input, until that is closed.

    Parameters
    ----------
    handle
        Of the shared numbers.
    channels
        For each slot the file descriptor of its socket to the parent.
    modules
        What to import first.
    environments
        Variables of the worker of each slot, in turn, beside those of this process.
    """
    ignore_signals()
    os.dup2(2, 1)  # standard output belongs to the program
    import_all(modules)
    gc.freeze()  # what was imported is never garbage, and needn't be looked at again
    _Nursery(SharedNumbers.attach(handle), list(channels), environments).serve()
    os._exit(0)


def import_all(modules: Sequence[str]) -> None:
    """Import modules ahead of their use, as far as they can be."""
    for name in modules:
        # An import that fails here fails again where it is needed, and is reported there.
        with contextlib.suppress(Exception):
            importlib.import_module(name)


class _Nursery:
    def __init__(
        self,
        numbers: SharedNumbers,
        channels: list[int],
        environments: Sequence[Mapping[str, str]],
    ) -> None:
        self._numbers, self._channels, self._environments = numbers, channels, environments
        self._slots: dict[int, int] = {}
        """Slot of each child by its process id."""
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake)

    def serve(self) -> None:
        """Fork and report until the parent closes its end, then wait for the workers to end."""
        while True:
            ready, _, _ = select.select([0, self._woken], [], [])
            if self._woken in ready:
                os.read(self._woken, 512)
                self._reap()
            if 0 in ready:
                requests = os.read(0, 64 * NUMBER.size)
                for (number,) in NUMBER.iter_unpack(requests):
                    self._kill() if number == KILL else self._fork(number)
                if not requests:
                    break
        self._end()

    def _fork(self, slot: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            print(f"{error.strerror}; {FEWER}", file=sys.stderr, flush=True)
            self._report(slot, 1)
            pid = -1
        if pid:
            if pid > 0:
                self._slots[pid] = slot
            os.close(self._channels[slot])  # so that the parent notices when the worker ends
            self._channels[slot] = -1
            return
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            fd = self._channels[slot]
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            for other in {*self._channels, self._woken} - {fd, -1}:
                os.close(other)
            os.environ.update(environment_of(slot, self._environments))
            work(Channel(fd, fd), self._numbers, slot)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)

    def _reap(self) -> None:
        while self._slots:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._report(self._slots.pop(pid), os.waitstatus_to_exitcode(status))

    def _report(self, slot: int, status: int) -> None:
        with contextlib.suppress(OSError):  # the parent has gone
            os.write(2, REPORT + b"%d %d\n" % (slot, status))

    def _kill(self) -> None:
        for pid in self._slots:
            os.kill(pid, signal.SIGKILL)

    def _end(self) -> None:
        end = time.monotonic() + END_SECONDS
        while self._slots and time.monotonic() < end:
            select.select([self._woken], [], [], 0.05)
            self._reap()
        self._kill()


def environment_of(slot: int, environments: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """Variables of the worker of a slot; the slots have them in turn."""
    return environments[slot % len(environments)] if environments else {}


def run_worker(handle: Handle, slot: int) -> None:
    """Be one worker, with its channel on standard input and output."""
    ignore_signals()
    channel = Channel(os.dup(0), os.dup(1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    work(channel, SharedNumbers.attach(handle), slot)
    os._exit(0)


def work(channel: Channel, numbers: SharedNumbers, slot: int) -> None:
    """Answer the parent's tasks until it closes its end of the channel."""
    enter(Context(slot, lambda: numbers.stop, lambda index: numbers.note_place(slot, index)))
    if hasattr(select, "poll"):
        threading.Thread(target=_end_with_parent, args=[channel.fileno()], daemon=True).start()
    numbers.note_start(slot)
    with contextlib.suppress(EOFError, OSError):
        while True:
            _answer(channel)


def _answer(channel: Channel) -> None:
    """Run one task and send ``(result, None)``, or ``(error, traceback)``."""
    data = channel.receive()
    answer: tuple[Any, str | None]
    try:
        answer = pickle.loads(data)(), None
    except BaseException as error:
        answer = error, traceback.format_exc()
    try:
        channel.send(answer)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        what = f"{answer[0]!r} can't be sent to the parent: {error}"
        channel.send((RuntimeError(what), answer[1] or what))


def _end_with_parent(fd: int) -> None:
    """End this process when the other end of the channel is closed in the middle of a task."""
    poll = select.poll()
    poll.register(fd, 0)  # asks for nothing but errors and the end
    poll.poll()
    os._exit(1)
