"""Whether there is a GPU to use, found out without touching the driver in this process.

Packages are looked for, not loaded. If they are all there, a child asks the driver: once a process
has called ``cuInit``, CUDA doesn't work in the processes that it forks. NVML isn't asked, since it
ignores ``CUDA_VISIBLE_DEVICES``.
"""

from __future__ import annotations

import functools
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from pipelines.base import PipelineUnavailableError
from pipelines.kinds import Kind

ASK_DRIVER = """
import ctypes, json, sys

def ask():
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return f"no CUDA driver found ({library})"
    status = driver.cuInit(0)
    if status == 100:  # CUDA_ERROR_NO_DEVICE
        return "no CUDA GPU found"
    if status:
        return f"the CUDA driver doesn't start (cuInit gives {status})"
    version, count = ctypes.c_int(), ctypes.c_int()
    driver.cuDriverGetVersion(ctypes.byref(version))
    driver.cuDeviceGetCount(ctypes.byref(count))
    names = []
    for index in range(count.value):
        device, name = ctypes.c_int(), ctypes.create_string_buffer(128)
        driver.cuDeviceGet(ctypes.byref(device), index)
        driver.cuDeviceGetName(name, len(name), device)
        names.append(name.value.decode(errors="replace"))
    return [version.value, names] if names else "no CUDA GPU found"

print(json.dumps(ask()))
"""
"""The CUDA Driver API through its C interface; no context is created on a GPU."""
PATIENCE = 60
"""Seconds for the child: a driver that isn't kept loaded takes several for each GPU."""
OLDEST_CUDA = (12, 0)
"""What the wheels of the ``gpu`` extra are built for."""
NVIDIA_MODULE = Path("/proc/driver/nvidia/version")
"""Where there is this file there is NVIDIA's kernel module."""
CPU_WORKS = "--device cpu works without"


@dataclass(frozen=True, slots=True)
class Driver:
    """A working driver with at least one GPU."""

    cuda: tuple[int, int]
    """Newest CUDA that it supports."""
    gpus: tuple[str, ...]
    """Names of the GPUs by index, as ``CUDA_VISIBLE_DEVICES`` leaves them."""


@functools.cache
def find_driver() -> Driver | str:
    """Driver and GPUs, or in a few words what is missing; asked once per process."""
    if not sys.executable:
        return "the CUDA driver can't be asked: this Python doesn't know its own program"
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-c", ASK_DRIVER],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
        )
        answer = json.loads(child.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired:
        return f"the CUDA driver didn't answer within {PATIENCE} s"
    except OSError as error:
        return f"the CUDA driver can't be asked: {error}"
    except (ValueError, IndexError):
        return f"the program that asks the CUDA driver {_ended(child.returncode, child.stderr)}"
    if isinstance(answer, str):
        return answer
    # The driver counts 1000 for the major and 10 for the minor version.
    version, names = answer
    return Driver((version // 1000, version % 1000 // 10), tuple(names))


def _ended(status: int, stderr: bytes) -> str:
    """How a child ended that gave no answer."""
    if status < 0:
        try:
            return f"was killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"was killed by signal {-status}"
    lines = stderr.decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "no word")
    return f"ended with {status}: {last if last.isprintable() else ascii(last)}"


@dataclass(frozen=True, slots=True)
class Missing:
    """Why no GPU can be used."""

    what: str
    """What is missing, for users who didn't ask for a GPU."""
    everything: str
    """What is missing, and what to do."""


def find_gpu(kind: Kind, gpu: int) -> Driver | Missing:
    """Driver of a GPU that a pipeline can use, or what is missing.

    Parameters
    ----------
    kind : Kind
        A pipeline on the GPU.
    gpu : int
        Index of the CUDA device.

    Raises
    ------
    PipelineUnavailableError
        There are usable GPUs, but not this one.
    """
    if not kind.fits_system:
        what = f"{kind.title} is for Linux only"
        return Missing(what, f"{what}; {CPU_WORKS}")
    if missing := kind.missing():
        what = f"{' and '.join(missing)} not installed"
        everything = f"{what}; {kind.install_line()}, {CPU_WORKS}"
        # Without a GPU, nobody wants to read how to use one.
        return Missing(everything if NVIDIA_MODULE.exists() else what, everything)
    driver = find_driver()
    if isinstance(driver, str):
        return Missing(driver, f"{driver}; {CPU_WORKS}")
    if driver.cuda < OLDEST_CUDA:
        what = f"the driver is for CUDA {dotted(driver.cuda)}"
        remedy = f"update it to one for CUDA {dotted(OLDEST_CUDA)} or later"
        return Missing(f"{what}; {remedy}", f"{what}; {remedy}")
    if not 0 <= gpu < len(driver.gpus):
        last = len(driver.gpus) - 1
        raise PipelineUnavailableError(f"--gpu {gpu}: the GPUs here are 0 to {last}")
    return driver


def dotted(version: tuple[int, int]) -> str:
    """Version as people write it.

    Examples
    --------
    >>> dotted((12, 8))
    '12.8'
    """
    return ".".join(map(str, version))
