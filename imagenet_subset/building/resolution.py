"""The pipeline of a build, resolved on the machine that decodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from imagenet_subset.building.proof import worker_name
from imagenet_subset.system.cores import available_cores
from pipelines.base import PipelineUnavailableError
from pipelines.choice import PipelineConfig, resolve, resolve_on_cpu
from pipelines.request import PipelineRequest


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a machine has for a request, and what it would make the pixels with."""

    config: PipelineConfig
    versions: Mapping[str, str]
    """Versions there of everything that decides the pixels."""
    here: bool = True
    """Whether it is this machine that was asked."""


def resolve_here(request: PipelineRequest, workers: int | None) -> PipelineConfig:
    """Resolve a request for so many cores; None for all that this machine allows.

    Raises
    ------
    pipelines.base.PipelineUnavailableError
        What was asked for can't run here.
    """
    return resolve(request, workers or available_cores())


def resolve_alone(request: PipelineRequest, workers: int | None) -> PipelineConfig:
    """Resolve a request for a process of an executor, beside which nobody starts others.

    Raises
    ------
    pipelines.base.PipelineUnavailableError
        What was asked for can't run here.
    """
    config = resolve_here(request, workers)
    if config.cards and request.dali_processes is None:
        return resolve_here(replace(request, dali_processes=1), workers)
    return config


def resolved_without(request: PipelineRequest, workers: int | None, refused: str) -> Resolved:
    """Resolve a request for the CPU, since the GPU that was found refuses, for a reason.

    Raises
    ------
    pipelines.base.PipelineUnavailableError
        What was asked for can't run here.
    """
    config = resolve_on_cpu(request, workers or available_cores(), refused)
    return Resolved(config, config.versions())


def resolve_on_worker(request: PipelineRequest, workers: int | None) -> Resolved:
    """Resolve a request as a task of an executor, for a plan that is made elsewhere.

    Raises
    ------
    pipelines.base.PipelineUnavailableError
        What was asked for can't run on this worker, which is named.
    """
    try:
        config = resolve_alone(request, workers)
    except PipelineUnavailableError as error:
        raise PipelineUnavailableError(f"worker {worker_name()}: {error}") from error
    return Resolved(config, config.versions(), here=False)
