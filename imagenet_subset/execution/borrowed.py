"""Somebody else's executor as a runner: it is used, and left as it was."""

from __future__ import annotations

import contextlib
import functools
import operator
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from concurrent.futures import wait as wait_for_futures

from imagenet_subset.errors import UnfitWorkerError
from imagenet_subset.execution.runner import (
    Key,
    T,
    Worker,
    WorkerDied,
    nothing,
    result_of,
    work_through,
)

AHEAD = 64
"""Tasks under way where an executor doesn't say how many workers it has."""
_SIZES = ("num_workers", "max_workers", "_max_workers")
"""Where executors have the number of their workers: mpi4py; others; `concurrent.futures`, loky."""


class ExecutorGaveUp(WorkerDied):
    """An executor lost its workers, or takes no more tasks."""

    again = "run the same again"

    def told(self, doing: str = "") -> str:
        """The event as a sentence.

        Examples
        --------
        >>> ExecutorGaveUp("lost the scheduler").told()
        'the executor gave up: lost the scheduler'
        """
        return f"the executor gave up: {self.how}"


class Borrowed:
    """An executor of somebody else, who also shuts it down.

    Parameters
    ----------
    executor
        All its workers must see the same files under the same paths.
    ahead
        How many tasks are under way at a time, those that wait for a worker included: at least as
        many as there are workers, or some idle. A callable is asked again after each result and
        every `imagenet_subset.execution.runner.POLL_SECONDS`, for executors whose workers come and
        go. By default twice the number of workers, as far as the executor says it, else `AHEAD`.

    Raises
    ------
    ValueError
        ``executor`` is none, or ``ahead`` isn't a number of 1 or more.
    """

    on_this_machine = False
    in_hand: Sequence[int] = ()

    def __init__(self, executor: Executor, ahead: int | Callable[[], int] | None = None) -> None:
        if not isinstance(executor, Executor):
            one = "; give its get_executor()" if hasattr(executor, "get_executor") else ""
            raise ValueError(f"executor is a concurrent.futures.Executor, not {executor!r}{one}")
        if ahead is not None and not callable(ahead):
            ahead = _count(ahead)
        self._executor, self._asked = executor, ahead

    @property
    def ahead(self) -> int:
        """How many tasks may be under way now; 1 at least."""
        if isinstance(self._asked, int):
            return self._asked
        if self._asked is not None:
            return max(1, int(self._asked()))
        return 2 * self.workers or AHEAD

    @property
    def workers(self) -> int:
        """Workers of the executor, as far as it says; 0 if unknown."""
        for name in _SIZES:
            size = getattr(self._executor, name, None)
            if isinstance(size, int) and size > 0:
                return size
        return 0

    def warm_up(self, modules: Sequence[str]) -> None:
        """Do nothing: its workers are started by others."""

    def run(
        self,
        tasks: Iterator[tuple[Key, Callable[[], T]]],
        take: Callable[[Key, T], None],
        each_round: Callable[[], None] = nothing,
    ) -> None:
        """See `imagenet_subset.execution.runner.Runner.run`.

        Raises
        ------
        ExecutorGaveUp
            The executor lost its workers, or takes no more tasks.
        imagenet_subset.errors.UnfitWorkerError
            A worker can't import what a task needs.
        """
        try:
            work_through(
                self._submit,
                tasks,
                take,
                ahead=self._ahead_or_broken,
                each_round=each_round,
                result=self._result,
            )
        except (BrokenExecutor, CancelledError) as error:
            raise self._end_of_all(error) from error

    def _result(self, future: Future[T], key: object) -> T:
        """Result of a task that has ended; its error is raised, by its right name."""
        try:
            return result_of(future, key)
        except ModuleNotFoundError as error:
            what = " ".join(str(error).split())
            raise UnfitWorkerError(
                f"a worker can't run the task: {what}; install the same imagenet-subset, with what "
                "it needs, for all workers"
            ) from error

    def _end_of_all(self, error: BaseException) -> WorkerDied:
        """What it is called when the executor is broken, or has dropped tasks."""
        return ExecutorGaveUp(" ".join(str(error).split()) or type(error).__name__)

    def _submit(self, task: Callable[[], T]) -> Future[T]:
        with _broken():
            return self._executor.submit(task)

    def _ahead_or_broken(self) -> int:
        with _broken():
            return self.ahead

    def new_lines(self) -> list[str]:
        """Nothing: what its workers print isn't seen here."""
        return []

    def visit(
        self, workers: Collection[Worker], task: Callable[[int], Worker], seconds: float
    ) -> None:
        """See `imagenet_subset.execution.runner.Runner.visit`."""
        left = set(workers) - {task(0)}  # this process: the workers may be threads of it
        end = time.monotonic() + seconds
        number = 0
        with contextlib.suppress(BrokenExecutor, CancelledError, RuntimeError):
            while left and time.monotonic() < end:
                futures = []
                for _ in range(2 * len(left)):
                    number += 1
                    futures.append(self._submit(functools.partial(task, number)))
                done, waiting = wait_for_futures(futures, max(0.0, end - time.monotonic()))
                left -= {f.result() for f in done if not f.cancelled() and not f.exception()}
                for future in waiting:
                    future.cancel()

    def close(self) -> None:
        """Do nothing: its workers are for their owner to end."""


def _count(ahead: object) -> int:
    try:
        count = operator.index(ahead)  # type: ignore[arg-type]
    except TypeError:
        count = 0
    if count < 1:
        raise ValueError(f"ahead is 1 or more, not {ahead!r}")
    return count


@contextlib.contextmanager
def _broken() -> Iterator[None]:
    """Whatever an executor says when it is asked for something means that it is broken."""
    try:
        yield
    except Exception as error:
        raise BrokenExecutor(f"{type(error).__name__}: {error}") from error
