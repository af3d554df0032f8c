"""What errors of DALI, nvImageCodec, CuPy and CUDA mean; the texts are those of their sources."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")


from pipelines.base import DeviceFailedError, PipelineUnavailableError
from pipelines.dali.errors import Failure, OutOfMemoryError, attempt
from pipelines.dali.graph import build_graph
from pipelines.dali.pipeline import DaliPipeline
from pipelines.dali.staging import PinnedRing, open_stage
from pipelines.packages import installed
from tests.contracts.pipeline import run
from tests.harness import cupy_stand_in as cupy
from tests.harness.cupy_stand_in import CUDARuntimeError, staged_pipeline
from tests.harness.dali_graphs import LOST, PLAIN, SHORT, Builds, Watched, poison

IN_AN_OPERATOR = """Critical error in pipeline:
Error in MIXED operator `nvidia.dali.fn.decoders.image`,
which was used in the pipeline definition with the following traceback:

  File "/x/pipelines/dali/graph.py", line 64, in define_graph
    images = fn.decoders.image(

encountered:

{}
Current pipeline object is no longer valid."""
CUDA_HAS = "CUDA runtime API error cudaError{} ({}):\n{}"
DRIVER_HAS = "CUDA driver API error CUDA_ERROR_{} ({}):\n{}"
CUPY_FAILS = """
================================================================
Failed to import CuPy.

If you installed CuPy via wheels (cupy-cudaXXX or cupy-rocm-X-X), see that it matches.

Original error:
  ImportError: libcudart.so.13: cannot open shared object file: No such file or directory
================================================================
"""


def within(words: str) -> RuntimeError:
    return RuntimeError(IN_AN_OPERATOR.format(words))


@pytest.mark.parametrize(
    "error",
    [
        within("Can't allocate 8589934592 bytes on device 0."),
        within("Can't allocate 8589934592 bytes on host."),
        within("CUDA allocation failed"),
        within("std::bad_alloc"),
        within("nvImageCodec failure: '#5'"),
        within("nvImageCodec failure: '#15'"),
        within("nvjpeg error (5): NVJPEG_STATUS_ALLOCATOR_FAILURE"),
        within(DRIVER_HAS.format("OUT_OF_MEMORY", 2, "out of memory")),
        CUDARuntimeError(2),
        cupy.OutOfMemoryError(8_589_934_592, 512),
        MemoryError(),
    ],
    ids=lambda error: Failure.of(error).text,
)
def test_short_memory_is_recognized(error: Exception) -> None:
    failure = Failure.of(error)
    assert failure.out_of_memory
    assert not failure.lost


@pytest.mark.parametrize(
    "error",
    [
        within(CUDA_HAS.format("IllegalAddress", 700, "an illegal memory access was encountered")),
        within(CUDA_HAS.format("LaunchFailure", 719, "unspecified launch failure")),
        within(CUDA_HAS.format("ECCUncorrectable", 214, "uncorrectable ECC error encountered")),
        within(CUDA_HAS.format("MisalignedAddress", 716, "misaligned address")),
        within(CUDA_HAS.format("HardwareStackError", 714, "hardware stack error")),
        within(CUDA_HAS.format("NoDevice", 100, "no CUDA-capable device is detected")),
        within(DRIVER_HAS.format("ILLEGAL_ADDRESS", 700, "an illegal memory access")),
        within(DRIVER_HAS.format("LAUNCH_FAILED", 719, "unspecified launch failure")),
        within(DRIVER_HAS.format("CONTEXT_IS_DESTROYED", 709, "context is destroyed")),
        # A driver that is newer than the runtime, which has no name for the error.
        within("CUDA runtime API error unrecognized error code (226):\nunrecognized error code"),
        within("CUDA driver API error <unknown error> (721)"),
        CUDARuntimeError(700),
        CUDARuntimeError(719),
    ],
    ids=lambda error: Failure.of(error).text,
)
def test_a_lost_device_is_recognized(error: Exception) -> None:
    failure = Failure.of(error)
    assert failure.lost
    assert not failure.out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        within("Failed to decode sample #0 : "),
        within("nvImageCodec failure: '#3'"),
        within("nvImageCodec failure: '#21'"),
        within(CUDA_HAS.format("InvalidValue", 1, "invalid argument")),
        within(CUDA_HAS.format("NoKernelImageForDevice", 209, "no kernel image is available")),
        CUDARuntimeError(999),
        RuntimeError(),
    ],
    ids=lambda error: Failure.of(error).text,
)
def test_what_may_be_the_images_fault_is_neither(error: Exception) -> None:
    failure = Failure.of(error)
    assert not failure.lost
    assert not failure.out_of_memory


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (within("Failed to decode sample #0 : "), "Failed to decode sample #0"),
        (
            within(CUDA_HAS.format("IllegalAddress", 700, "an illegal memory access")),
            "CUDA runtime API error cudaErrorIllegalAddress (700): an illegal memory access",
        ),
        (
            ImportError(CUPY_FAILS),
            "ImportError: libcudart.so.13: cannot open shared object file: No such file or "
            "directory",
        ),
        (RuntimeError(), "RuntimeError"),
        (RuntimeError("a\tb\x07"), "'a b\\x07'"),
    ],
)
def test_an_error_is_told_in_one_line(error: Exception, text: str) -> None:
    assert Failure.of(error).text == text


def test_an_error_that_is_neither_dalis_nor_cudas_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        attempt(lambda: 1 // 0)


# ------------------------------------------------------------------ a device that won't start

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
                raise ImportError(CUPY_FAILS)

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
        f"out of memory for batches of 8 ({error}): free memory on the GPU, or take a smaller "
        "--batch_size; --device cpu works without"
    )


def raising(error: Exception) -> Callable[..., Any]:
    def function(*_: object, **__: object) -> Any:
        raise error

    return function


# ------------------------------------------------------------------ a device that fails in a run


@pytest.fixture
def pipeline(built: Builds, ring: PinnedRing) -> Iterator[DaliPipeline]:
    pipeline = staged_pipeline(ring)
    yield pipeline
    pipeline.close()


def feed(pipeline: DaliPipeline, fed: list[bytes]) -> list[int]:
    """Keys that came out; the images are right."""
    expected = run(DaliPipeline("cpu", 8, threads=1), enumerate(fed)).images
    result = run(pipeline, enumerate(fed))
    assert all((result.images[key] == expected[key]).all() for key in result.keys)
    return result.keys


@pytest.mark.parametrize("batch", [0, 1, 4])
def test_a_lost_device_ends_the_run_with_the_keys_of_the_batch(
    pipeline: DaliPipeline, built: Builds, batch: int
) -> None:
    marked = PLAIN[8 * batch + 3]
    pipeline._graphs.drop()
    built.fails = lambda fed: LOST if marked in fed else None
    with pytest.raises(DeviceFailedError) as caught:
        run(pipeline, enumerate(PLAIN[:45]))
    assert caught.value.keys == list(range(8 * batch, 8 * batch + 8))
    assert str(caught.value) == LOST.replace("\n", " ")
    assert built.alive[1:] == [0], "and it is left at that"


@pytest.mark.parametrize("warm_up", [False, True])
def test_a_graph_that_does_not_come_back_ends_the_run_with_the_keys_of_the_batch(
    built: Builds, ring: PinnedRing, monkeypatch: pytest.MonkeyPatch, warm_up: bool
) -> None:
    pipeline = staged_pipeline(ring, warm_up=warm_up)
    fed = dict(enumerate([*PLAIN[:13], poison(PLAIN[1]), *PLAIN[13:45]]))
    if warm_up:
        built.fails = lambda _: "CUDA runtime API error cudaErrorUnknown (999):\nunknown error"
    else:
        error = PipelineUnavailableError("DALI won't start on the GPU: cudaErrorUnknown (999)")
        monkeypatch.setattr("pipelines.dali.graphs.build_graph", raising(error))
    with pytest.raises(DeviceFailedError) as caught:
        run(pipeline, fed.items())
    assert caught.value.keys == list(range(8, 16))
    assert str(caught.value).startswith("Failed to decode sample #5; and after that, DALI ")
    assert "(999)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_memory_that_is_short_after_another_error_is_told_as_such(
    built: Builds, ring: PinnedRing
) -> None:
    pipeline = staged_pipeline(ring, warm_up=True)
    built.fails = lambda _: SHORT
    with pytest.raises(OutOfMemoryError, match="even for batches of 8"):
        run(pipeline, enumerate([poison(PLAIN[1]), *PLAIN[:20]]))


def test_an_earlier_runs_photos_are_not_blamed(
    pipeline: DaliPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = pipeline.run(enumerate([*PLAIN[:30], poison(PLAIN[1])]))
    next(iter(batches))
    batches.close()  # type: ignore[attr-defined]
    error = PipelineUnavailableError("DALI won't start on the GPU")
    monkeypatch.setattr("pipelines.dali.graphs.build_graph", raising(error))
    with pytest.raises(PipelineUnavailableError):
        run(pipeline, enumerate(PLAIN[:20]))


@pytest.mark.parametrize("status", [700, 999])
def test_a_copy_that_does_not_arrive_ends_the_run_with_the_keys_of_the_batch(
    pipeline: DaliPipeline, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    waits = iter(range(100))
    synchronize = cupy.Event.synchronize

    def failing(event: cupy.Event) -> None:
        if next(waits) >= 1:
            raise CUDARuntimeError(status)
        synchronize(event)

    monkeypatch.setattr(cupy.Event, "synchronize", failing)
    keys: list[int] = []
    with pytest.raises(DeviceFailedError) as caught:
        keys.extend(key for b in pipeline.run(enumerate(PLAIN[:45])) for key in b.keys)
    assert keys == list(range(8))
    assert caught.value.keys == list(range(8, 16))
    assert str(caught.value) == cupy.STATUSES[status]


def test_a_copy_that_cannot_begin_since_the_device_is_lost_ends_the_run(
    pipeline: DaliPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cupy.cuda.runtime.memcpyAsync", raising(CUDARuntimeError(719)))
    with pytest.raises(DeviceFailedError) as caught:
        run(pipeline, enumerate(PLAIN[:45]))
    assert caught.value.keys == list(range(8))


@pytest.mark.parametrize("copy", range(6))
def test_a_copy_that_fails_once_costs_no_photo_and_spoils_no_other_batch(
    pipeline: DaliPipeline, monkeypatch: pytest.MonkeyPatch, copy: int
) -> None:
    copies = iter(range(100))

    def failing(*arguments: int) -> None:
        if next(copies) == copy:
            raise CUDARuntimeError(999)
        cupy.memcpy_async(*arguments)

    monkeypatch.setattr("cupy.cuda.runtime.memcpyAsync", failing)
    assert feed(pipeline, PLAIN[:45]) == list(range(45))


@pytest.mark.parametrize("words", ["the pipeline is no more", SHORT])
@pytest.mark.parametrize("launch", range(6))
def test_a_launch_that_fails_once_costs_no_photo(
    pipeline: DaliPipeline, monkeypatch: pytest.MonkeyPatch, launch: int, words: str
) -> None:
    launches = iter(range(100))
    schedule = Watched.schedule_run

    def failing(graph: Watched) -> None:
        if next(launches) == launch:
            raise RuntimeError(words)
        schedule(graph)

    monkeypatch.setattr(Watched, "schedule_run", failing)
    assert feed(pipeline, PLAIN[:45]) == list(range(45))


def test_a_batch_is_waited_for_within_the_context_of_its_device(pipeline: DaliPipeline) -> None:
    """The stand-in for CuPy asserts it."""
    for batch in pipeline.run(enumerate(PLAIN[:45])):
        assert not cupy.Device.within
        assert isinstance(batch.images, np.ndarray)
