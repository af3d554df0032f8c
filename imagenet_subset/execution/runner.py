"""What runs tasks, whosever workers they are: a few ahead, and stopped promptly."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future
from concurrent.futures import wait as wait_for_futures
from typing import Protocol, TypeVar

from imagenet_subset.execution.signals import signals_held

POLL_SECONDS = 0.1
"""The longest time until Ctrl-C is noticed."""

Key = TypeVar("Key")
T = TypeVar("T")
Worker = tuple[str, int]
"""Host and process id."""


def nothing(*_: object) -> None:
    """Do nothing, where something may be done."""


class WorkerDied(Exception):  # noqa: N818 - an event; the runner's user turns it into an error
    """A worker process ended in the middle of a task."""

    again = "run the same command again"
    """What to do to go on."""
    having = "while it had {} in hand"
    """What it was doing, with the photos in the braces."""

    def __init__(
        self, how: str, why: str = "", slot: int | None = None, task: object = None
    ) -> None:
        super().__init__(how, why, slot, task)
        self.how = how
        """How it ended: ``"was killed (SIGKILL)"``."""
        self.why = why
        """The cause, if it is known; else empty."""
        self.slot = slot
        """Number of the worker in its pool, if that is known."""
        self.task = task
        """Key of the task that it ran, if that is known."""

    def told(self, doing: str = "") -> str:
        """The event as a sentence, with what the worker was doing, if that is known.

        Examples
        --------
        >>> WorkerDied("was killed (SIGKILL)", "by whom is unknown").told("at work")
        'a worker process was killed (SIGKILL) at work; by whom is unknown'
        """
        event = " ".join(filter(None, ["a worker process", self.how, doing]))
        return f"{event}; {self.why}" if self.why else event


class Runner(Protocol):
    """Workers that run tasks.

    `imagenet_subset.execution.local.LocalPool` starts and ends its own,
    `imagenet_subset.execution.borrowed.Borrowed` has those of somebody's executor,
    `imagenet_subset.execution.dask.DaskRunner` and `imagenet_subset.execution.mpi.MpiRunner` those
    of a cluster.
    """

    @property
    def on_this_machine(self) -> bool:
        """Whether all workers are on this machine for sure, and see what this process sees."""
        ...

    @property
    def workers(self) -> int:
        """How many workers there are now; 0 if unknown."""
        ...

    @property
    def in_hand(self) -> Sequence[int]:
        """What workers that died were working on, by the index that they gave; empty if unknown."""
        ...

    def warm_up(self, modules: Sequence[str]) -> None:
        """Start to import in the background what the workers will need, where that helps; once.

        Raises
        ------
        imagenet_subset.errors.WorkerStartError
            No process can be started.
        """
        ...

    def run(
        self,
        tasks: Iterator[tuple[Key, Callable[[], T]]],
        take: Callable[[Key, T], None],
        each_round: Callable[[], None] = nothing,
    ) -> None:
        """Run all tasks, each a callable that can be pickled, and hand each result to ``take``.

        See `work_through`.

        Parameters
        ----------
        each_round
            Called before each wait for results, which takes `POLL_SECONDS` at most.

        Raises
        ------
        WorkerDied
            A worker has died, or there are no workers any more.
        imagenet_subset.errors.WorkerStartError
            Workers can't be started.
        """
        ...

    def new_lines(self) -> list[str]:
        """What there is to tell of the workers since this was last called, a sentence each."""
        ...

    def visit(
        self, workers: Collection[Worker], task: Callable[[int], Worker], seconds: float
    ) -> None:
        """Have each of these workers run a task, as far as they outlive `run` and answer in time.

        Parameters
        ----------
        workers
            Those that ran tasks.
        task
            Takes a number, which differs each time, and says which worker runs it.
        seconds
            How long to wait for all of them.
        """
        ...

    def close(self) -> None:
        """End the workers that are our own. Idempotent."""
        ...


def result_of(future: Future[T], _key: object) -> T:
    """Result of a task that has ended; its error is raised."""
    return future.result()


def work_through(
    submit: Callable[[Callable[[], T]], Future[T]],
    tasks: Iterator[tuple[Key, Callable[[], T]]],
    take: Callable[[Key, T], None],
    *,
    ahead: Callable[[], int],
    stop: Callable[[Collection[Future[T]]], None] = nothing,
    each_round: Callable[[], None] = nothing,
    result: Callable[[Future[T], Key], T] = result_of,
) -> None:
    """Run all tasks, some of them submitted at a time, and hand each result to ``take``.

    ``ahead`` is asked in each round how many may be under way; it is 1 at least. ``each_round`` is
    called before each wait. Ctrl-C and SIGTERM wait until a result has been taken. At the end, also
    after an error, ``stop`` is called with what still runs, and the results that are there by then
    are taken. Errors of tasks, as ``result`` raises them, and of the other calls are raised.
    """
    running: dict[Future[T], Key] = {}
    with signals_held() as let_signals_through:
        try:
            while True:
                for key, task in itertools.islice(tasks, max(0, ahead() - len(running))):
                    running[submit(task)] = key
                if not running:
                    break
                each_round()
                done, _ = wait_for_futures(running, POLL_SECONDS, FIRST_COMPLETED)
                for future in done:
                    key = running.pop(future)
                    take(key, result(future, key))
                let_signals_through()
        finally:
            left = {future: key for future, key in running.items() if not future.cancel()}
            stop(left)
            for future in wait_for_futures(left).done:
                if not future.cancelled() and not future.exception():
                    take(left[future], future.result())
