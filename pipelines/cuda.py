"""Whether there is a GPU to use, and with which packages.

Packages are looked for, not loaded. If they are all there, `pipelines.driver` asks the driver.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.base import PipelineUnavailableError
from pipelines.driver import Driver, Gpu, Wanted, dotted, find_driver
from pipelines.kinds import Kind
from pipelines.packages import ARM, cuda_of_packages

OLDEST_CUDA = (12, 0)
"""What the wheels of the ``gpu`` extra are built for."""
OLDEST_FOR_CUDA_13 = (7, 5)
"""Compute capability, Turing's, from which on the libraries of CUDA 13 have code for a GPU."""
OLDEST_GPU = (5, 0)
"""Compute capability, Maxwell's, at which DALI for CUDA 12 begins; on ARM at `OLDEST_GPU_ON_ARM`
(docs.nvidia.com/deeplearning/dali, "Support matrix")."""
OLDEST_GPU_ON_ARM = (7, 0)
NVIDIA_MODULE = Path("/proc/driver/nvidia/version")
"""Where there is this file there is NVIDIA's kernel module."""
CPU_WORKS = "--device cpu works without"


@dataclass(frozen=True, slots=True)
class Missing:
    """Why no GPU can be used."""

    what: str
    """What is missing, for users who didn't ask for a GPU."""
    everything: str
    """What is missing, and what to do."""


def find_gpu(kind: Kind, wanted: Wanted = (0,)) -> Driver | Missing:
    """Driver with the GPUs that are wanted, in that order, or what is missing.

    Parameters
    ----------
    kind : Kind
        A pipeline on the GPU.

    Raises
    ------
    PipelineUnavailableError
        There are usable GPUs, but not these.
    """
    if not kind.fits_system:
        what = f"{kind.title} is for Linux only"
        return Missing(what, f"{what}; {CPU_WORKS}")
    if missing := kind.missing():
        # Without NVIDIA's kernel module there is no driver to be asked.
        driver = find_driver(()) if NVIDIA_MODULE.exists() else ""
        what = f"{' and '.join(missing)} not installed"
        everything = f"{what}; {_install_line(kind, driver, wanted)}, {CPU_WORKS}"
        # Without a GPU, nobody wants to read how to use one.
        return Missing(everything if NVIDIA_MODULE.exists() else what, everything)
    driver = find_driver(wanted)
    if isinstance(driver, str):
        return Missing(driver, f"{driver}; {CPU_WORKS}")
    chosen = replace(driver, gpus=_chosen(driver, wanted))
    if what := _unfit(kind, chosen):
        return Missing(what, f"{what}; {CPU_WORKS}")
    return chosen


def _chosen(driver: Driver, wanted: Wanted) -> tuple[Gpu, ...]:
    if wanted == "all":
        return driver.gpus
    last = len(driver.gpus) - 1
    for index in wanted:
        if not 0 <= index <= last:
            there = f"the GPUs here are 0 to {last}" if last else "the only GPU here is 0"
            raise PipelineUnavailableError(f"--gpu {index}: {there}")
    return tuple(driver.gpus[index] for index in wanted)


def _unfit(kind: Kind, driver: Driver) -> str:
    """Why these GPUs, their driver and the packages don't go together; empty if they do."""
    if driver.cuda < OLDEST_CUDA:
        return (
            f"the driver is for CUDA {dotted(driver.cuda)}; update it to one for CUDA "
            f"{dotted(OLDEST_CUDA)} or later"
        )
    oldest = OLDEST_GPU_ON_ARM if platform.machine() in ARM else OLDEST_GPU
    for gpu in driver.gpus:
        if (0, 0) < gpu.capability < oldest:
            has = f"{gpu} has compute capability {dotted(gpu.capability)}"
            return f"{has}, and {kind.title} begins at {dotted(oldest)}"
        if gpu.refusal:
            return gpu.refusal
    if cuda_of_packages() == 13 and (why := _only_cuda_12(driver)):
        swap = kind.install_line(12, instead=True)
        return f"{kind.title} for CUDA 13 is installed, and {why}: {swap}"
    return ""


def _only_cuda_12(driver: Driver) -> str:
    """Why packages for CUDA 13 are none for these GPUs; empty if they are."""
    if driver.cuda < (13, 0):
        return f"the driver is for CUDA {dotted(driver.cuda)}"
    for gpu in driver.gpus:
        if (0, 0) < gpu.capability < OLDEST_FOR_CUDA_13:
            return (
                f"{gpu} has compute capability {dotted(gpu.capability)}, which CUDA 13 no longer "
                "knows"
            )
    return ""


def _install_line(kind: Kind, driver: Driver | str, wanted: Wanted) -> str:
    """Command that installs what is missing, for these GPUs as far as they are known."""
    if isinstance(driver, Driver):
        there = range(len(driver.gpus)) if wanted == "all" else wanted
        gpus = tuple(gpu for gpu in driver.gpus if gpu.index in there)
        if _only_cuda_12(replace(driver, gpus=gpus)):
            return kind.install_line(12)
    return kind.install_line()
