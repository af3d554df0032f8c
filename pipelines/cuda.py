"""Whether there is a GPU to use, found out without importing anything heavy.

Packages are looked for, not loaded; the driver is asked through its C interface.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from dataclasses import dataclass

from pipelines.base import PipelineUnavailableError

CUDA_SUCCESS, CUDA_ERROR_NO_DEVICE = 0, 100
"""``CUresult`` of the CUDA Driver API."""
OLDEST_CUDA = (12, 0)
"""What the wheels of the ``gpu`` extra are built for."""
GPU_INSTALL = {
    12: 'pip install "nvidia-dali-cuda120>=2.2" "cupy-cuda12x>=13"',
    13: 'pip install "nvidia-dali-cuda130>=2.2" "cupy-cuda13x>=13.6"',
}
"""By the driver's CUDA, what the extras ``gpu`` and ``gpu-cuda13`` install."""
CPU_WORKS = "--device cpu works without"


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


@dataclass(frozen=True, slots=True)
class Missing:
    """Why no GPU can be used."""

    what: str
    """What is missing, foremost: a machine without a driver needs no packages."""
    everything: str
    """All that is missing, and what to do."""


def find_gpu(gpu: int) -> Driver | Missing:
    """Driver of a GPU that can be used, or what is missing.

    Raises
    ------
    PipelineUnavailableError
        There are usable GPUs, but not this one.
    """
    if not sys.platform.startswith("linux"):
        return Missing("DALI is for Linux only", f"DALI is for Linux only; {CPU_WORKS}")
    driver = find_driver()
    problems, remedies = [], []
    packages = {"DALI": "nvidia.dali", "CuPy": "cupy"}
    if isinstance(driver, str):
        problems.append(driver)
        remedies.append(CPU_WORKS)
    elif driver.cuda < OLDEST_CUDA:
        problems.append(f"the driver is for CUDA {dotted(driver.cuda)}")
        remedies.append(f"update it to one for CUDA {dotted(OLDEST_CUDA)} or later")
    if lacking := [name for name, module in packages.items() if not installed(module)]:
        problems.append(f"{' and '.join(lacking)} not installed")
        cuda13 = isinstance(driver, Driver) and driver.cuda >= (13, 0)
        remedies.insert(0, GPU_INSTALL[13 if cuda13 else 12])
    if isinstance(driver, str) or problems:
        everything = f"{', '.join(problems)}; {', '.join(remedies)}"
        return Missing(problems[0] if isinstance(driver, str) else everything, everything)
    if not 0 <= gpu < len(driver.gpus):
        last = len(driver.gpus) - 1
        raise PipelineUnavailableError(f"--gpu {gpu}: the GPUs here are 0 to {last}")
    return driver


def installed(module: str) -> bool:
    """Whether a module can be found; it isn't imported, only its parents are."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def dotted(version: tuple[int, int]) -> str:
    """Version as people write it.

    Examples
    --------
    >>> dotted((12, 8))
    '12.8'
    """
    return ".".join(map(str, version))
