"""Worker processes on this machine: a pool that stops promptly and leaves no process running.

One thread serves each worker: it sends a task and waits for the answer. To the rest of the program
the pool is an ordinary executor of these threads.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for_futures
from types import TracebackType
from typing import Any

from imagenet_subset.errors import WorkerStartError
from imagenet_subset.execution.channel import Channel, SharedNumbers
from imagenet_subset.execution.listening import Listener
from imagenet_subset.execution.processes import (
    Workers,
    begin_workers,
    forks,
    starting,
)
from imagenet_subset.execution.runner import Key, T, Worker, WorkerDied, nothing, work_through
from imagenet_subset.system.cgroup import count_oom_kills

STOP_SECONDS = 1.0
"""How long workers have to end by themselves after they were asked to stop."""
OUT_OF_MEMORY = "the kernel did it when memory ran out: try fewer --workers"
_SIGKILL = 9  # Windows has no name for it


class _InWorker(Exception):  # noqa: N818 - the cause of an error, and its traceback in the worker
    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class LocalPool:
    """Worker processes, from `warm_up` until the end of the context.

    At the end of `run` they begin to end.

    Parameters
    ----------
    slots
        Workers, at most: one a slot. Each starts with its first task.
    environments
        Variables of the worker of each slot, in turn, beside those of this process. They are set
        before the worker's first task.
    begun
        What starts the workers, if that has begun already; the pool ends it.

    Attributes
    ----------
    in_hand : list of int
        What the workers that died were working on, by the index that they gave.
    """

    on_this_machine = True

    def __init__(
        self,
        slots: int,
        environments: Sequence[Mapping[str, str]] = (),
        begun: Workers | None = None,
    ) -> None:
        self.in_hand: list[int] = []
        self._slots, self._environments = slots, environments
        self._workers = begun
        self._listener = begun.listener if begun else Listener()
        self._executor: ThreadPoolExecutor | None = None
        self._channels: list[Channel] = []
        self._first: list[Future[Any]] = []
        self._ended = self._killed = False

    def warm_up(self, modules: Sequence[str] = ()) -> None:
        """Start to import what the workers will need, in the background; once.

        Parameters
        ----------
        modules
            What they will import.

        Raises
        ------
        WorkerStartError
            No process can be started.
        """
        if self._executor is not None:
            return
        self._mine = threading.local()
        self._unused = iter(range(self._slots))
        with starting(), contextlib.ExitStack() as undo:
            self._numbers = SharedNumbers.create(self._slots, inherited=forks())
            undo.callback(self._numbers.close)
            self._workers = self._workers or begin_workers()
            self._workers.load(modules)
            undo.pop_all()
        self._listener = self._workers.listener
        self._executor = ThreadPoolExecutor(self._slots, "worker")

    def first(self, task: Callable[[], T]) -> Future[T]:
        """Have the worker of the first slot run a task now, before `run`."""
        future = self._submit(functools.partial(self._run, task))
        self._first.append(future)
        return future

    @property
    def workers(self) -> int:
        """How many there may be."""
        return self._slots

    def run(
        self,
        tasks: Iterator[tuple[Key, Callable[[], T]]],
        take: Callable[[Key, T], None],
        each_round: Callable[[], None] = nothing,
    ) -> None:
        """See `imagenet_subset.execution.runner.Runner.run`; ends the workers, so it runs once."""
        if self._executor is None:
            raise ValueError("warm_up comes first")
        calls = ((key, functools.partial(self._run, task)) for key, task in tasks)
        ahead = 2 * self._slots
        work_through(
            self._submit,
            calls,
            take,
            ahead=lambda: ahead,
            stop=self._end,
            each_round=each_round,
        )

    def visit(
        self, workers: Collection[Worker], task: Callable[[int], Worker], seconds: float
    ) -> None:
        """Do nothing: at the end of `run` all workers are told to end."""

    def new_lines(self) -> list[str]:
        """What workers have printed to standard error since this was last called."""
        lines = self._listener.new
        return [f"a worker process says: {lines.popleft()}" for _ in range(len(lines))]

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all workers, and wait until they have ended. Idempotent."""
        self._end([])
        workers, self._workers = self._workers, None
        if workers is not None:
            workers.close()
            if self._executor:
                self._numbers.close()

    def _end(self, running: Collection[Future[Any]]) -> None:
        """Have all workers end. Those that still work after `STOP_SECONDS` are killed."""
        if self._workers is None or self._executor is None or self._ended:
            return
        workers, self._ended = self._workers, True
        self._numbers.stop = True
        try:
            self._executor.shutdown(wait=False, cancel_futures=True)
            if wait_for_futures([*running, *self._first], STOP_SECONDS).not_done:
                self._killed = True
                workers.kill()
            self._executor.shutdown()
        finally:
            for channel in self._channels:
                channel.close()
            workers.let_end()

    def _submit(self, call: Callable[[], T]) -> Future[T]:
        if self._executor is None:
            raise ValueError("warm_up comes first")
        with starting():
            return self._executor.submit(call)

    def _run(self, task: Callable[[], T]) -> T:
        """Have this thread's worker run a task."""
        workers, mine = self._workers, self._mine
        if workers is None or self._ended:
            raise WorkerDied("was stopped")
        if dead := getattr(mine, "dead", None):
            raise dead
        try:
            if not hasattr(mine, "channel"):
                self._start(workers, mine)
            mine.channel.send(task)
            answer, trace = pickle.loads(mine.channel.receive())
        except WorkerStartError as error:
            mine.dead = error
            raise
        except (EOFError, OSError) as error:
            mine.dead = self._death(workers, mine.slot)
            raise mine.dead from error
        if trace is not None:
            raise answer from _InWorker(trace)
        return answer  # type: ignore[no-any-return]

    def _start(self, workers: Workers, mine: threading.local) -> None:
        with starting():
            mine.slot = slot = next(self._unused)
            mine.channel = workers.start(slot, self._numbers, self._variables(slot))
        self._channels.append(mine.channel)
        if self._killed:  # while it started, so that it may have been missed
            workers.kill()

    def _variables(self, slot: int) -> Mapping[str, str]:
        """Variables of the worker of a slot; the slots have them in turn."""
        environments = self._environments
        return environments[slot % len(environments)] if environments else {}

    def _death(self, workers: Workers, slot: int) -> Exception:
        place, started = self._numbers.place(slot), self._numbers.has_started(slot)
        if place >= 0 and not self._killed:
            self.in_hand.append(place)
        status, said = workers.exit_status(slot, started=started), self._listener.last
        how, why = how_it_ended(status), f"it said: {said}" if said else ""
        if status == -_SIGKILL:
            by_kernel = workers.oom_kills_before < count_oom_kills()
            why = OUT_OF_MEMORY if by_kernel else "by whom is unknown"
        if started:
            return WorkerDied(how, why, slot)
        if not said or status == -_SIGKILL:
            said = f"one {how}" + (f"; {why}" if why else "")
        return WorkerStartError(f"worker processes can't start: {said}")


def how_it_ended(status: int | None) -> str:
    """What an exit status says, as a sentence without its subject.

    Examples
    --------
    >>> how_it_ended(-9), how_it_ended(-11), how_it_ended(3)
    ('was killed (SIGKILL)', 'crashed (SIGSEGV)', 'ended with exit status 3')
    """
    if status is None:
        return "ended in an unknown way"
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"{'was killed' if name in ('SIGKILL', 'SIGTERM') else 'crashed'} ({name})"
