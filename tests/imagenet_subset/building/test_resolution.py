"""A pipeline is resolved where it runs: the machine that plans may have none of it."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
import time
from collections import Counter
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from imagenet_subset import build
from imagenet_subset.building import resolution
from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.run import BuildResult, run_build
from imagenet_subset.building.start import begun
from imagenet_subset.errors import UnfitWorkerError, WorkerDiedError
from imagenet_subset.execution.borrowed import Borrowed
from imagenet_subset.execution.engines import Engine
from pipelines import choice
from pipelines.base import Pipeline, PipelineUnavailableError
from pipelines.choice import PipelineConfig
from pipelines.kinds import KINDS
from pipelines.packages import TURBO_PACKAGES, installed, wheel_version
from pipelines.request import PipelineRequest
from tests.harness.builds import Build
from tests.harness.executors import Elsewhere, hook, note_resolutions
from tests.harness.gpus import H100, PACKAGES, T4, driver_program
from tests.harness.planned import carried_out, planned
from tests.harness.tiers import thorough

pytestmark = pytest.mark.processes
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="DALI is for Linux only")
turbo = pytest.mark.skipif(
    not all(map(installed, TURBO_PACKAGES)), reason="the turbo extra isn't installed"
)
WITHOUT_TURBO = f"import sys\nsys.modules.update(dict.fromkeys({TURBO_PACKAGES!r}))\n"
"""Packages that can't be found and can't be imported."""
WORKER = rf"worker {os.uname().nodename if hasattr(os, 'uname') else '.*'} \(pid \d+\)"


def options(photos: Path, out: Path, **more: Any) -> BuildOptions:
    return BuildOptions(photos / "two.txt", photos, out, **{"workers": 1, **more})


def plan_with(executor: Executor, asked: BuildOptions) -> BuildPlan:
    with begun(asked, executor) as (plan, _):
        return plan


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def no_turbo_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TURBO_PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)
    assert KINDS["turbo", "cpu"].missing() == list(TURBO_PACKAGES)


@pytest.fixture
def without_turbo(tmp_path: Path) -> Executor:
    """Workers that have no turbo."""
    return Elsewhere(env=hook(tmp_path / "hook", WITHOUT_TURBO))


# Planning


@turbo
@pytest.mark.usefixtures("no_turbo_here")
def test_a_plan_is_for_what_the_worker_has_and_not_for_what_is_here(photos, tmp_path) -> None:
    plan = plan_with(Elsewhere(), options(photos, tmp_path, device="cpu"))
    assert plan.config.name == plan.provenance.pipeline == "turbo"
    assert plan.provenance.versions["simplejpeg"] == wheel_version("simplejpeg")
    assert plan.notes[0] == "cpu (turbo): as asked"


@thorough("takes executors of others")
@turbo
def test_a_build_planned_without_turbo_has_the_bytes_of_workers_that_have_it(
    photos, tmp_path, request
) -> None:
    def built(out: Path, executor: Engine) -> BuildResult:
        with begun(options(photos, out, device="cpu"), executor) as (plan, runner):
            return run_build(plan, runner=runner)

    here = built(tmp_path / "here", "local")
    assert here.plan.config.name == "turbo"
    request.getfixturevalue("no_turbo_here")
    there = built(tmp_path / "there", Elsewhere())
    assert sha256(there.npz) == sha256(here.npz)


@turbo
def test_a_worker_without_turbo_makes_a_plan_for_pillow(photos, tmp_path, without_turbo) -> None:
    plan = plan_with(without_turbo, options(photos, tmp_path, device="cpu"))
    assert plan.config.name == "pillow"
    assert "simplejpeg" not in plan.versions
    assert plan.notes[0].startswith("cpu (pillow): as asked; turbo is quicker: pip install ")


@turbo
def test_what_a_worker_lacks_is_reported_with_its_name(photos, tmp_path, without_turbo) -> None:
    where = photos / "two.txt", photos, tmp_path / "out"
    with pytest.raises(PipelineUnavailableError) as caught:
        build(*where, device="cpu", pipeline="turbo", executor=without_turbo)
    assert caught.match(f"^{WORKER}: --pipeline turbo isn't installed: pip install .*$")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


@linux
def test_a_gpu_is_the_workers_and_planned_for_where_there_is_none(photos, tmp_path) -> None:
    """The worker's driver is a stub that says what there is. Nothing is decoded."""
    driver = driver_program(tmp_path / "driver", [H100, T4], 12080)
    code = f"{PACKAGES}sys.executable = {str(driver)!r}\n"
    workers = Elsewhere(env=hook(tmp_path / "hook", code))
    asked = options(photos, tmp_path, device="gpu", gpu=1, batch_size=32, workers=3)
    plan = plan_with(workers, asked)
    config = plan.config
    assert (config.name, config.device, config.gpu) == ("dali", "gpu", 1)
    assert (config.batch_size, config.threads, config.processes) == (32, 3, 1)
    assert plan.notes[0] == "gpu (dali): Tesla T4, driver for CUDA 12.8"
    assert (plan.provenance.device, plan.provenance.versions) == ("gpu", plan.versions)
    with pytest.raises(PipelineUnavailableError, match=f"^{WORKER}: --gpu 2: the GPUs here are 0"):
        plan_with(workers, options(photos, tmp_path, device="gpu", gpu=2))


def test_several_gpus_are_for_one_machine_alone(photos, tmp_path) -> None:
    asked = options(photos, tmp_path, device="gpu", gpu=[0, 2])
    with pytest.raises(ValueError, match=r"^--gpu 0,2 is for the processes of one machine; "):
        plan_with(Elsewhere(), asked)


