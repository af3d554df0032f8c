"""What runs in the worker processes of a local pool, and in the process that forks them.

::

    parent  --requests-->  nursery  --fork-->  worker  <--tasks, answers-->  parent

Where there is ``fork``, one process, the nursery, imports what all workers need and forks them:
they start in milliseconds and share that memory. The parent itself is never forked: it may have
threads, locks and a CUDA context. Elsewhere each worker is an interpreter of its own.

The nursery starts before it is known how many workers there will be and what they will need: it
hears of both in requests, over the socket that is its standard input. A request is `HEAD`, the
slot or `LOAD` or `KILL`, and so many bytes of a pickled object. With a slot come two file
descriptors, for the worker: its socket to the parent, and the shared numbers.

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
import socket
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

HEAD = struct.Struct("<iI")
"""Head of a request: what is asked for, and the length of the object."""
LOAD, KILL = -1, -2
"""Requests: import the modules of a list; end all workers at once. Any other is the slot of a
worker to fork, with a mapping of the variables that it has beside those of this process."""
REPORT = b"\0"
"""Mark on standard error before a report to the parent: the slot of a worker that has ended, and
its exit status. All that the worker printed there comes before."""
FEWER = "try fewer --workers, or raise the limit (ulimit -a shows it)"
"""What to do where the system refuses another process, thread or file."""
END_SECONDS = 1.0
"""How long workers have to end by themselves after their channels are closed."""


def run_nursery(modules: Sequence[str]) -> None:
    """Import modules, and do what is asked for on standard input, until that is closed."""
    ignore_signals()
    os.dup2(2, 1)  # standard output belongs to the program
    import_all(modules)
    _Nursery(socket.socket(fileno=0)).serve()
    os._exit(0)


def import_all(modules: Sequence[str]) -> None:
    """Import modules ahead of their use, as far as they can be."""
    for name in modules:
        # An import that fails here fails again where it is needed, and is reported there.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    gc.freeze()  # what was imported is never garbage, and needn't be looked at again


class _Nursery:
    def __init__(self, requests: socket.socket) -> None:
        self._requests = requests
        self._slots: dict[int, int] = {}
        """Slot of each child by its process id."""
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake)

    def serve(self) -> None:
        """Do what is asked for until the parent closes its end, then wait for the workers."""
        asked = True
        while asked:
            ready, _, _ = select.select([self._requests.fileno(), self._woken], [], [])
            if self._woken in ready:
                os.read(self._woken, 512)
                self._reap()
            if self._requests.fileno() in ready:
                asked = self._answer()
        self._end()

    def _answer(self) -> bool:
        """Do what the next request asks for; False when there will be no more."""
        with contextlib.suppress(EOFError, ConnectionError):
            # The descriptors come with the head's first byte.
            head, fds, _, _ = socket.recv_fds(self._requests, HEAD.size, 2)
            number, nbytes = HEAD.unpack(self._rest(head, HEAD.size))
            asked = pickle.loads(self._rest(b"", nbytes))
            if number == LOAD:
                import_all(asked)
            elif number == KILL:
                self._kill()
            else:
                self._fork(number, asked, *fds)
            return True
        return False

    def _rest(self, data: bytes, nbytes: int) -> bytes:
        """The data and what follows it, so many bytes in all."""
        while len(data) < nbytes:
            more = self._requests.recv(nbytes - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def _fork(self, slot: int, variables: Mapping[str, str], channel: int, numbers: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            print(f"{error.strerror}; {FEWER}", file=sys.stderr, flush=True)
            self._report(slot, 1)
            pid = -1
        if pid:
            if pid > 0:
                self._slots[pid] = slot
            for fd in (channel, numbers):  # so that the parent notices when the worker ends
                os.close(fd)
            return
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # in place of the requests
            os.close(self._woken)
            os.environ.update(variables)
            shared = SharedNumbers.attach(numbers)
            os.close(numbers)
            work(Channel(channel, channel), shared, slot)
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
