"""Worker processes on this machine: a pool that stops promptly and leaves nobody behind.

Each worker is in the hands of one thread, which sends it a task and waits for the answer. To the
rest of the program the pool is those threads, an ordinary executor.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for_futures
from types import TracebackType
from typing import TypeVar

from imagenet_subset.cgroup import count_oom_kills
from imagenet_subset.channel import Channel
from imagenet_subset.errors import WorkerStartError
from imagenet_subset.processes import Listener, Workers, start_workers
from imagenet_subset.signals import signals_held

POLL_SECONDS = 0.1
"""How long Ctrl-C may wait to be noticed."""
STOP_SECONDS = 1.0
"""How long workers have to end on their own once they are told to stop."""
_SIGKILL = 9  # Windows has no name for it

Key = TypeVar("Key")
T = TypeVar("T")


class WorkerDied(Exception):  # noqa: N818 - an event, which the pool's user turns into an error
    """A worker process ended in the middle of a task."""

    def __init__(self, how: str, why: str = "") -> None:
        super().__init__(how, why)
        self.how = how
        """What it did: ``"was killed (SIGKILL)"``."""
        self.why = why
        """What is known of the cause; empty for nothing."""


class _InWorker(Exception):  # noqa: N818 - the cause of an error, and its traceback in the worker
    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class LocalPool:
    """Worker processes, from `warm_up` until the end of `work_through` or of the context.

    Attributes
    ----------
    in_hand : list of int
        What workers that died were busy with, by the index that they gave.
    """

    def __init__(self) -> None:
        self.in_hand: list[int] = []
        self._listener = Listener()
        self._workers: Workers | None = None
        self._executor: ThreadPoolExecutor | None = None
        self._channels: list[Channel] = []
        self._oom_kills = 0
        self._killed = False

    def warm_up(self, processes: int, modules: Sequence[str] = ()) -> None:
        """Start to import what the workers will need, in the background; once.

        Parameters
        ----------
        processes
            Workers, at most. Each starts with its first task.
        modules
            What they will import.

        Raises
        ------
        WorkerStartError
            No process can be started.
        """
        if self._executor is not None:
            return
        self._executor = ThreadPoolExecutor(processes, "worker")
        self._mine = threading.local()
        self._slots = iter(range(processes))
        self._ahead = 2 * processes
        self._oom_kills = count_oom_kills()
        with _starting():
            self._workers = start_workers(processes, modules, self._listener)

    def work_through(
        self, tasks: Iterator[tuple[Key, Callable[[], T]]], take: Callable[[Key, T], None]
    ) -> None:
        """Run all tasks, each a callable that can be pickled, and end the workers.

        See the function `work_through`.

        Raises
        ------
        WorkerDied
            A worker has died.
        WorkerStartError
            Workers can't be started.
        """
        if self._executor is None:
            raise ValueError("warm_up comes first")
        calls = ((key, functools.partial(self._run, task)) for key, task in tasks)
        work_through(self._executor, calls, take, ahead=self._ahead, stop=self.close)

    def new_lines(self) -> list[str]:
        """What workers have printed to standard error since this was last called."""
        lines = self._listener.new
        return [lines.popleft() for _ in range(len(lines))]

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
        """End all workers: those that don't within `STOP_SECONDS` are killed. Idempotent."""
        if self._workers is None or self._executor is None:
            return
        workers, self._workers = self._workers, None
        workers.numbers.stop = True
        killer = threading.Timer(STOP_SECONDS, self._kill, [workers])
        killer.start()
        try:
            self._executor.shutdown(wait=True, cancel_futures=True)
        finally:
            killer.cancel()
            for channel in self._channels:
                channel.close()
            workers.close()
            self._listener.join()

    def _run(self, task: Callable[[], T]) -> T:
        """Have this thread's worker run a task."""
        workers, mine = self._workers, self._mine
        if workers is None:
            raise WorkerDied("was told to end")
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
        with _starting():
            mine.slot = next(self._slots)
            mine.channel = workers.start(mine.slot)
        self._channels.append(mine.channel)

    def _kill(self, workers: Workers) -> None:
        self._killed = True
        workers.kill()

    def _death(self, workers: Workers, slot: int) -> Exception:
        place = workers.numbers.place(slot)
        if place >= 0 and not self._killed:
            self.in_hand.append(place)
        status = workers.exit_status(slot)
        said = self._listener.last
        if not workers.numbers.has_started(slot):
            return WorkerStartError(f"worker processes can't start: {said or how_it_ended(status)}")
        why = f"it said: {said}" if said else ""
        if status == -_SIGKILL:
            why = "by whom is unknown"
            if self._oom_kills < count_oom_kills():
                why = "the kernel did it when memory ran out: try fewer --workers"
        return WorkerDied(how_it_ended(status), why)


def how_it_ended(status: int | None) -> str:
    """What an exit status says, as a sentence without its subject.

    Examples
    --------
    >>> how_it_ended(-9), how_it_ended(-11), how_it_ended(3)
    ('was killed (SIGKILL)', 'crashed (SIGSEGV)', 'ended with exit status 3')
    """
    if status is None:
        return "has ended, how is unknown"
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"{'was killed' if name in ('SIGKILL', 'SIGTERM') else 'crashed'} ({name})"


@contextlib.contextmanager
def _starting() -> Iterator[None]:
    """Turn the system's refusal of another process, file or thread into an error."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        what = getattr(error, "strerror", None) or error
        raise WorkerStartError(
            f"worker processes can't start: {what}; try fewer --workers, or raise the limit "
            "(ulimit -a shows it)"
        ) from error


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
    and what was done by then is taken. What a task or the executor raises comes through.
    """
    running: dict[Future[T], Key] = {}
    with signals_held() as let_signals_through:
        try:
            while True:
                for key, task in itertools.islice(tasks, ahead - len(running)):
                    running[executor.submit(task)] = key
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
