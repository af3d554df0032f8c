"""Reaches the scheduler of a Dask cluster that is there already, and waits for its first worker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_subset.errors import EngineError
from imagenet_subset.system.text import printable

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
_ANSWER_SECONDS = 5.0
"""How long it has to answer."""
_LARGEST_FILE = 1 << 20
_LOOK_AGAIN_SECONDS = 0.2


@contextlib.contextmanager
def reached(where: str, tell: Callable[[str], None]) -> Iterator[Client]:
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
        yield client
    finally:
        with contextlib.suppress(OSError, TimeoutError):  # the scheduler has gone
            client.close(_ANSWER_SECONDS)


def threads_of(client: Client) -> dict[str, int]:
    """Threads of each worker, by its address.

    Raises
    ------
    OSError, TimeoutError
        The scheduler doesn't answer.
    """
    return dict(client.nthreads(callback_timeout=_ANSWER_SECONDS))


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
        except Exception as error:
            why = " ".join(str(error).split()) or f"nothing within {_ANSWER_SECONDS:.0f} s"
            if not _may_pass(error, where) or wait.over():
                raise _no_scheduler(where, why) from error


def _may_pass(error: Exception, where: str) -> bool:
    """Whether what failed may go well soon: somebody who isn't there yet, or a file half written.

    What is no address, what lacks a certificate, and a folder stay as they are.
    """
    if isinstance(error, ValueError):
        return not is_address(where)
    return isinstance(error, OSError) and not isinstance(error, IsADirectoryError)


def _connect(where: str) -> Client:
    from distributed import Client

    address = where if is_address(where) else _address_in(Path(where))
    # A client waits without end for what takes a connection and says nothing, and leaves a thread
    # where it can't connect. The thread here has a loop of its own; a notebook's is at work.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, _answers(address)).result()
    return Client(address, timeout=_ANSWER_SECONDS, set_as_default=False)


async def _answers(address: str) -> None:
    """See that a scheduler answers there, in time."""
    from distributed.core import rpc
    from distributed.security import Security

    async with asyncio.timeout(_ANSWER_SECONDS):
        async with rpc(address, connection_args=Security().get_connection_args("client")) as said:
            await said.identity()


def _address_in(file: Path) -> str:
    with file.open("rb") as opened:
        content = opened.read(_LARGEST_FILE)
    try:
        said = json.loads(content)
    except ValueError:
        said = None
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
        if self._line and waited >= _TELL_SECONDS:
            self._tell(self._line)
            self._line = ""
        if waited >= self._seconds:
            return True
        time.sleep(_LOOK_AGAIN_SECONDS)
        return False


def hush() -> None:
    """Keep Dask from printing in this process: what matters is told in this program's own lines."""
    with contextlib.suppress(ModuleNotFoundError):  # which `connected` reports
        import distributed  # noqa: F401 - sets up its loggers, some of them with levels of their own
    for name in ["distributed", *logging.root.manager.loggerDict]:
        if name.partition(".")[0] in ("distributed", "tornado"):  # the latter runs its callbacks
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    warnings.filterwarnings("ignore", module=r"distributed\.")
