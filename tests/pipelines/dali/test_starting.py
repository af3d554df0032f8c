"""A DALI or a CuPy that doesn't start: one line, whatever they raise."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")


from pipelines.base import PipelineUnavailableError
from pipelines.dali.errors import OutOfMemoryError
from pipelines.dali.graph import build_graph
from pipelines.dali.staging import open_stage
from pipelines.packages import installed
from tests.harness import cupy_stand_in as cupy
from tests.harness.cupy_stand_in import CUDARuntimeError
from tests.harness.dali_graphs import SHORT, raising

ENDING = "; imagenet-subset selftest shows versions, --device cpu works without"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("no luck"),
        ValueError("no luck"),
        TypeError("no luck"),
        ImportError("no luck"),
        ModuleNotFoundError("no luck"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_dali_that_will_not_start_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("nvidia.dali.pipeline_def", raising(error))
    with pytest.raises(PipelineUnavailableError) as caught:
        build_graph("gpu", 8, 2, 0, 224)
    assert str(caught.value) == "DALI won't start on the GPU: no luck" + ENDING
    assert not isinstance(caught.value, OutOfMemoryError)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError(SHORT)], ids=["host", "device"])
def test_a_dali_without_memory_says_so(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr("nvidia.dali.pipeline_def", raising(error))
    with pytest.raises(OutOfMemoryError):
        build_graph("gpu", 8, 2, 0, 224)


@pytest.mark.skipif(installed("cupy"), reason="CuPy is installed")
def test_a_cupy_that_is_missing_makes_the_gpu_unavailable() -> None:
    with pytest.raises(PipelineUnavailableError) as caught:
        open_stage("gpu", (8, 224, 224, 3), 0)
    assert str(caught.value) == "CuPy won't start on the GPU: No module named 'cupy'" + ENDING


def test_a_cupy_without_its_libraries_makes_the_gpu_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "cupy":
                raise ImportError(cupy.IMPORT_FAILS)

    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    with pytest.raises(
        PipelineUnavailableError, match=r"on the GPU: ImportError: libcudart\.so\.13: "
    ):
        open_stage("gpu", (8, 224, 224, 3), 0)


@pytest.mark.parametrize("step", ["Device", "Stream", "Event"])
@pytest.mark.usefixtures("ring")  # for its CuPy
def test_a_card_that_others_have_for_themselves_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    monkeypatch.setattr(f"cupy.cuda.{step}", raising(CUDARuntimeError(46)))
    with pytest.raises(PipelineUnavailableError) as caught:
        open_stage("gpu", (8, 224, 224, 3), 0)
    words = "cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy or unavailable"
    assert str(caught.value) == f"CuPy won't start on the GPU: {words}" + ENDING


@pytest.mark.parametrize(
    "error", [CUDARuntimeError(2), cupy.OutOfMemoryError(1 << 30, 0)], ids=["CUDA", "CuPy"]
)
@pytest.mark.usefixtures("ring")
def test_a_ring_for_which_there_is_no_memory_says_so(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("cupyx.empty_pinned", raising(error))
    with pytest.raises(OutOfMemoryError) as caught:
        open_stage("gpu", (8, 224, 224, 3), 0)
    assert str(caught.value) == (
        f"out of memory for batches of 8 ({error}): free memory on the GPU, or try "
        "--dali_processes 1 or a smaller --batch_size; --device cpu works without"
    )
