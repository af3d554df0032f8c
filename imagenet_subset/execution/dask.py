"""A Dask cluster that is there already, as a runner: reached by its address or scheduler file.

Nothing is started or stopped here. Workers may come and go: what a lost one had in hand goes to
others, and how many tasks are under way follows the number of threads that there are.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from imagenet_subset.execution.borrowed import Borrowed, ExecutorGaveUp
from imagenet_subset.execution.nursery import import_all
from imagenet_subset.execution.runner import Key, T, Worker, WorkerDied, nothing
from imagenet_subset.execution.scheduler import reached, threads_of
from imagenet_subset.system.text import counted, printable

if TYPE_CHECKING:
    from distributed import Client

_ASK_SECONDS = 1.0
"""How often a cluster is asked for its workers. Whether it is lost shows in its tasks, not here."""


class SchedulerLost(ExecutorGaveUp):
    """The scheduler has gone, or dropped the tasks."""

    again = "start the scheduler and its workers again, and run the same command"

    def told(self, doing: str = "") -> str:
        """The event as a sentence."""
        return f"lost the scheduler at {self.how}"


class WorkersDied(WorkerDied):
    """Several workers ended one after the other, each of which had the same task, among others."""

    having = "each with {} still to do"

    def told(self, doing: str = "") -> str:
        """The event as a sentence, with what they were doing, if that is known."""
        return f"{self.how}{doing and f', {doing}'}; {self.why}"


class DaskRunner(Borrowed):
    """The workers of a Dask cluster.

    Parameters
    ----------
    client
        Connected to it; for its owner to close.
    where
        Address or file of the scheduler, for people.
    """

    def __init__(self, client: Client, where: str) -> None:
        # Pure tasks that are equal would be run once, and then answered out of memory.
        self._on_cluster = client.get_executor(pure=False)
        super().__init__(self._on_cluster, self._twice_the_threads)
        self._client, self._where = client, printable(where)
        self._threads: dict[str, int] = {}
        self._warming: list[Any] = []
        self._warm = False
        self._asked_at = 0.0
        self._lines: list[str] = []

    @property
    def workers(self) -> int:
        """How many worker processes there were when they were last asked for."""
        return len(self._ask())

    def warm_up(self, modules: Sequence[str]) -> None:
        """Have each worker that is there import what it will need; once.

        Nobody waits for it. The client's own futures, unlike those of its executor, may be under
        way when it closes: they are cancelled without a word.
        """
        if not self._warm:
            self._warm = True
            load = _as_bytes(functools.partial(import_all, modules))
            for address in self._ask():
                with contextlib.suppress(Exception):  # which the first shard meets too
                    future = self._client.submit(load, workers=[address], pure=False)
                    self._warming.append(future)  # one that nobody has is dropped

    def run(
        self,
        tasks: Iterator[tuple[Key, Callable[[], T]]],
        take: Callable[[Key, T], None],
        each_round: Callable[[], None] = nothing,
    ) -> None:
        """See `imagenet_subset.execution.borrowed.Borrowed.run`."""
        super().run(tasks, take, each_round)
        self._asked_at = 0.0  # so that workers that were lost at the end are told too
        self._ask()

    def new_lines(self) -> list[str]:
        """Which workers were lost since this was last called."""
        lines, self._lines = self._lines, []
        return lines

    def visit(
        self, workers: Collection[Worker], task: Callable[[int], Worker], seconds: float
    ) -> None:
        """See `imagenet_subset.execution.runner.Runner.visit`; all workers are asked at once."""
        task(0)  # this process: the workers may be threads of it
        ask = functools.partial(task, 1)
        with contextlib.suppress(Exception):  # it has gone, with what its workers held
            self._client.run(ask, on_error="ignore", callback_timeout=seconds)

    def _twice_the_threads(self) -> int:
        return 2 * sum(self._ask().values())

    def _ask(self) -> dict[str, int]:
        """Threads of each worker by its address, asked for once a second."""
        now = time.monotonic()
        if now - self._asked_at >= _ASK_SECONDS:
            self._asked_at = now
            with contextlib.suppress(Exception):
                self._note(threads_of(self._client))
        return self._threads

    def _note(self, threads: dict[str, int]) -> None:
        lost = sorted(self._threads.keys() - threads.keys())
        self._threads = threads
        if not lost:
            return
        others = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        left = f"{counted(len(threads), 'worker')} left" if threads else "none left: waits for one"
        self._lines.append(
            f"lost worker {lost[0]}{others}; what it had in hand goes to others ({left})"
        )

    def _submit(self, task: Callable[[], T]) -> Future[T]:
        # A worker that can't read what a task refers to would end, and the next one after it. As
        # bytes that the task itself reads it is an error of that task.
        return super()._submit(_as_bytes(task))

    def _result(self, future: Future[T], key: object) -> T:
        from distributed import KilledWorker

        try:
            return super()._result(future, key)
        except KilledWorker as error:
            deaths = error.allowed_failures + 1
            how = f"{counted(deaths, 'worker')} died one after the other"
            last = f"the last was {getattr(error.last_worker, 'address', error.last_worker)}"
            raise WorkersDied(how, f"{last}, and why is in its log", task=key) from error

    def _end_of_all(self, error: BaseException) -> WorkerDied:
        return SchedulerLost(self._where)


def _as_bytes(task: Callable[[], object]) -> Callable[[], Any]:
    """A task as a call that anybody can read."""
    return functools.partial(pickle.loads, pickle.dumps(_Called(task)))


class _Called:
    """A call that is made where it is unpickled."""

    def __init__(self, task: Callable[[], object]) -> None:
        self._task = task

    def __reduce__(self) -> tuple[Callable[[], object], tuple[()]]:
        return self._task, ()


@contextlib.contextmanager
def connected(where: str, tell: Callable[[str], None]) -> Iterator[DaskRunner]:
    """Connect to a cluster, for as long as the context lasts.

    See `imagenet_subset.execution.scheduler.reached`.
    """
    with reached(where, tell) as client:
        yield DaskRunner(client, where)
