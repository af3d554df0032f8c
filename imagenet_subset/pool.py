"""Worker processes on this machine: a process pool that stops promptly and leaves nobody behind.

Processes aren't forked from this one: a fork would copy the threads' locks of tqdm and DALI. They
come from a fork server, which imports what all of them need once, while the build is still being
planned (`warm_up`); on Windows, which has none, they are spawned.

Ctrl-C reaches the whole process group, and so does the SIGTERM of a batch system. The workers
ignore both; it is the parent that stops them, and it does so at a place of its own choosing
(`signals_held`), so that no row that is done goes unnoted.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for_futures
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from types import FrameType
from typing import Any, TypeVar

POLL_SECONDS = 0.1
"""How long Ctrl-C may wait to be noticed."""
STOP_SECONDS = 1.0
"""How long workers have to end on their own once they are told to stop."""
_STOPPING = (signal.SIGINT, signal.SIGTERM)

Key = TypeVar("Key")
T = TypeVar("T")

_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


def warm_up(modules: Sequence[str]) -> None:
    """Start importing what worker processes will need, in the background, where that can be."""
    if _METHOD == "forkserver":
        from multiprocessing import forkserver, resource_tracker

        resource_tracker.ensure_running()  # unblocks the signals if the fork server starts it
        multiprocessing.set_forkserver_preload(["imagenet_subset.worker", *modules])
        with signals_blocked():
            forkserver.ensure_running()


class LocalPool:
    """An executor over worker processes, and what is known of them.

    Attributes
    ----------
    executor : concurrent.futures.Executor
    in_hand : list of int
        After `stop`, journal indexes of the images that workers which had died before were busy
        with.
    """

    def __init__(self, processes: int) -> None:
        context = multiprocessing.get_context(_METHOD)
        self._stop = context.RawValue("b", 0)  # asked for each image: an Event would take a lock
        self._pids = context.RawArray("q", processes)
        self._places = context.RawArray("q", [-1] * processes)
        self.in_hand: list[int] = []
        slots = context.SimpleQueue()
        for slot in range(processes):
            slots.put(slot)
        self.executor: Executor = ProcessPoolExecutor(
            processes, context, _start_worker, (self._stop, slots, self._pids, self._places)
        )

    def stop(self) -> None:
        """End all workers: those that don't within `STOP_SECONDS` are killed."""
        # The sentinel of a process tells its end a moment before the system hands out its status.
        children = multiprocessing.active_children()
        ended = wait([child.sentinel for child in children], timeout=0)
        alive = {child.pid for child in children if child.sentinel not in ended}
        self.in_hand = [
            place
            for pid, place in zip(self._pids, self._places, strict=True)
            if place >= 0 and pid not in alive
        ]
        self._stop.value = 1
        killer = threading.Timer(STOP_SECONDS, _kill_children)
        killer.start()
        try:
            self.executor.shutdown(wait=True, cancel_futures=True)
        finally:
            killer.cancel()

    def work_through(
        self, tasks: Iterator[tuple[Key, Callable[[], T]]], take: Callable[[Key, T], None]
    ) -> None:
        """Run all tasks and end the workers; see `work_through`."""
        work_through(self.executor, tasks, take, ahead=2 * len(self._pids), stop=self.stop)


def work_through(
    executor: Executor,
    tasks: Iterator[tuple[Key, Callable[[], T]]],
    take: Callable[[Key, T], None],
    *,
    ahead: int,
    stop: Callable[[], None] = lambda: None,
) -> None:
    """Run all tasks, ``ahead`` of them submitted at a time, and hand each result to ``take``.

    Ctrl-C and SIGTERM wait until a result has been taken. Whatever ends this, ``stop`` is called,
    and what was done by then is taken.

    Raises
    ------
    concurrent.futures.process.BrokenProcessPool
        A worker process, or the server that starts them, has died.
    """
    running: dict[Future[T], Key] = {}
    with signals_held() as let_signals_through:
        try:
            while True:
                for key, task in itertools.islice(tasks, ahead - len(running)):
                    running[_submit(executor, task)] = key
                if not running:
                    break
                done, _ = wait_for_futures(running, POLL_SECONDS, FIRST_COMPLETED)
                for future in done:
                    take(running.pop(future), future.result())
                let_signals_through()
        finally:
            left = {future: key for future, key in running.items() if not future.cancel()}
            stop()
            for future in wait_for_futures(left).done:
                if not future.exception():
                    take(left[future], future.result())


def _submit(executor: Executor, task: Callable[[], T]) -> Future[T]:
    try:
        with signals_blocked():
            return executor.submit(task)
    except (EOFError, OSError) as error:
        raise BrokenProcessPool(f"no worker process can be started: {error}") from error


def _kill_children() -> None:
    for child in multiprocessing.active_children():
        child.kill()


@contextlib.contextmanager
def signals_held() -> Iterator[Callable[[], None]]:
    """Put off Ctrl-C and SIGTERM, as far as they have a handler, within a block.

    Yields
    ------
    Callable[[], None]
        Runs the handler of the first signal that came meanwhile, which as a rule raises
        `KeyboardInterrupt`. Signals that come after that are dropped.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None  # signals interrupt the main thread only
        return
    caught: list[tuple[int, FrameType | None]] = []
    handlers = {n: h for n in _STOPPING if callable(h := signal.getsignal(n))}

    def let_through() -> None:
        if caught:
            number, frame = caught[0]
            handlers[signal.Signals(number)](number, frame)

    for number in handlers:
        signal.signal(number, lambda *signalled: caught.append(signalled))
    try:
        yield let_through
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    let_through()


@contextlib.contextmanager
def signals_blocked() -> Iterator[None]:
    """Have processes that start within the block never see Ctrl-C and SIGTERM.

    They would before `_start_worker` runs in them.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(stop: Any, slots: Any, pids: Any, places: Any) -> None:
    for number in _STOPPING:
        signal.signal(number, signal.SIG_IGN)
    slot = slots.get()
    pids[slot] = os.getpid()

    def now_at(index: int) -> None:
        places[slot] = index

    from imagenet_subset.worker import hooks

    hooks.should_stop = lambda: bool(stop.value)
    hooks.now_at = now_at
    gc.freeze()  # what was imported is never garbage, and needn't be looked at again
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
