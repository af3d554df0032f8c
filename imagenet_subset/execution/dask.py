"""A Dask cluster that is there already, as a runner: reached by its address or scheduler file.

Nothing is started or stopped here. Workers may come and go: what a lost one had in hand goes to
others, and how many tasks are under way follows the number of threads that there are.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import re
import socket
import time
import warnings
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from imagenet_subset.errors import EngineError, UnfitWorkerError
from imagenet_subset.execution.borrowed import Borrowed, ExecutorGaveUp
from imagenet_subset.execution.runner import T, Worker, WorkerDied
from imagenet_subset.system.text import counted, printable

if TYPE_CHECKING:
    from distributed import Client

INSTALL = 'pip install "distributed>=2024.8"'
"""What the extra ``dask`` installs."""
SCHEDULER_SECONDS = 20.0
"""How long a scheduler, or its file, may take to be there: jobs of a queue start in any order."""
WORKER_SECONDS = 300.0
"""How long the first worker may take to join."""
_TELL_SECONDS = 2.0
"""After how long a wait is told."""
_ASK_SECONDS = 1.0
"""How often a cluster is asked for its workers."""
_ANSWER_SECONDS = 2.0
"""How long it has to answer. Whether it is lost shows in its tasks, not here."""
_CONNECT_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.2


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
        super().__init__(client.get_executor(pure=False), self._twice_the_threads)
        self._client, self._where = client, printable(where)
        self._threads: dict[str, int] = {}
        self._asked_at = 0.0
        self._lines: list[str] = []

    @property
    def workers(self) -> int:
        """How many worker processes there were when they were last asked for."""
        return len(self._ask())

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

    def _result(self, future: Future[T], key: object) -> T:
        from distributed import KilledWorker

        try:
            return super()._result(future, key)
        except KilledWorker as error:
            deaths = error.allowed_failures + 1
            how = f"{counted(deaths, 'worker')} died one after the other"
            last = f"the last was {getattr(error.last_worker, 'address', error.last_worker)}"
            raise WorkersDied(how, f"{last}, and why is in its log", task=key) from error
        except RuntimeError as error:
            # Dask's own word where a scheduler can't read what a client sent.
            if isinstance(error.__cause__, ModuleNotFoundError):
                what = " ".join(str(error.__cause__).split())
                raise UnfitWorkerError(
                    f"the scheduler can't read the task: {what}; install the same imagenet-subset "
                    "there too"
                ) from error
            raise

    def _end_of_all(self, error: BaseException) -> WorkerDied:
        return SchedulerLost(self._where)


def threads_of(client: Client) -> dict[str, int]:
    """Threads of each worker, by its address.

    Raises
    ------
    OSError, TimeoutError
        The scheduler doesn't answer.
    """
    return dict(client.nthreads(callback_timeout=_ANSWER_SECONDS))


@contextlib.contextmanager
def connected(where: str, tell: Callable[[str], None]) -> Iterator[DaskRunner]:
    """Connect to a cluster, and wait for its first worker.

    Parameters
    ----------
    where
        ``tcp://host:8786`` and the like, ``host:8786``, or the path of a scheduler's file.
    tell
        Called with a line for the user when it takes longer.

    Raises
    ------
    EngineError
        Dask isn't installed, there is no scheduler, or it has no workers.
    """
    client = _client(where, tell)
    try:
        _wait_for_a_worker(client, where, tell)
        yield DaskRunner(client, where)
    finally:
        with contextlib.suppress(OSError, TimeoutError):  # the scheduler has gone
            client.close(_ANSWER_SECONDS)


def is_address(where: str) -> bool:
    """Whether this is a scheduler's address, and not its file.

    Examples
    --------
    >>> [is_address(w) for w in ("tcp://10.0.0.1:8786", "login1:8786", "/home/me/s.json", "s.json")]
    [True, True, False, False]
    """
    return bool(re.fullmatch(r"[a-z]+://.+|[^/\\]+:\d+", where))


def _client(where: str, tell: Callable[[str], None]) -> Client:
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise EngineError(f"--executor dask: {error.name} isn't installed: {INSTALL}") from error
    wait = _Wait(SCHEDULER_SECONDS, f"waits for the scheduler at {printable(where)}", tell)
    while True:
        try:
            return _connect(where)
        except (OSError, ValueError) as error:
            why = " ".join(str(error).split())
            # A file may be in the middle of being written; an address is as it is.
            if (isinstance(error, ValueError) and is_address(where)) or wait.over():
                raise _no_scheduler(where, why) from error


def _connect(where: str) -> Client:
    from distributed import Client

    address = where if is_address(where) else _address_in(Path(where))
    # A client that fails to connect leaves a thread, so see first whether somebody answers.
    at = urlsplit(address if "://" in address else f"tcp://{address}")
    if at.scheme in ("tcp", "tls"):
        socket.create_connection((at.hostname, at.port or 8786), _ANSWER_SECONDS).close()
    return Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)


def _address_in(file: Path) -> str:
    with file.open(encoding="utf-8") as opened:
        said = json.load(opened)
    address = said.get("address") if isinstance(said, dict) else None
    if not isinstance(address, str):
        raise ValueError("it is no scheduler's file")
    return address


def _no_scheduler(where: str, why: str) -> EngineError:
    start = "dask scheduler" if is_address(where) else "dask scheduler --scheduler-file FILE"
    return EngineError(
        f"--executor dask: no scheduler answers at {printable(where)} ({why}); start one with its "
        f"workers ({start}), or correct the address"
    )


def _wait_for_a_worker(client: Client, where: str, tell: Callable[[str], None]) -> None:
    wait = _Wait(WORKER_SECONDS, f"waits for workers of the scheduler at {printable(where)}", tell)
    while True:
        try:
            if threads_of(client):
                return
        except OSError as error:
            raise _no_scheduler(where, " ".join(str(error).split())) from error
        if wait.over():
            raise EngineError(
                f"--executor dask: the scheduler at {printable(where)} has no workers after "
                f"{WORKER_SECONDS:.0f} s; start some: dask worker {client.scheduler.address}"
            )


class _Wait:
    """A wait that is told once it takes longer, and that has an end."""

    def __init__(self, seconds: float, line: str, tell: Callable[[str], None]) -> None:
        self._begun, self._seconds, self._line, self._tell = time.monotonic(), seconds, line, tell

    def over(self) -> bool:
        """Whether the time is over; else waits a moment."""
        waited = time.monotonic() - self._begun
        if waited >= self._seconds:
            return True
        if self._line and waited >= _TELL_SECONDS:
            self._tell(self._line)
            self._line = ""
        time.sleep(_LOOK_AGAIN_SECONDS)
        return False


def hush() -> None:
    """Keep Dask from printing in this process: what matters is told in this program's own lines."""
    with contextlib.suppress(ModuleNotFoundError):  # which `connected` reports
        import distributed  # noqa: F401 - sets up its loggers, some of them with levels of their own
    for name in ["distributed", *logging.root.manager.loggerDict]:
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"distributed\.")
