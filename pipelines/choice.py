"""Which pipeline runs here, and why."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from pipelines.base import Device, Pipeline, PipelineUnavailableError
from pipelines.cuda import Driver, dotted, find_gpu
from pipelines.kinds import AUTO, KINDS, NAMES, UNASKED, Kind, on_gpu
from pipelines.packages import wheel_version
from pipelines.rule import DEFAULT, PixelRule

LARGEST_BATCH = 4096
"""Beyond, a batch is a mistake: 600 MB of pixels."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """A pipeline that can run here: picklable, goes to the worker processes."""

    name: str
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
    """Whether Pillow decodes if the pipeline won't start: the same pixels, but slower."""
    rule: PixelRule = DEFAULT
    """Which pixels to make of each image."""

    @property
    def kind(self) -> Kind:
        """Its row of the table."""
        return KINDS[self.name, self.device]

    @property
    def shard_size(self) -> int:
        """Rows per shard."""
        return self.kind.rows_per_shard(self.batch_size)

    def open(self) -> Pipeline:
        """Build the pipeline, in the process that will run it.

        Raises
        ------
        PipelineUnavailableError
            It won't start.
        """
        try:
            return self.kind.open(self)
        except PipelineUnavailableError as error:
            if not self.or_pillow:
                raise
            _log.warning("%s; Pillow decodes instead: the same pixels, but slower", error)
        return UNASKED[-1].open(self)

    def versions(self) -> dict[str, str]:
        """Versions of all that decides the pixels, for the provenance of a file."""
        from pipelines import pillow

        # Pillow's too, since it decodes what the others leave.
        wheels = self.kind.wheels.items()
        return {part: wheel_version(*names) for part, names in wheels} | pillow.versions()


def choose(
    device: str = "auto",
    pipeline: str = AUTO,
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
    pipeline : str
        ``auto``, or one of `pipelines.kinds.NAMES`. On the CPU, ``auto`` takes turbo if it is
        installed, else Pillow.
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
    why = "as asked"
    kind = on_gpu(pipeline)
    if device == "gpu" and not kind:
        raise PipelineUnavailableError(
            f"--pipeline {pipeline} runs on the CPU only: leave out --pipeline or --device gpu"
        )
    if device != "cpu" and kind:
        found = find_gpu(kind, gpu)
        if isinstance(found, Driver):
            return _config(kind, workers, batch_size, gpu), (
                f"gpu ({kind.name}): {found.gpus[gpu]}, driver for CUDA {dotted(found.cuda)}"
            )
        if device == "gpu":
            raise PipelineUnavailableError(f"--device gpu: {found.everything}")
        why = found.what
    kind = _best_on_cpu() if pipeline == AUTO else _on_cpu(pipeline)
    best = UNASKED[0]
    if pipeline == AUTO and kind != best and best.fits_system:
        why += f"; {best.title} is quicker: {best.install_line()}"
    config = _config(kind, workers, batch_size)
    return replace(config, or_pillow=pipeline == AUTO), f"cpu ({kind.name}): {why}"


def _check(device: str, pipeline: str, workers: int, batch_size: int | None) -> None:
    if device not in ("auto", "gpu", "cpu"):
        raise ValueError(f"device is auto, gpu or cpu, not {device!r}")
    if pipeline not in (AUTO, *NAMES):
        *others, last = (AUTO, *NAMES)
        raise ValueError(f"pipeline is {', '.join(others)} or {last}, not {pipeline!r}")
    if workers < 1:
        raise ValueError(f"at least 1 worker is needed, not {workers}")
    if batch_size is not None and not 1 <= batch_size <= LARGEST_BATCH:
        raise ValueError(f"batch_size is 1 to {LARGEST_BATCH}, not {batch_size}")


def _config(kind: Kind, workers: int, batch_size: int | None, gpu: int = 0) -> PipelineConfig:
    threads, processes = (workers, 1) if kind.threaded else (1, workers)
    size = batch_size or kind.batch_size
    return PipelineConfig(kind.name, kind.device, size, threads, processes, gpu)


def _best_on_cpu() -> Kind:
    return next(kind for kind in UNASKED if kind.fits_system and not kind.missing())


def _on_cpu(name: str) -> Kind:
    """Kind that was asked for."""
    kind = KINDS[name, "cpu"]
    asked = f"--pipeline {name}:"
    if not kind.fits_system:
        raise PipelineUnavailableError(
            f"{asked} {kind.title} is for Linux only; leave out --pipeline"
        )
    if kind.missing():
        asked = f"{asked} {kind.software}" if kind.software else f"--pipeline {name}"
        raise PipelineUnavailableError(f"{asked} isn't installed: {kind.install_line()}")
    return kind
