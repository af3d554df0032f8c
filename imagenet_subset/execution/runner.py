"""Runs tasks on an executor, a few ahead, and stops promptly."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future
from concurrent.futures import wait as wait_for_futures
from typing import TypeVar

from imagenet_subset.execution.signals import signals_held

POLL_SECONDS = 0.1
"""The longest time until Ctrl-C is noticed."""

Key = TypeVar("Key")
T = TypeVar("T")


def work_through(
    submit: Callable[[Callable[[], T]], Future[T]],
    tasks: Iterator[tuple[Key, Callable[[], T]]],
    take: Callable[[Key, T], None],
    *,
    ahead: int,
    stop: Callable[[Collection[Future[T]]], None] = lambda _: None,
) -> None:
    """Run all tasks, ``ahead`` of them submitted at a time, and hand each result to ``take``.

    Ctrl-C and SIGTERM wait until a result has been taken. At the end, also after an error, ``stop``
    is called with what still runs, and the results that are there by then are taken. Errors of
    tasks and of ``submit`` are raised.
    """
    running: dict[Future[T], Key] = {}
    with signals_held() as let_signals_through:
        try:
            while True:
                for key, task in itertools.islice(tasks, ahead - len(running)):
                    running[submit(task)] = key
                if not running:
                    break
                done, _ = wait_for_futures(running, POLL_SECONDS, FIRST_COMPLETED)
                for future in done:
                    take(running.pop(future), future.result())
                let_signals_through()
        finally:
            left = {future: key for future, key in running.items() if not future.cancel()}
            stop(left)
            for future in wait_for_futures(left).done:
                if not future.cancelled() and not future.exception():
                    take(left[future], future.result())
