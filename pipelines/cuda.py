"""What the CUDA driver says of this machine, asked without importing anything heavy."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass

CUDA_SUCCESS, CUDA_ERROR_NO_DEVICE = 0, 100
"""``CUresult`` of the CUDA Driver API."""


@dataclass(frozen=True, slots=True)
class Driver:
    """A working driver with at least one GPU."""

    cuda: tuple[int, int]
    """Newest CUDA that it supports."""
    gpus: tuple[str, ...]
    """Names of the GPUs by index, as ``CUDA_VISIBLE_DEVICES`` leaves them."""


def find_driver() -> Driver | str:
    """Driver and GPUs, or in a few words what is missing. Creates no context on a GPU."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return f"no CUDA driver found ({library})"
    status = driver.cuInit(0)
    version, count = ctypes.c_int(), ctypes.c_int()
    if status == CUDA_SUCCESS:
        driver.cuDriverGetVersion(ctypes.byref(version))
        driver.cuDeviceGetCount(ctypes.byref(count))
    elif status != CUDA_ERROR_NO_DEVICE:
        return f"the CUDA driver doesn't start (cuInit gives {status})"
    if not count.value:
        return "no CUDA GPU found"
    # The driver counts 1000 for the major and 10 for the minor version.
    cuda = version.value // 1000, version.value % 1000 // 10
    return Driver(cuda, tuple(_gpu_name(driver, i) for i in range(count.value)))


def _gpu_name(driver: ctypes.CDLL, index: int) -> str:
    device, name = ctypes.c_int(), ctypes.create_string_buffer(128)
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetName(name, len(name), device)
    return name.value.decode(errors="replace")


def dotted(version: tuple[int, int]) -> str:
    """Version as people write it.

    Examples
    --------
    >>> dotted((12, 8))
    '12.8'
    """
    return ".".join(map(str, version))
