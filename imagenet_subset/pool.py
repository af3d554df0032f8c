"""Worker processes on this machine: a process pool that stops promptly and leaves nobody behind.

Processes are spawned, not forked: a fork would copy the threads' locks of tqdm and DALI, and
macOS and Windows spawn anyway.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from multiprocessing.synchronize import Event
from typing import Any

from imagenet_subset import worker

STOP_SECONDS = 1.0
"""How long workers have to end on their own once they are told to stop."""


class LocalPool:
    """An executor over worker processes, and what is known of them.

    Attributes
    ----------
    executor : concurrent.futures.Executor
    """

    def __init__(self, processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._stop = context.Event()
        self._places = context.RawArray("q", [-1] * processes)
        slots = context.SimpleQueue()
        for slot in range(processes):
            slots.put(slot)
        self.executor: Executor = ProcessPoolExecutor(
            processes, context, _start_worker, (self._stop, slots, self._places)
        )

    def in_hand(self) -> list[int]:
        """Journal indexes of the images that workers are, or were last, busy with."""
        return [place for place in self._places if place >= 0]

    def stop(self) -> None:
        """End all workers: those that don't within `STOP_SECONDS` are killed."""
        self._stop.set()
        killer = threading.Timer(STOP_SECONDS, _kill_children)
        killer.start()
        try:
            self.executor.shutdown(wait=True, cancel_futures=True)
        finally:
            killer.cancel()


def _kill_children() -> None:
    for child in multiprocessing.active_children():
        child.kill()


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Put off Ctrl-C for a moment.

    Processes that start meanwhile never see it: a terminal sends it to the whole process group,
    and it is the parent that stops them.
    """
    if not hasattr(signal, "pthread_sigmask") or (
        threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(stop: Event, slots: Any, places: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    slot = slots.get()

    def now_at(index: int) -> None:
        places[slot] = index

    worker.hooks.should_stop = stop.is_set
    worker.hooks.now_at = now_at
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
