"""From DALI's output to the host: on a GPU, a ring of pinned buffers, filled asynchronously.

The only module that imports CuPy. Each step of the ring is held to these pages:

- ``cupyx.empty_pinned`` gives a NumPy array in page-locked memory
  (docs.cupy.dev/en/stable/reference/generated/cupyx.empty_pinned.html). Only to such memory is
  ``cudaMemcpyAsync`` asynchronous (CUDA Runtime API, "API synchronization behavior").
- ``cupy.cuda.Stream(non_blocking=True)`` doesn't wait for the default stream
  (docs.cupy.dev/en/stable/reference/generated/cupy.cuda.Stream.html).
- ``Pipeline.outputs(cuda_stream)`` orders DALI's output on that stream: what is enqueued there
  afterwards sees finished pixels. DALI's default executor keeps an output for as long as it is
  referred to (docs.nvidia.com/deeplearning/dali, "Pipeline").
- ``TensorListGPU.as_tensor()`` views the batch as one dense tensor and raises when it isn't;
  ``data_ptr()`` is its address (same place, "Types").
- ``cupy.cuda.Event.synchronize()`` waits for what was enqueued before ``record``
  (docs.cupy.dev/en/stable/reference/generated/cupy.cuda.Event.html).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.base import Device
from pipelines.dali.errors import (
    WONT_START,
    is_out_of_memory,
    last_line,
    out_of_memory,
    unavailable,
)

SLOTS = 3
"""One with the consumer, and two being filled, so that the copy engine never waits for it."""


class Staged(Protocol):
    """A batch of pixels on its way to the host."""

    def wait(self) -> NDArray[np.uint8]:
        """Pixels as a host array, once they are all there."""
        ...


class Stage(Protocol):
    """Brings DALI's output to the host."""

    depth: int
    """Batches that can be on their way while the consumer has another."""
    stream: Any
    """CUDA stream that DALI orders its output on; None on the CPU."""

    def copy(self, output: Any) -> Staged:
        """Start to bring a batch over."""
        ...


class HostStage:
    """Stage of the CPU backend: its output is host memory already, passed on without a copy."""

    depth = 0
    stream = None

    def copy(self, output: Any) -> Staged:
        """Wrap the output."""
        return _OnHost(output)


@dataclass(slots=True)
class _OnHost:
    output: Any

    def wait(self) -> NDArray[np.uint8]:
        # The array refers to the DALI tensor, which keeps the memory.
        return np.asarray(self.output.as_tensor())


class Slot:
    """A pinned buffer and the copy into it."""

    def __init__(self, shape: tuple[int, ...], device: Any) -> None:
        import cupy
        import cupyx

        self._device = device

        self._buffer: NDArray[np.uint8] = cupyx.empty_pinned(shape, np.uint8)
        # Spinning would cost a core; timing isn't needed.
        self._copied = cupy.cuda.Event(block=True, disable_timing=True)
        self._source: Any = None
        self._count = 0

    def fill(self, output: Any, stream: Any) -> None:
        """Enqueue the copy of a DALI ``TensorListGPU`` of uint8 images."""
        from cupy.cuda import runtime

        self.wait()
        source = output.as_tensor()
        self._count = source.shape()[0]
        target = self._buffer[: self._count]
        runtime.memcpyAsync(
            target.ctypes.data,
            source.data_ptr(),
            target.nbytes,
            runtime.memcpyDeviceToHost,
            stream.ptr,
        )
        self._copied.record(stream)
        # DALI would use the memory again as soon as nobody refers to it.
        self._source = (output, source)

    def wait(self) -> NDArray[np.uint8]:
        """Pixels, once they are all there; the next `fill` overwrites them."""
        if self._source is not None:
            with self._device:
                self._copied.synchronize()
            self._source = None
        return self._buffer[: self._count]


class PinnedRing:
    """`Stage` of the GPU.

    Parameters
    ----------
    shape : tuple of int
        ``(batch, height, width, channels)`` of the largest batch.
    gpu : int
        Index of the CUDA device.
    """

    depth = SLOTS - 1

    def __init__(self, shape: tuple[int, ...], gpu: int) -> None:
        import cupy

        self._device = cupy.cuda.Device(gpu)
        with self._device:
            self.stream = cupy.cuda.Stream(non_blocking=True)
            self._slots = deque(Slot(shape, self._device) for _ in range(SLOTS))

    def copy(self, output: Any) -> Slot:
        """Start the copy of a DALI output into the next slot.

        The slot is free again: the consumer has asked for the batch after the one in it.
        """
        slot = self._slots[0]
        with self._device:
            slot.fill(output, self.stream)
        # Only now: after a copy that fails, the slot after this one isn't free yet.
        self._slots.rotate(-1)
        return slot


def open_stage(device: Device, shape: tuple[int, ...], gpu: int) -> Stage:
    """Open the device's stage for batches of up to this shape.

    Raises
    ------
    OutOfMemoryError
        There is no memory for the ring.
    PipelineUnavailableError
        CuPy can't be imported, or CUDA doesn't start.
    """
    if device == "cpu":
        return HostStage()
    try:
        return PinnedRing(shape, gpu)
    except WONT_START as error:
        if is_out_of_memory(error):
            raise out_of_memory(f"for batches of {shape[0]}", last_line(error), device) from error
        raise unavailable(error, "CuPy", device) from error
