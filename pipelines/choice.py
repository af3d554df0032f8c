"""Which pipeline runs here, and why."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from pipelines.base import Device, Pipeline, PipelineUnavailableError
from pipelines.cuda import Driver, dotted, find_gpu
from pipelines.kinds import AUTO, KINDS, LOAD, NAMES, UNASKED, Kind, on_gpu
from pipelines.packages import wheel_version
from pipelines.rule import DEFAULT, PixelRule

LARGEST_BATCH = 4096
"""Beyond, a batch is a mistake: 600 MB of pixels."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PipelineRequest:
    """Which pipeline was asked for: picklable, goes to the machine that decodes.

    Raises
    ------
    ValueError
        An argument makes no sense.
    """

    device: str = "auto"
    """``auto``, ``gpu`` or ``cpu``; ``auto`` takes the GPU when DALI, CuPy and a CUDA GPU are all
    there."""
    pipeline: str = AUTO
    """``auto``, or one of `pipelines.kinds.NAMES`. On the CPU, ``auto`` takes turbo if it is
    installed, else Pillow."""
    batch_size: int | None = None
    """Images per batch; None for what suits the pipeline."""
    gpu: int = 0
    """Index of the CUDA device."""
    rule: PixelRule = DEFAULT
    """Which pixels to make of each image."""

    def __post_init__(self) -> None:
        if self.device not in ("auto", "gpu", "cpu"):
            raise ValueError(f"device is auto, gpu or cpu, not {self.device!r}")
        if self.pipeline not in (AUTO, *NAMES):
            *others, last = (AUTO, *NAMES)
            raise ValueError(f"pipeline is {', '.join(others)} or {last}, not {self.pipeline!r}")
        if self.batch_size is not None and not 1 <= self.batch_size <= LARGEST_BATCH:
            raise ValueError(f"batch_size is 1 to {LARGEST_BATCH}, not {self.batch_size}")


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """A pipeline that can run on the machine where it was resolved; picklable."""

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
    load: str = LOAD
    """Name of the hardware JPEG engine's share, of `pipelines.kinds.LOADS`."""
    or_pillow: bool = False
    """Whether Pillow decodes if the pipeline won't start: the same pixels, but slower."""
    rule: PixelRule = DEFAULT
    """Which pixels to make of each image."""
    why: str = field(default="", compare=False)
    """Which pipeline it is and why, in one line."""

    @property
    def kind(self) -> Kind:
        """Its row of the table."""
        return KINDS[self.name, self.device]

    @property
    def title(self) -> str:
        """What people call it: ``cpu (turbo)``."""
        return f"{self.device} ({self.name})"

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


def resolve(request: PipelineRequest, cores: int) -> PipelineConfig:
    """Choose the pipeline that this machine has for a request.

    Parameters
    ----------
    cores : int
        CPU cores to use.

    Raises
    ------
    PipelineUnavailableError
        What was asked for can't run here.
    ValueError
        There are no cores.
    """
    if cores < 1:
        raise ValueError(f"at least 1 worker is needed, not {cores}")
    pipeline, why = request.pipeline, "as asked"
    kind = on_gpu(pipeline)
    if request.device == "gpu" and not kind:
        raise PipelineUnavailableError(
            f"--pipeline {pipeline} runs on the CPU only: leave out --pipeline or --device gpu"
        )
    if request.device != "cpu" and kind:
        found = find_gpu(kind, request.gpu)
        if isinstance(found, Driver):
            why = f"{found.gpus[request.gpu]}, driver for CUDA {dotted(found.cuda)}"
            return _config(kind, request, cores, why)
        if request.device == "gpu":
            raise PipelineUnavailableError(f"--device gpu: {found.everything}")
        why = found.what
    return _resolve_on_cpu(request, cores, why)


def _resolve_on_cpu(request: PipelineRequest, cores: int, why: str) -> PipelineConfig:
    auto, best = request.pipeline == AUTO, UNASKED[0]
    kind = _best_on_cpu() if auto else _on_cpu(request.pipeline)
    if auto and kind != best and best.fits_system:
        why += f"; {best.title} is quicker: {best.install_line()}"
    return replace(_config(kind, request, cores, why), or_pillow=auto)


def _config(kind: Kind, request: PipelineRequest, cores: int, why: str) -> PipelineConfig:
    threads, processes = (cores, 1) if kind.threaded else (1, cores)
    return PipelineConfig(
        kind.name,
        kind.device,
        request.batch_size or kind.batch_size,
        threads,
        processes,
        gpu=request.gpu if kind.device == "gpu" else 0,
        rule=request.rule,
        why=f"{kind.device} ({kind.name}): {why}",
    )


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
