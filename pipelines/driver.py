"""What the CUDA driver says of the GPUs here, asked without touching it in this process.

A child asks: once a process has called ``cuInit``, CUDA doesn't work in the processes that it
forks. NVML isn't asked, since it ignores ``CUDA_VISIBLE_DEVICES``.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass
from typing import Literal, TypeAlias

ASK_DRIVER = """
import ctypes, json, sys

MAJOR, MINOR, MODE = 75, 76, 20  # of CUdevice_attribute

def ask(wanted):
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
    asked = range(count.value) if wanted == "all" else map(int, filter(None, wanted.split(",")))
    asked = set(asked)
    gpus = [look(driver, index, index in asked) for index in range(count.value)]
    return [version.value, gpus] if gpus else "no CUDA GPU found"

def look(driver, index, wanted):
    device, name = ctypes.c_int(), ctypes.create_string_buffer(128)
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetName(name, len(name), device)
    uuid = ctypes.create_string_buffer(16)
    # The newer one gives the id of a MIG instance rather than that of the GPU it is a part of.
    get = getattr(driver, "cuDeviceGetUuid_v2", None) or getattr(driver, "cuDeviceGetUuid", None)
    known = get is not None and get(uuid, device) == 0
    numbers = []
    for attribute in (MAJOR, MINOR, MODE):
        number = ctypes.c_int()
        driver.cuDeviceGetAttribute(ctypes.byref(number), attribute, device)
        numbers.append(number.value)
    refusal = 0
    if wanted:  # others aren't woken
        context = ctypes.c_void_p()
        refusal = driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)
        if not refusal:
            driver.cuDevicePrimaryCtxRelease_v2(device)
    return [name.value.decode(errors="replace"), uuid.raw.hex() if known else "", *numbers, refusal]

print(json.dumps(ask(sys.argv[1])))
"""
"""The CUDA Driver API through its C interface. A context is made on the GPUs that are wanted, and
let go: a GPU in exclusive use, or without memory, refuses it."""
PATIENCE = 60
"""Seconds for the child: a driver that isn't kept loaded takes several for each GPU."""
_PROHIBITED, _EXCLUSIVE = 2, (1, 3)
"""Compute modes: no context at all; one thread's or one process's."""
_OUT_OF_MEMORY, _UNAVAILABLE = 2, 46
"""Statuses: CUDA_ERROR_OUT_OF_MEMORY, CUDA_ERROR_DEVICE_UNAVAILABLE."""

Wanted: TypeAlias = "tuple[int, ...] | Literal['all']"
"""Indices of GPUs."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as the driver describes it."""

    index: int
    """As ``CUDA_VISIBLE_DEVICES`` leaves them."""
    name: str
    uuid: str = ""
    """32 hexadecimal digits; empty if unknown."""
    capability: tuple[int, int] = (0, 0)
    """Compute capability; zeros if unknown."""
    mode: int = 0
    """Compute mode, ``CUcomputemode``."""
    status: int = 0
    """What the driver said when a context was asked for: 0 if it gave one, or wasn't asked."""

    def __str__(self) -> str:
        return f"GPU {self.index} ({self.name})"

    @property
    def exclusive(self) -> bool:
        """Whether it takes a single process at a time."""
        return self.mode in _EXCLUSIVE

    @property
    def refusal(self) -> str:
        """Why it takes no work; empty if it does, as far as that was asked."""
        if self.mode == _PROHIBITED:
            return f"{self} is in prohibited mode and takes no work: nvidia-smi -c DEFAULT"
        if self.status == _UNAVAILABLE and self.exclusive:
            return f"{self} is in exclusive mode, and another process has it"
        if self.status == _OUT_OF_MEMORY:
            return f"{self} has no memory left"
        return f"{self} takes no work (CUDA error {self.status})" if self.status else ""

    @property
    def visible(self) -> str:
        """What ``CUDA_VISIBLE_DEVICES`` has for a process that is to see this GPU alone.

        The id names a MIG instance too. Where it is unknown, it is the entry that this process has
        for the GPU, or its index.
        """
        if self.uuid:
            prefix = "MIG" if " MIG " in self.name else "GPU"
            return f"{prefix}-{uuid.UUID(self.uuid)}"
        entries = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        mine = entries[self.index].strip() if self.index < len(entries) else ""
        return mine or str(self.index)


@dataclass(frozen=True, slots=True)
class Driver:
    """A working driver with at least one GPU."""

    cuda: tuple[int, int]
    """Newest CUDA that it supports."""
    gpus: tuple[Gpu, ...]


@functools.cache
def find_driver(wanted: Wanted = ()) -> Driver | str:
    """Driver and all GPUs, or in a few words what is missing; asked once per process.

    Parameters
    ----------
    wanted
        Which of them are asked for a context.
    """
    if not sys.executable:
        return "the CUDA driver can't be asked: this Python doesn't know its own program"
    asked = wanted if wanted == "all" else ",".join(map(str, wanted))
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-c", ASK_DRIVER, asked],
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
    version, gpus = answer
    return Driver(
        _version(version),
        tuple(
            Gpu(index, name, digits, (major, minor), mode, status)
            for index, (name, digits, major, minor, mode, status) in enumerate(gpus)
        ),
    )


def _version(number: int) -> tuple[int, int]:
    """The driver counts 1000 for the major and 10 for the minor version."""
    return number // 1000, number % 1000 // 10


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


def dotted(version: tuple[int, int]) -> str:
    """Version as people write it.

    Examples
    --------
    >>> dotted((12, 8))
    '12.8'
    """
    return ".".join(map(str, version))
