"""Which pipeline is chosen, and what is said when one can't run."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from pipelines.base import PipelineUnavailableError
from pipelines.choice import resolve
from pipelines.cuda import Missing, find_gpu
from pipelines.driver import Driver, find_driver
from pipelines.kinds import KINDS, NAMES
from pipelines.packages import TURBO_PACKAGES, installed
from pipelines.request import PipelineRequest

GPU = KINDS["dali", "gpu"]
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="DALI is for Linux only")
no_gpu = pytest.mark.skipif(isinstance(find_gpu(GPU), Driver), reason="there is a usable GPU here")
dali = pytest.mark.skipif(not installed("nvidia.dali"), reason="DALI isn't installed")


def test_pillow_runs_everywhere_with_a_process_for_each_worker() -> None:
    config = resolve(PipelineRequest("cpu", "pillow"), 3)
    assert (config.name, config.device, config.threads, config.processes) == ("pillow", "cpu", 1, 3)
    assert config.why == "cpu (pillow): as asked"


def test_the_cpu_never_takes_dali_unasked() -> None:
    config = resolve(PipelineRequest("cpu"), 2)
    quick = all(map(installed, TURBO_PACKAGES))
    assert config.name == ("turbo" if quick else "pillow")
    assert config.why.startswith(f"cpu ({config.name}): ")


@dali
def test_dalis_cpu_backend_is_one_process_with_a_thread_for_each_worker() -> None:
    config = resolve(PipelineRequest("cpu", "dali"), 3)
    assert (config.name, config.device, config.threads, config.processes) == ("dali", "cpu", 3, 1)
    assert config.why == "cpu (dali): as asked"


@no_gpu
def test_auto_without_a_gpu_takes_the_cpu_and_says_why() -> None:
    config = resolve(PipelineRequest("auto"), 2)
    assert config.device == "cpu"
    assert "\n" not in config.why
    missing = find_gpu(GPU)
    assert isinstance(missing, Missing)
    assert missing.what in config.why


@no_gpu
@linux
def test_asking_for_a_gpu_that_is_not_there_says_what_is_missing_and_what_to_do() -> None:
    with pytest.raises(PipelineUnavailableError) as caught:
        resolve(PipelineRequest("gpu"), 2)
    message = str(caught.value)
    assert message.startswith("--device gpu: ")
    assert "\n" not in message
    if find_spec("cupy") is None:
        assert "CuPy" in message
        assert 'pip install "nvidia-dali-cuda120>=2.2" "cupy-cuda12x>=13"' in message
    elif isinstance(driver := find_driver(), str):
        assert driver in message
    assert message.endswith("--device cpu works without")


@pytest.mark.parametrize("pipeline", ["pillow", "turbo"])
def test_a_cpu_pipeline_on_the_gpu_is_refused(pipeline: str) -> None:
    with pytest.raises(PipelineUnavailableError, match=f"{pipeline} runs on the CPU only"):
        resolve(PipelineRequest("gpu", pipeline), 1)


@pytest.mark.parametrize("batch_size", [0, -1, 10**9])
def test_nonsense_batch_sizes_are_refused(batch_size: int) -> None:
    with pytest.raises(ValueError, match="batch_size is 1 to"):
        PipelineRequest("cpu", "pillow", batch_size=batch_size)


@pytest.mark.parametrize(
    ("device", "pipeline", "workers"),
    [("tpu", "auto", 1), ("cpu", "magick", 1), ("cpu", "auto", 0)],
)
def test_nonsense_arguments_are_refused(device: str, pipeline: str, workers: int) -> None:
    with pytest.raises(ValueError, match="not"):
        resolve(PipelineRequest(device, pipeline), workers)


@pytest.mark.parametrize(
    "gpu", [-1, [-1], [0, 0], [], "none", "0", b"\0", True, 1.0, [0.5], np.array([0, -1]), {}]
)
def test_gpus_that_make_no_sense_are_refused(gpu) -> None:
    with pytest.raises(ValueError, match=r"^gpu is an index from 0 on, several different ones or"):
        PipelineRequest(gpu=gpu)


@pytest.mark.parametrize(
    ("gpu", "kept"),
    [(3, (3,)), (np.int64(2), (2,)), ([1, 0], (1, 0)), (np.array([0, 2]), (0, 2)), ("all", "all"),
     (range(2), (0, 1)), (None, None)],
)  # fmt: skip
def test_gpus_are_kept_as_a_tuple(gpu, kept) -> None:
    assert PipelineRequest(gpu=gpu).gpu == kept


@pytest.mark.parametrize("processes", [0, -1, 65, 2.5, True, "2", "all"])
def test_processes_that_make_no_sense_are_refused(processes) -> None:
    with pytest.raises(ValueError, match=r"^dali_processes is 1 to 64, or 'auto', not "):
        PipelineRequest(dali_processes=processes)


@pytest.mark.parametrize(("processes", "kept"), [("auto", None), (None, None), (np.int32(3), 3)])
def test_processes_may_be_left_to_the_program(processes, kept) -> None:
    assert PipelineRequest(dali_processes=processes).dali_processes == kept


def test_a_batch_size_that_was_asked_for_is_taken() -> None:
    assert resolve(PipelineRequest("cpu", "pillow", batch_size=5), 1).batch_size == 5


def test_a_request_and_a_config_travel_between_processes() -> None:
    request = PipelineRequest("cpu", "pillow", batch_size=7, gpu=1)
    assert pickle.loads(pickle.dumps(request)) == request
    config = resolve(request, 2)
    travelled = pickle.loads(pickle.dumps(config))
    assert (travelled, travelled.why) == (config, config.why)


def test_why_a_pipeline_was_taken_makes_no_other_pipeline() -> None:
    config = resolve(PipelineRequest("cpu", "pillow"), 2)
    assert config == replace(config, why="as told")
    assert config != replace(config, batch_size=1)


@pytest.mark.parametrize("name", NAMES)
def test_a_config_opens_its_pipeline_and_knows_its_versions(name: str) -> None:
    try:
        config = resolve(PipelineRequest("cpu", name), 2)
    except PipelineUnavailableError as error:
        pytest.skip(str(error))
    pipeline = config.open()
    assert list(pipeline.run([])) == []
    pipeline.close()
    versions = config.versions()
    assert versions.keys() >= config.kind.wheels.keys() | {"pillow"}
    assert "unknown" not in versions.values()


@dali
def test_a_unit_of_work_is_several_dali_batches() -> None:
    config = resolve(PipelineRequest("cpu", "dali", batch_size=32), 2)
    assert config.shard_size == 8 * 32


@dali
def test_dalis_version_is_read_without_importing_it() -> None:
    script = (
        "import sys; from pipelines.choice import resolve;"
        "from pipelines.request import PipelineRequest;"
        "resolve(PipelineRequest('cpu', 'dali'), 1).versions();"
        "print('nvidia.dali' in sys.modules, 'cupy' in sys.modules, 'llvmlite' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False"] * 3


def test_a_module_whose_parent_is_missing_is_not_installed() -> None:
    assert not installed("no_such_parent.child")


@pytest.mark.gpu
def test_a_gpu_is_taken_unasked() -> None:
    if isinstance(missing := find_gpu(GPU), Missing):
        pytest.skip(missing.everything)
    config = resolve(PipelineRequest(), 2)
    assert (config.name, config.device, config.processes) == ("dali", "gpu", 1)
    assert config.why.startswith("gpu (dali): ")


@pytest.mark.gpu
@pytest.mark.parametrize("gpu", [99])
def test_a_gpu_that_does_not_exist_is_refused(gpu: int) -> None:
    if isinstance(missing := find_gpu(GPU), Missing):
        pytest.skip(missing.everything)
    with pytest.raises(PipelineUnavailableError, match=f"--gpu {gpu}: the GPUs here are 0 to"):
        resolve(PipelineRequest("gpu", gpu=gpu), 1)
