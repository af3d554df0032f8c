"""Which pipeline runs here, and why."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass, replace
from typing import Literal

from pipelines.base import Pipeline, PipelineUnavailableError
from pipelines.cuda import Driver, dotted, find_gpu
from pipelines.packages import (
    DALI_INSTALL,
    DALI_WHEELS,
    GPU_WHEELS,
    TURBO_INSTALL,
    TURBO_PACKAGES,
    installed,
    wheel_version,
)

Name = Literal["pillow", "turbo", "dali"]
Device = Literal["cpu", "gpu"]

PER_IMAGE_BATCH = 16
"""Images per batch for pipelines that decode one by one: 2.4 MB of pixels."""
PER_IMAGE_SHARD = 64
"""Images per unit of work for them: a fraction of a second."""
DALI_BATCH: dict[Device, int] = {"cpu": 128, "gpu": 256}
"""CPU: enough that threads seldom wait for the last image of a batch; 19 MB of pixels. GPU: nvJPEG
wants many images at once; 38 MB of pixels and, before scaling at ImageNet's mean size, 144 MB."""
DALI_SHARD = 8
"""Batches per unit of work: DALI idles while a shard's first batch is read and its last written."""
LARGEST_BATCH = 4096
"""Beyond, a batch is a mistake: 600 MB of pixels."""

CPU_ONLY = ("pillow", "turbo")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """A pipeline that can run here: picklable, goes to the worker processes."""

    name: Name
    device: Device
    batch_size: int
    """Images per batch."""
    threads: int
    """Threads within one pipeline."""
    processes: int
    """Worker processes, each with a pipeline of its own."""
    gpu: int = 0
    """Index of the CUDA device."""
    or_pillow: bool = False
    """Whether Pillow decodes where turbo won't start: the same pixels, in twice the time."""

    @property
    def shard_size(self) -> int:
        """Images per unit of work."""
        return DALI_SHARD * self.batch_size if self.name == "dali" else PER_IMAGE_SHARD

    @property
    def modules(self) -> tuple[str, ...]:
        """What a process will import to run it, and may import before it is forked.

        To import these modules never fails where their packages are broken.
        """
        if self.name == "turbo":
            return ("pipelines.turbo.pipeline", "pipelines.turbo.imports")
        if self.name == "dali" and self.device == "cpu":
            # Takes DALI 0.2 s. Not on a GPU: what CUDA has begun doesn't survive a fork.
            return ("pipelines.dali.pipeline", "pipelines.dali.imports")
        return (f"pipelines.{self.name}",)

    def open(self) -> Pipeline:
        """Build the pipeline, in the process that will run it.

        Raises
        ------
        PipelineUnavailableError
            It won't start.
        """
        if self.name == "dali":
            from pipelines.dali.pipeline import DaliPipeline

            return DaliPipeline(self.device, self.batch_size, self.threads, self.gpu)
        if self.name == "turbo":
            from pipelines.turbo.pipeline import TurboPipeline

            try:
                return TurboPipeline(self.batch_size)
            except PipelineUnavailableError as error:
                if not self.or_pillow:
                    raise
                _log.warning("%s; Pillow decodes instead: the same pixels, but slower", error)
        from pipelines.per_image import PillowPipeline

        return PillowPipeline(self.batch_size)

    def versions(self) -> dict[str, str]:
        """Versions of all that decides the pixels, for the provenance of a file."""
        from pipelines import pillow

        # Pillow's too, since it decodes what the others leave.
        if self.name == "turbo":
            from pipelines.turbo import pipeline as turbo

            return turbo.versions() | pillow.versions()
        if self.name == "dali":
            wheels = DALI_WHEELS | (GPU_WHEELS if self.device == "gpu" else {})
            versions = {part: wheel_version(*names) for part, names in wheels.items()}
            return versions | pillow.versions()
        return pillow.versions()


def choose(
    device: str = "auto",
    pipeline: str = "auto",
    *,
    workers: int,
    batch_size: int | None = None,
    gpu: int = 0,
) -> tuple[PipelineConfig, str]:
    """Choose a pipeline, and say in one line which and why.

    Parameters
    ----------
    device : {"auto", "gpu", "cpu"}
        ``auto`` takes the GPU when DALI, CuPy and a CUDA GPU are all there.
    pipeline : {"auto", "pillow", "turbo", "dali"}
        On the CPU, ``auto`` takes turbo if it is installed, else Pillow.
    workers : int
        CPU cores to use.
    batch_size : int, optional
        Images per batch; by default what suits the pipeline.
    gpu : int
        Index of the CUDA device.

    Raises
    ------
    PipelineUnavailableError
        What was asked for can't run here.
    ValueError
        An argument makes no sense.
    """
    _check(device, pipeline, workers, batch_size)
    if device == "gpu" and pipeline in CPU_ONLY:
        raise PipelineUnavailableError(
            f"--pipeline {pipeline} runs on the CPU only: leave out --pipeline or --device gpu"
        )
    why = "as asked"
    if device != "cpu" and pipeline not in CPU_ONLY:
        found = find_gpu(gpu)
        if isinstance(found, Driver):
            size = batch_size or DALI_BATCH["gpu"]
            return PipelineConfig("dali", "gpu", size, workers, 1, gpu), (
                f"gpu (dali): {found.gpus[gpu]}, driver for CUDA {dotted(found.cuda)}"
            )
        if device == "gpu":
            raise PipelineUnavailableError(f"--device gpu: {found.everything}")
        why = found.what
    name = _cpu_name(pipeline)
    if pipeline == "auto" and name == "pillow":
        why += f"; turbo is quicker: {TURBO_INSTALL}"
    config = _cpu_config(name, workers, batch_size)
    return replace(config, or_pillow=pipeline == "auto"), f"cpu ({name}): {why}"


def _check(device: str, pipeline: str, workers: int, batch_size: int | None) -> None:
    if device not in ("auto", "gpu", "cpu"):
        raise ValueError(f"device is auto, gpu or cpu, not {device!r}")
    if pipeline not in ("auto", "dali", *CPU_ONLY):
        raise ValueError(f"pipeline is auto, pillow, turbo or dali, not {pipeline!r}")
    if workers < 1:
        raise ValueError(f"at least 1 worker is needed, not {workers}")
    if batch_size is not None and not 1 <= batch_size <= LARGEST_BATCH:
        raise ValueError(f"batch_size is 1 to {LARGEST_BATCH}, not {batch_size}")


def _cpu_config(name: Name, workers: int, batch_size: int | None) -> PipelineConfig:
    if name == "dali":
        # DALI's own threads share each batch; one process is enough.
        return PipelineConfig(name, "cpu", batch_size or DALI_BATCH["cpu"], workers, 1)
    return PipelineConfig(name, "cpu", batch_size or PER_IMAGE_BATCH, 1, workers)


def _cpu_name(pipeline: str) -> Name:
    """Name of the CPU pipeline that was asked for, or of the best there is."""
    if pipeline == "pillow":
        return "pillow"
    if pipeline == "dali":
        if not sys.platform.startswith("linux"):
            raise PipelineUnavailableError(
                "--pipeline dali: DALI is for Linux only; leave out --pipeline"
            )
        if not installed("nvidia.dali"):
            raise PipelineUnavailableError(f"--pipeline dali: DALI isn't installed: {DALI_INSTALL}")
        return "dali"
    if all(installed(package) for package in TURBO_PACKAGES):
        return "turbo"
    if pipeline == "turbo":
        raise PipelineUnavailableError(f"--pipeline turbo isn't installed: {TURBO_INSTALL}")
    return "pillow"
