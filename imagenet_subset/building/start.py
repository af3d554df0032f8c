"""From what is asked for to a plan, with the workers that will carry it out."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from dataclasses import replace

from imagenet_subset.building.finished import already_complete
from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.plan import BuildPlan, plan_build, read_inputs
from imagenet_subset.building.resolution import (
    Resolved,
    resolve_here,
    resolve_on_worker,
    resolved_without,
)
from imagenet_subset.building.shards import local_pool, warm_up
from imagenet_subset.building.worker import open_pipeline
from imagenet_subset.errors import WorkerDiedError
from imagenet_subset.execution.borrowed import Borrowed
from imagenet_subset.execution.local import LocalPool
from imagenet_subset.execution.runner import Runner, WorkerDied
from pipelines.base import PipelineUnavailableError
from pipelines.choice import PipelineConfig
from pipelines.cuda import CPU_WORKS


@contextlib.contextmanager
def begun(
    options: BuildOptions, executor: Executor | Borrowed | None = None
) -> Iterator[tuple[BuildPlan, Runner]]:
    """Plan a build for the workers that will carry it out.

    Parameters
    ----------
    executor
        Has the workers. By default they are processes of this machine, which begin to import what
        they need before the images are looked for.

    Yields
    ------
    tuple[BuildPlan, Runner]
        The runner is closed at the end of the context.

    Raises
    ------
    imagenet_subset.errors.WorkerError
        Workers can't start, or died.
    pipelines.base.PipelineUnavailableError
        The device or the pipeline can't run where the images would be decoded.
    ValueError, imagenet_subset.errors.ImagenetSubsetError
        See `imagenet_subset.building.plan.plan_build`.
    """
    if executor is not None:
        if options.request.several:
            raise ValueError(
                f"{options.request.gpu_flag} is for the processes of one machine; with an executor "
                "each worker has one GPU: name one at most"
            )
        runner = executor if isinstance(executor, Borrowed) else Borrowed(executor)
        inputs = read_inputs(options)  # a mistyped name isn't worth the wait for a worker
        yield plan_build(options, _ask_a_worker(runner, options), inputs), runner
        return
    config = resolve_here(options.request, options.workers)
    with contextlib.ExitStack() as pools:
        pool = pools.enter_context(_warm_pool(config))
        # The GPU shows whether it takes the work while the images are looked for.
        task = functools.partial(open_pipeline, config.for_pool())
        opening = pool.first(task) if config.cards else None
        # Now, since the versions import Pillow.
        plan = plan_build(options, Resolved(config, config.versions()))
        if opening is not None and not _is_done(plan):
            try:
                plan = replace(plan, notes=(*plan.notes, *_lines(opening)))
            except PipelineUnavailableError as refusal:
                if options.device != "auto" or options.gpu is not None:
                    raise
                pool.close()
                plan = _on_the_cpu(plan, refusal)
                pool = pools.enter_context(_warm_pool(plan.config))
        yield plan, pool


@contextlib.contextmanager
def _warm_pool(config: PipelineConfig) -> Iterator[LocalPool]:
    with local_pool(config) as pool:
        warm_up(pool, config)
        yield pool


def _is_done(plan: BuildPlan) -> bool:
    """Whether there is nothing to decode."""
    return not plan.options.overwrite and already_complete(plan) is not None


def _lines(opening: Future[list[str]]) -> list[str]:
    """What a pipeline that is being opened has to say, once it is open."""
    try:
        return opening.result()
    except WorkerDied as died:
        told = died.told("while it opened the pipeline")
        raise PipelineUnavailableError(f"{told}; {CPU_WORKS}") from died


def _on_the_cpu(plan: BuildPlan, refusal: PipelineUnavailableError) -> BuildPlan:
    """The plan for this machine's CPU, since the GPU that was found refuses."""
    options, why = plan.options, str(refusal)
    why = why.removesuffix(CPU_WORKS).rstrip(";, ")
    without = resolved_without(options.request, options.workers, why)
    notes = (without.config.why, *plan.notes[1:])
    return replace(plan, config=without.config, versions=without.versions, notes=notes)


def _ask_a_worker(runner: Runner, options: BuildOptions) -> Resolved:
    """Have a worker resolve what is asked for: this machine may have neither GPU nor packages."""
    answers: dict[int, Resolved] = {}
    ask = functools.partial(resolve_on_worker, options.request, options.workers)
    try:
        runner.run(iter([(0, ask)]), answers.__setitem__)
    except WorkerDied as died:
        raise WorkerDiedError(f"{died.told()}; nothing was begun") from died
    return answers[0]
