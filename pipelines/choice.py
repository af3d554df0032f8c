"""Which pipeline runs here, and why."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pipelines.base import Device, Pipeline, PipelineUnavailableError
from pipelines.bounds import Bounds
from pipelines.cuda import Missing, find_gpu
from pipelines.driver import Driver, Gpu, dotted
from pipelines.kinds import AUTO, KINDS, LOAD, UNASKED, Kind, on_gpu
from pipelines.packages import wheel_version
from pipelines.request import PipelineRequest
from pipelines.rule import DEFAULT, PixelRule

ENOUGH_CORES = 8
"""Cores for each GPU from which on two processes feed it unasked."""
MOST_THREADS = 16
"""Threads of a process that feeds a GPU: they parse what it decodes."""

_log = logging.getLogger(__name__)


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
    """Index of the CUDA device, for a process that sees all of them."""
    cards: tuple[Gpu, ...] = ()
    """GPUs of the build; none on the CPU. The worker of slot ``n`` has the ``n``-th, in turn."""
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
    def bounds(self) -> Bounds:
        """How far its images may lie from Pillow's."""
        return self.kind.bounds[self.rule.interpolation]

    @property
    def modules(self) -> tuple[str, ...]:
        """What a process will import to run it, and may import before it is forked."""
        more = self.kind.modules_by_filter.get(self.rule.interpolation, ())
        return *self.kind.modules, *more

    @property
    def title(self) -> str:
        """What people call it: ``cpu (turbo)``."""
        return f"{self.device} ({self.name})"

    @property
    def shard_size(self) -> int:
        """Rows per shard."""
        shared = self.kind.threaded and self.processes > max(1, len(self.cards))
        return self.kind.rows_per_shard(self.batch_size, shared=shared)

    @property
    def environments(self) -> list[dict[str, str]]:
        """What the workers of a pool on this machine need before CUDA starts, slot by slot in turn.

        Each sees its own GPU alone, which then has the index 0: see `for_pool`. None on the CPU.
        """
        return [{"CUDA_VISIBLE_DEVICES": card.visible} for card in self.cards]

    def card(self, slot: int) -> Gpu | None:
        """GPU of the worker of a slot; None on the CPU."""
        return self.cards[slot % len(self.cards)] if self.cards else None

    def with_card(self, slot: int, text: str) -> str:
        """A message with the name of the GPU of a slot's worker before it, if there is one."""
        card = self.card(slot)
        return f"{card}: {text}" if card else text

    def for_pool(self) -> PipelineConfig:
        """The same for workers that have their `environments`."""
        return replace(self, gpu=0)

    def open(self, slot: int = 0) -> Pipeline:
        """Build the pipeline, in the process that will run it.

        Parameters
        ----------
        slot
            Of the worker, which decides about its GPU.

        Raises
        ------
        PipelineUnavailableError
            It won't start; a GPU is named.
        """
        try:
            return self.kind.open(self)
        except PipelineUnavailableError as error:
            if self.cards:
                raise PipelineUnavailableError(self.with_card(slot, str(error))) from error
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
        found = _found(kind, request)
        if isinstance(found, Driver):
            return _on_gpu(kind, request, cores, found)
        if request.device == "gpu":
            raise PipelineUnavailableError(f"--device gpu: {found.everything}")
        if request.gpu is not None:
            raise PipelineUnavailableError(f"{request.gpu_flag}: {found.everything}")
        why = found.what
    return resolve_on_cpu(request, cores, why)


def _found(kind: Kind, request: PipelineRequest) -> Driver | Missing:
    """Driver with the GPUs that are wanted, or why there is none for this request.

    A filter that the pipeline hasn't comes before a GPU that isn't there only if a GPU is asked
    for: others needn't know of the pipeline.
    """
    found = find_gpu(kind, request.wanted)
    lacks = kind.lacks(request.rule.interpolation)
    asked = request.device == "gpu" or request.gpu is not None
    if lacks and (asked or isinstance(found, Driver)):
        without = "without --device, --gpu and --pipeline the CPU scales by it"
        return Missing(lacks, f"{lacks}; {without}")
    return found


def _on_gpu(kind: Kind, request: PipelineRequest, cores: int, found: Driver) -> PipelineConfig:
    names = " and ".join(dict.fromkeys(gpu.name for gpu in found.gpus))
    count = f"{len(found.gpus)} x " if len(found.gpus) > 1 else ""
    each = request.dali_processes or _suiting(found.gpus, cores)
    processes = each * len(found.gpus)
    why = f"{count}{names}, driver for CUDA {dotted(found.cuda)}"
    if each > 1:
        why += f"; {each} processes" + (" for each" if count else "")
        if any(gpu.exclusive for gpu in found.gpus):
            why += ", which take turns with MPS only: it is in exclusive mode"
    config = _config(kind, request, cores, why)
    return replace(
        config,
        processes=processes,
        threads=max(1, min(MOST_THREADS, cores // processes)),
        gpu=found.gpus[0].index,
        cards=found.gpus,
    )


def _suiting(gpus: Sequence[Gpu], cores: int) -> int:
    """Processes for each GPU, unasked."""
    exclusive = any(gpu.exclusive for gpu in gpus)
    return 1 if exclusive or cores < ENOUGH_CORES * len(gpus) else 2


def resolve_on_cpu(request: PipelineRequest, cores: int, why: str) -> PipelineConfig:
    """Choose the pipeline that this machine's CPU has for a request, for a reason.

    Raises
    ------
    PipelineUnavailableError
        What was asked for can't run here.
    """
    auto, best = request.pipeline == AUTO, UNASKED[0]
    kind = _best_on_cpu() if auto else _on_cpu(request)
    if auto and kind != best and best.fits_system:
        why += f"; {best.title} is quicker: {best.install_line()}"
    return replace(_config(kind, request, cores, why), or_pillow=auto)


def _config(kind: Kind, request: PipelineRequest, cores: int, why: str) -> PipelineConfig:
    """Config of a kind on the CPU; on a GPU its threads and processes are still to be divided."""
    if not kind.threaded and request.dali_processes:
        raise PipelineUnavailableError(
            f"--dali_processes {request.dali_processes} goes with DALI, and this is {kind.device} "
            f"({kind.name}: {why}); add --pipeline dali, or leave it out: --workers has the "
            "processes"
        )
    processes = (request.dali_processes or 1) if kind.threaded else cores
    return PipelineConfig(
        kind.name,
        kind.device,
        request.batch_size or kind.batch_for(request.rule),
        threads=max(1, cores // processes),
        processes=processes,
        rule=request.rule,
        why=f"{kind.device} ({kind.name}): {why}",
    )


def _best_on_cpu() -> Kind:
    return next(kind for kind in UNASKED if kind.fits_system and not kind.missing())


def _on_cpu(request: PipelineRequest) -> Kind:
    """Kind that was asked for."""
    name = request.pipeline
    kind = KINDS[name, "cpu"]
    asked = f"--pipeline {name}:"
    if lacks := kind.lacks(request.rule.interpolation):
        raise PipelineUnavailableError(f"{asked} {lacks}; leave out --pipeline")
    if not kind.fits_system:
        raise PipelineUnavailableError(
            f"{asked} {kind.title} is for Linux only; leave out --pipeline"
        )
    if kind.missing():
        asked = f"{asked} {kind.software}" if kind.software else f"--pipeline {name}"
        raise PipelineUnavailableError(f"{asked} isn't installed: {kind.install_line()}")
    return kind
