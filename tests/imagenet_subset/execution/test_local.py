"""Worker processes of the pool on this machine, each in an environment of its own."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imagenet_subset.execution.context import current
from imagenet_subset.execution.local import LocalPool
from imagenet_subset.execution.processes import begin_workers
from imagenet_subset.execution.runner import WorkerDied
from pipelines.choice import PipelineConfig
from pipelines.driver import Gpu
from tests.harness.gpus import H100, MIG, T4

CARDS = tuple(Gpu(index, *card[:2]) for index, card in ((0, H100), (2, T4), (5, MIG)))
NAME = "CUDA_VISIBLE_DEVICES"


def seen(folder: str, workers: int) -> tuple[int, str | None, list[str]]:
    """What the worker sees, once all of them are at work: so each slot has a task."""
    slot = current().slot
    Path(folder, str(slot)).touch()
    end = time.monotonic() + 60
    while len(os.listdir(folder)) < workers and time.monotonic() < end:
        time.sleep(0.01)
    return slot, os.environ.get(NAME), sorted({"numpy", "cupy", "nvidia"} & sys.modules.keys())


def seen_by_all(config: PipelineConfig, folder: Path) -> dict[int, str | None]:
    folder.mkdir()
    answers: dict[int, str | None] = {}

    def take(_: int, answer: tuple[int, str | None, list[str]]) -> None:
        slot, visible, modules = answer
        assert not {"cupy", "nvidia"} & set(modules)
        answers[slot] = visible

    task: Callable[[], tuple[int, str | None, list[str]]]
    task = functools.partial(seen, str(folder), config.processes)
    with LocalPool(config.processes, config.environments) as pool:
        pool.warm_up()
        pool.run(iter([(k, task) for k in range(config.processes)]), take)
    return answers


@pytest.fixture(params=["forked", "spawned"])
def _kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "spawned":
        monkeypatch.delattr(os, "fork", raising=False)
    elif not hasattr(os, "fork"):
        pytest.skip("there is no fork here")


def config(processes: int, cards: tuple[Gpu, ...]) -> PipelineConfig:
    return PipelineConfig("dali", "gpu", 256, 1, processes, cards=cards)


@pytest.mark.usefixtures("_kind")
def test_each_worker_sees_its_card_alone_and_the_slots_have_them_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAME, "0,1,2,3,4,5,6,7")
    mig = "MIG-ffeeddcc-bbaa-9988-7766-554433221100"
    first = "GPU-01234567-89ab-cdef-0123-456789abcdef"
    second = "GPU-fedcba98-7654-3210-fedc-ba9876543210"
    answers = seen_by_all(config(6, CARDS), tmp_path / "six")
    assert answers == {0: first, 1: second, 2: mig, 3: first, 4: second, 5: mig}
    assert os.environ[NAME] == "0,1,2,3,4,5,6,7"


@pytest.mark.usefixtures("_kind")
def test_on_the_cpu_nothing_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "7")
    assert seen_by_all(config(2, ()), tmp_path / "two") == {0: "7", 1: "7"}


def test_a_worker_opens_the_card_that_it_sees_alone() -> None:
    of_the_build = PipelineConfig("dali", "gpu", 256, 1, 4, gpu=2, cards=CARDS[1:])
    assert of_the_build.for_pool().gpu == 0
    assert [str(of_the_build.card(slot)) for slot in range(3)] == [
        "GPU 2 (Tesla T4)",
        "GPU 5 (NVIDIA A100-SXM4-40GB MIG 1g.5gb)",
        "GPU 2 (Tesla T4)",
    ]


def first_slot() -> int:
    return current().slot


def test_a_first_task_runs_before_the_others_and_the_pool_goes_on() -> None:
    with LocalPool(2) as pool:
        pool.warm_up()
        assert pool.first(first_slot).result(60) == 0
        taken: dict[int, int] = {}
        pool.run(iter([(k, first_slot) for k in range(4)]), taken.__setitem__)
    assert taken.keys() == set(range(4))


@pytest.mark.usefixtures("_kind")
def test_a_pool_ends_at_once_though_its_first_task_hangs() -> None:
    with LocalPool(1) as pool:
        pool.warm_up()
        hanging = pool.first(functools.partial(time.sleep, 1000))
    assert hanging.cancelled() or isinstance(hanging.exception(60), WorkerDied)


def die() -> None:
    os._exit(3)


def test_a_worker_that_died_is_known_by_its_slot() -> None:
    with LocalPool(1) as pool:
        pool.warm_up()
        with pytest.raises(WorkerDied) as caught:
            pool.run(iter([(0, die)]), lambda *_: None)
    assert (caught.value.slot, caught.value.how) == (0, "ended with exit status 3")


def loaded() -> set[str]:
    return {"colorsys", "this_is_no_module", "wave"} & sys.modules.keys()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_workers_that_were_begun_early_have_what_was_asked_for_then_and_later() -> None:
    taken: dict[int, set[str]] = {}
    with LocalPool(3, begun=begin_workers(["colorsys", "this_is_no_module"])) as pool:
        pool.warm_up(["wave"])
        pool.run(iter([(k, loaded) for k in range(9)]), taken.__setitem__)
    assert taken == {key: {"colorsys", "wave"} for key in range(9)}


def children() -> int:
    return len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc on this system")
def test_what_was_begun_and_is_not_needed_leaves_no_process_behind() -> None:
    before, files = children(), len(os.listdir("/proc/self/fd"))
    workers = begin_workers(["colorsys"])
    workers.close()
    workers.close()
    LocalPool(2, begun=begin_workers()).close()
    assert children() == before
    assert len(os.listdir("/proc/self/fd")) == files


def blas_threads() -> str | None:
    return os.environ.get("OPENBLAS_NUM_THREADS")


@pytest.mark.usefixtures("_kind")
@pytest.mark.parametrize(("theirs", "seen"), [(None, "1"), ("3", "3")])
def test_workers_have_no_idle_threads_of_openblas_unless_somebody_wants_them(
    theirs, seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if theirs:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", theirs)
    with LocalPool(1) as pool:
        pool.warm_up()
        assert pool.first(blas_threads).result(60) == seen
    assert os.environ.get("OPENBLAS_NUM_THREADS") == theirs
