"""What errors of DALI, nvImageCodec, CuPy and CUDA mean; the texts are those of their sources."""

from __future__ import annotations

import pytest

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")


from pipelines.dali.errors import Failure, attempt
from tests.harness import cupy_stand_in as cupy
from tests.harness.cupy_stand_in import CUDARuntimeError

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
            ImportError(cupy.IMPORT_FAILS),
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
