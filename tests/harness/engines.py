"""A Dask cluster and MPI jobs on this machine, started by the command lines that people type."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType

import pytest

from pipelines.packages import installed
from tests.harness.processes import wait_for

NONE: Mapping[str, str] = MappingProxyType({})
DASK = [sys.executable, "-m", "dask"]
MPIEXEC = "mpiexec"
AS_ROOT = {
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    # Ranks that wait shall not take the cores from those that work.
    "OMPI_MCA_mpi_yield_when_idle": "1",
}

needs_dask = pytest.mark.skipif(
    not installed("distributed"), reason="the dask extra isn't installed"
)
needs_mpi = pytest.mark.skipif(
    not installed("mpi4py") or not shutil.which(MPIEXEC),
    reason="the mpi extra or mpiexec isn't installed",
)


needs_root = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="mounts file systems"
)


def mounted_over(folder: Path) -> list[str]:
    """Head of a command line that sees an empty file system in place of a folder."""
    return ["unshare", "-m", "sh", "-c", f"mount -t tmpfs tmpfs '{folder}' && exec \"$@\"", "sh"]


def mpiexec(ranks: int, *under: str) -> list[str]:
    """Head of a command line that runs the rest of it on so many ranks."""
    return [MPIEXEC, "-n", str(ranks), "--oversubscribe", *under]


class Cluster:
    """A Dask scheduler, with workers that are one process each.

    Parameters
    ----------
    folder
        Gets the scheduler's file and the logs.
    """

    def __init__(self, folder: Path, env: Mapping[str, str] = NONE) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._env = folder, env
        self.file = folder / "scheduler.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start(
            "scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard",
            "--scheduler-file", str(self.file),
        )  # fmt: skip
        wait_for(lambda: self.file.exists() and self.file.read_bytes().endswith(b"}"))

    @property
    def engine(self) -> str:
        """As ``--executor`` has it."""
        return f"dask:{self.file}"

    def add_worker(
        self,
        *,
        threads: int = 1,
        env: Mapping[str, str] = NONE,
        under: Sequence[str] = (),
    ) -> subprocess.Popen[bytes]:
        """Start a worker, which joins when it is ready."""
        worker = self._start(
            "worker", "--nthreads", str(threads), "--no-dashboard",
            "--no-nanny", "--scheduler-file", str(self.file),
            "--local-directory", str(self._folder), env=env, under=under,
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def with_workers(self, count: int) -> Cluster:
        """Start so many workers, and wait until they have joined."""
        from distributed import Client

        for _ in range(count):
            self.add_worker()
        with Client(scheduler_file=str(self.file), set_as_default=False) as client:
            client.wait_for_workers(count, timeout=120)
        return self

    def at_work(self) -> list[str]:
        """Tasks that the scheduler knows of."""
        from distributed import Client

        with Client(scheduler_file=str(self.file), set_as_default=False) as client:
            return list(client.run_on_scheduler(_tasks))

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        for process in (*self.workers, self.scheduler):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(
        self, *words: str, env: Mapping[str, str] = NONE, under: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        log = self._folder / f"{words[0]}-{len(self.workers)}.log"
        with log.open("wb") as file:
            return subprocess.Popen(
                [*under, *DASK, *words],
                env={**os.environ, **self._env, **env},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )


def _tasks(dask_scheduler: object) -> list[str]:
    return [str(key) for key in dask_scheduler.tasks]  # type: ignore[attr-defined]
