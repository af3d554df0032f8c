"""A stand-in for CuPy, so that the pinned ring runs without a GPU.

It copies as late as CUDA may: when somebody waits for the event that was recorded after the copy,
and not a moment earlier.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipelines.dali.pipeline import DaliPipeline
from pipelines.dali.staging import PinnedRing
from pipelines.rule import DEFAULT, PixelRule

DEVICE_TO_HOST = 2
"""``cudaMemcpyKind``."""


IMPORT_FAILS = """
================================================================
Failed to import CuPy.

If you installed CuPy via wheels (cupy-cudaXXX or cupy-rocm-X-X), see that it matches.

Original error:
  ImportError: libcudart.so.13: cannot open shared object file: No such file or directory
================================================================
"""
"""As ``cupy/__init__.py`` says it."""


class Stream:
    """Work in its order, done when it is waited for."""

    ptr = 7

    def __init__(self, *, non_blocking: bool) -> None:
        assert non_blocking
        self.work: list[Callable[[], object]] = []
        streams[self.ptr] = self


streams: dict[int, Stream] = {}


class Event:
    def __init__(self, *, block: bool, disable_timing: bool) -> None:
        self._position = 0

    def record(self, stream: Stream) -> None:
        self._stream, self._position = stream, len(stream.work)

    def synchronize(self) -> None:
        assert Device.within, "CuPy's calls belong into the device's context"
        for k in range(self._position):
            self._stream.work[k]()
            self._stream.work[k] = int  # done: nothing is left to do


def memcpy_async(target: int, source: int, size: int, kind: int, stream: int) -> None:
    assert kind == DEVICE_TO_HOST
    assert Device.within
    streams[stream].work.append(lambda: ctypes.memmove(target, source, size))


class Device:
    within = 0
    """How often it was entered and not left."""

    def __init__(self, _gpu: int) -> None: ...

    def __enter__(self) -> None:
        Device.within += 1

    def __exit__(self, *_: object) -> None:
        Device.within -= 1


STATUSES = {
    2: "cudaErrorMemoryAllocation: out of memory",
    46: "cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy or unavailable",
    700: "cudaErrorIllegalAddress: an illegal memory access was encountered",
    719: "cudaErrorLaunchFailure: unspecified launch failure",
    999: "cudaErrorUnknown: unknown error",
}


class CUDARuntimeError(RuntimeError):
    """As in ``cupy_backends/cuda/api/runtime.pyx``: CUDA's name and words of a status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(STATUSES[status])


class OutOfMemoryError(MemoryError):
    """As in ``cupy/cuda/memory.pyx``."""

    def __init__(self, size: int, total: int) -> None:
        super().__init__(
            f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes)."
        )


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``import cupy`` give the stand-in."""
    cupy: Any
    cuda: Any
    runtime: Any
    cupyx: Any
    cupy, cuda, runtime, cupyx = map(ModuleType, ("cupy", "cupy.cuda", "runtime", "cupyx"))
    runtime.memcpyAsync, runtime.memcpyDeviceToHost = memcpy_async, DEVICE_TO_HOST
    cuda.runtime, cuda.Event, cuda.Stream, cupy.cuda = runtime, Event, Stream, cuda
    cuda.Device = Device
    cupyx.empty_pinned = np.zeros
    for name, module in {"cupy": cupy, "cupy.cuda": cuda, "cupyx": cupyx}.items():
        monkeypatch.setitem(sys.modules, name, module)


def staged_pipeline(ring: PinnedRing, rule: PixelRule = DEFAULT, **settings: Any) -> DaliPipeline:
    """DALI's CPU backend can't order its output on a stream; it needn't, its output is there."""
    pipeline = DaliPipeline("cpu", 8, threads=2, rule=rule, **settings)
    pipeline._stage = SimpleNamespace(depth=ring.depth, stream=None, copy=ring.copy)
    return pipeline
