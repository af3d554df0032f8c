"""The ranks of an MPI job as a runner: every rank runs the same program, and rank 0 leads.

::

    srun -n 65 imagenet-subset --subset_name imagenet30 --executor mpi
    mpiexec -n 65 imagenet-subset --subset_name imagenet30 --executor mpi

MPI ends the whole job when a rank dies; a rerun resumes.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, TypeVar

from imagenet_subset.errors import EngineError
from imagenet_subset.execution.borrowed import Borrowed
from imagenet_subset.execution.context import Context, entered
from imagenet_subset.execution.nursery import import_all
from imagenet_subset.execution.signals import signals_noted
from pipelines.driver import Driver, find_driver

if TYPE_CHECKING:
    from mpi4py.MPI import Intracomm

T = TypeVar("T")

INSTALL = 'pip install "mpi4py>=4"'
"""What the extra ``mpi`` installs, beside an MPI."""
_RANKS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID")
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")
"""What mpiexec and srun tell the processes that they start: which one it is, and of how many."""


class MpiRunner(Borrowed):
    """All ranks of the job but the one that leads."""

    _warm = False

    def warm_up(self, modules: Sequence[str]) -> None:
        """Have each rank import what it will need; once."""
        if not self._warm:
            self._warm = True
            for _ in range(self.workers):  # one that imports takes no second task
                self._submit(functools.partial(import_all, modules))


_joined: list[MpiRunner | None] = []
"""What rank 0 leads, while it is in a job: None where it is the only rank."""


def told_rank() -> int:
    """Rank of this process as the program says that started it; 0 if none did."""
    return _told(_RANKS, 0)


def _told(names: tuple[str, ...], default: int) -> int:
    values = (os.environ.get(name, "") for name in names)
    return next((int(value) for value in values if value.isdecimal()), default)


@contextlib.contextmanager
def joined(*, share_gpus: bool = True) -> Iterator[bool]:
    """Take this process into the job of all ranks; `leading` is what rank 0 then leads.

    Parameters
    ----------
    share_gpus
        Whether the ranks of a machine, each of which sees several GPUs, have them in turn. Not if
        the user says which GPU each has.

    Yields
    ------
    bool
        Whether this rank leads. The others come here when they have done its work.

    Raises
    ------
    EngineError
        There is no mpi4py or no MPI, or they don't go with the program that started the ranks.
    """
    comm = _world()
    if comm.size == 1:
        with _leading(None):
            yield True
        return
    from mpi4py.futures import MPICommExecutor

    with contextlib.ExitStack() as as_worker:
        machine = _ranks_of_this_machine(comm)
        if comm.rank:
            if share_gpus:
                _take_a_gpu(machine.index(comm.rank) - (0 in machine))
            should_stop = as_worker.enter_context(signals_noted())
            as_worker.enter_context(entered(Context(should_stop=should_stop)))
        with MPICommExecutor(comm, root=0) as executor:
            as_worker.close()
            if not isinstance(executor, Executor):
                yield False
                return
            with _leading(MpiRunner(executor)):
                yield True


@contextlib.contextmanager
def _leading(runner: MpiRunner | None) -> Iterator[None]:
    _joined.append(runner)
    try:
        yield
    finally:
        _joined.pop()


def leading() -> MpiRunner | None:
    """Runner of the job that this rank leads; None if there is no other rank.

    Raises
    ------
    ValueError
        The process isn't in a job of `joined`.
    """
    if not _joined:
        raise ValueError("joined comes first")
    return _joined[-1]


def on_every_rank(work: Callable[[], T], *, share_gpus: bool) -> T:
    """Have rank 0 do a work that it leads; its result, or its error, on every rank."""
    outcome = b""
    with joined(share_gpus=share_gpus) as leads:
        if leads:
            outcome = _outcome(work)
    good, value = pickle.loads(_world().bcast(outcome, root=0))
    if good:
        return value  # type: ignore[no-any-return]
    raise value


def _outcome(work: Callable[[], T]) -> bytes:
    """Whether a work went well, and its result or its error; pickled."""
    try:
        return pickle.dumps((True, work()))
    except BaseException as error:
        try:
            return pickle.dumps((False, error))
        except Exception:
            return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))


def _world() -> Intracomm:
    """All ranks, once MPI has started."""
    try:
        from mpi4py import MPI
    except ModuleNotFoundError as error:
        raise EngineError(f"--executor mpi: {error.name} isn't installed: {INSTALL}") from error
    except (ImportError, RuntimeError) as error:
        why = " ".join(str(error).split())
        raise EngineError(
            f"--executor mpi: mpi4py finds no MPI ({why}); install one, or load its module"
        ) from error
    comm, told = MPI.COMM_WORLD, _told(_SIZES, 1)
    if comm.size == 1 and told > 1:
        library = " ".join(re.split(r"[,\n]", MPI.Get_library_version())[0].split())
        raise EngineError(
            f"--executor mpi: {told} processes were started, but mpi4py's MPI ({library}) doesn't "
            "connect them; start them by the mpiexec of this MPI, or by srun with --mpi=pmix or "
            "--mpi=pmi2 as it needs"
        )
    return comm


def _ranks_of_this_machine(comm: Intracomm) -> list[int]:
    """Ranks that share this machine's memory."""
    from mpi4py import MPI

    machine = comm.Split_type(MPI.COMM_TYPE_SHARED)
    try:
        return list(machine.allgather(comm.rank))
    finally:
        machine.Free()


def _take_a_gpu(index: int) -> None:
    """Have this process see one GPU alone, if it sees several: the ranks of a machine in turn.

    Slurm's ``--gpus-per-task=1`` has done it already. It works until CUDA is loaded.
    """
    found = find_driver()
    if isinstance(found, Driver) and len(found.gpus) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = found.gpus[index % len(found.gpus)].visible
        find_driver.cache_clear()