def test_a_worker_uses_all_cores_that_its_machine_allows(photos, tmp_path) -> None:
    workers = Elsewhere(env={"SLURM_CPUS_PER_TASK": "1"})
    asked = options(photos, tmp_path, device="cpu", pipeline="pillow", workers=None)
    assert plan_with(workers, asked).config.processes == 1


def test_nonsense_is_refused_before_a_worker_is_asked(photos, tmp_path) -> None:
    class Idle(ThreadPoolExecutor):
        def submit(self, *_args, **_kwargs):
            pytest.fail("a task was submitted")

    with Idle(1) as executor, pytest.raises(ValueError, match=r"^batch_size is 1 to 4096, not 0$"):
        build(photos / "two.txt", photos, tmp_path, batch_size=0, executor=executor)


def test_an_executor_that_breaks_when_it_is_asked_is_reported_in_one_line(photos, tmp_path) -> None:
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(WorkerDiedError) as caught:
        build(photos / "two.txt", photos, tmp_path, device="cpu", executor=executor)
    assert caught.match("^the executor gave up: RuntimeError: cannot schedule new futures after ")
    assert caught.match("; nothing was begun$")


def test_a_build_takes_an_executor_that_is_reported_how_much_to_take(
    photos, expected, tmp_path
) -> None:
    with ThreadPoolExecutor(2) as executor:
        one = Borrowed(executor, ahead=1)
        result = build(photos / "two.txt", photos, tmp_path, pipeline="pillow", executor=one)
    assert sha256(result.npz) == expected


# Workers


@turbo
@pytest.mark.parametrize(
    ("pipeline", "said"),
    [
        ("auto", "might make other pixels: pipeline cpu (turbo) where the build was planned, "
                 "cpu (pillow) there; simplejpeg "),
        ("turbo", "can't decode as planned: cpu (turbo) where the build was planned; there "
                  "--pipeline turbo isn't installed: pip install "),
    ],
)  # fmt: skip
def test_a_worker_that_resolves_otherwise_ends_the_build_which_can_go_on(
    photos, tmp_path, without_turbo, pipeline, said
) -> None:
    plan = planned(photos / "two.txt", photos, tmp_path, device="cpu", pipeline=pipeline)
    with pytest.raises(UnfitWorkerError) as caught:
        carried_out(plan, executor=without_turbo)
    assert caught.match(f"^{WORKER} ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert plan.output.partial.exists()
    assert not plan.output.npz.exists()
    assert carried_out(plan).decoded == sum(plan.rows.values())


def test_threads_of_a_process_resolve_once_in_a_run(photos, tmp_path, monkeypatch) -> None:
    calls = []

    def resolve(request: PipelineRequest, cores: int) -> PipelineConfig:
        calls.append((request, cores))
        time.sleep(0.2)
        return choice.resolve(request, cores)

    monkeypatch.setattr(resolution, "resolve", resolve)
    asked = options(photos, tmp_path, device="cpu", pipeline="pillow", batch_size=4, overwrite=True)
    with ThreadPoolExecutor(3) as executor:
        for n in (1, 2):
            with begun(asked, executor) as (plan, runner):
                assert len(calls) == 2 * n - 1
                run_build(plan, runner=runner)
            assert len(calls) == 2 * n
    assert set(calls) == {(asked.request, 1)}


def test_a_worker_opens_what_it_resolved_and_not_what_the_plan_says(
    photos, tmp_path, monkeypatch
) -> None:
    true, opened = PipelineConfig.open, []

    def open_noted(config: PipelineConfig, slot: int) -> Pipeline:
        opened.append(config.processes)
        return true(config, slot)

    monkeypatch.setattr(PipelineConfig, "open", open_noted)
    asked = options(photos, tmp_path, device="cpu", pipeline="pillow", workers=None)
    monkeypatch.setattr(resolution, "available_cores", lambda: 5)
    with ThreadPoolExecutor(1) as executor, begun(asked, executor) as (plan, runner):
        assert plan.config.processes == 5
        monkeypatch.setattr(resolution, "available_cores", lambda: 7)
        run_build(plan, runner=runner)
    assert set(opened) == {7}


def test_each_process_of_an_executor_resolves_once_in_a_run(photos, tmp_path) -> None:
    notes = tmp_path / "notes"
    context = multiprocessing.get_context("spawn")
    asked = {"device": "cpu", "pipeline": "pillow", "workers": 1}
    with ProcessPoolExecutor(2, context, note_resolutions, (notes,)) as executor:
        plan = planned(photos / "two.txt", photos, tmp_path, **asked)
        run_build(plan, runner=Borrowed(executor))
        resolved = Counter(notes.read_text().split())
        assert set(resolved.values()) == {1}
        assert str(os.getpid()) not in resolved


@linux
def test_no_worker_of_our_own_asks_the_driver_which_planning_has_asked(photos, tmp_path) -> None:
    """There is a driver to ask about, as far as packages go; no GPU is visible to it."""
    asked = tmp_path / "asked"
    code = (
        "import os, sys\n"
        "def note(event, args):\n"
        "    if event == 'subprocess.Popen' and 'cuInit' in str(args[1]):\n"
        f"        open({str(asked)!r}, 'a').write(f'{{os.getpid()}}\\n')\n"
        "sys.addaudithook(note)\n"
    )
    env = hook(tmp_path / "hook", code)
    (tmp_path / "hook/cupy.py").touch()
    (tmp_path / "hook/nvidia/dali").mkdir(parents=True)
    (tmp_path / "hook/nvidia/dali/__init__.py").touch()
    built = Build(photos, tmp_path / "out", "--device", "auto", "--pipeline", "auto")
    built.env = {**env, "CUDA_VISIBLE_DEVICES": ""}
    built.sha256()
    assert len(asked.read_text().split()) == 1
