"""From what is asked for to a plan, with the workers that will carry it out."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace

from imagenet_subset.building.ahead import begin_workers_of_builds
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
from imagenet_subset.execution.engines import LOCAL, Engine, check_engine, opened
from imagenet_subset.execution.local import LocalPool
from imagenet_subset.execution.processes import Workers
from imagenet_subset.execution.runner import Runner, WorkerDied, nothing
from pipelines.base import PipelineUnavailableError
from pipelines.choice import PipelineConfig
from pipelines.cuda import CPU_WORKS


@contextlib.contextmanager
def begun(
    options: BuildOptions,
    executor: Engine = LOCAL,
    tell: Callable[[str], None] = nothing,
    workers: Workers | None = None,
) -> Iterator[tuple[BuildPlan, Runner]]:
    """Plan a build for the workers that will carry it out.

    Parameters
    ----------
    executor
        Has the workers. By default they are processes of this machine, which begin to import what
        they need before the images are looked for.
    tell
        Called with lines for the user, where an engine has to be waited for.
    workers
        What starts processes of this machine, where that has begun already.

    Yields
    ------
    tuple[BuildPlan, Runner]
        The runner is closed at the end of the context.

    Raises
    ------
    imagenet_subset.errors.WorkerError
        Workers can't be had, can't start, or died.
    pipelines.base.PipelineUnavailableError
        The device or the pipeline can't run where the images would be decoded.
    ValueError, imagenet_subset.errors.ImagenetSubsetError
        See `imagenet_subset.building.plan.plan_build`.
    """
    if executor == LOCAL:
        with _begun_here(options, workers) as begun_here:
            yield begun_here
        return
    check_engine(executor, workers=options.workers, gpus=options.gpu)
    inputs = read_inputs(options)  # a mistyped name isn't worth the wait for a worker
    with opened(executor, tell) as runner:
        if runner is not None:
            resolved = _ask_a_worker(runner, options, tell)
            warm_up(runner, resolved.config)
            yield plan_build(options, resolved, inputs), runner
            return
        with _begun_here(options) as begun_here:
            yield begun_here


@contextlib.contextmanager
def _begun_here(
    options: BuildOptions, workers: Workers | None = None
) -> Iterator[tuple[BuildPlan, Runner]]:
    """Plan a build for processes of this machine."""
    with contextlib.ExitStack() as pools:
        workers = workers or pools.enter_context(contextlib.closing(begin_workers_of_builds()))
        config = resolve_here(options.request, options.workers)
        pool, openings = _opening_pool(config, pools, workers)
        # Now, since the versions import Pillow.
        plan = plan_build(options, Resolved(config, config.versions()))
        while openings and not _is_done(plan):
            try:
                plan = replace(plan, notes=(*plan.notes, *_lines(openings)))
                break
            except PipelineUnavailableError as refusal:
                fewer = _without(plan, refusal)
                notes = (fewer.config.why, *plan.notes[1:])
            pool.close()
            plan = replace(plan, config=fewer.config, versions=fewer.versions, notes=notes)
            pool, openings = _opening_pool(plan.config, pools)
        yield plan, pool


def _opening_pool(
    config: PipelineConfig, pools: contextlib.ExitStack, workers: Workers | None = None
) -> tuple[LocalPool, list[Future[list[str]]]]:
    """A pool whose workers begin to import what they need, and those on GPUs to open them.

    So a GPU shows whether it takes the work while the images are looked for, before there is a
    file.
    """
    pool = pools.enter_context(local_pool(config, workers))
    warm_up(pool, config)
    task = functools.partial(open_pipeline, config.for_pool())
    return pool, [pool.first(task) for _ in range(config.processes)] if config.cards else []


def _is_done(plan: BuildPlan) -> bool:
    """Whether there is nothing to decode."""
    return not plan.options.overwrite and already_complete(plan) is not None


def _lines(openings: Sequence[Future[list[str]]]) -> list[str]:
    """What pipelines that are being opened have to say, once they are open; each line once."""
    try:
        return list(dict.fromkeys(line for opening in openings for line in opening.result()))
    except WorkerDied as died:
        told = died.told("while it opened the pipeline")
        raise PipelineUnavailableError(f"{told}; {CPU_WORKS}") from died


def _without(plan: BuildPlan, refusal: PipelineUnavailableError) -> Resolved:
    """What decodes in place of GPUs that refuse so many processes, as far as that may be chosen."""
    options, cards = plan.options, plan.config.cards
    why = str(refusal).removesuffix(CPU_WORKS).rstrip(";, ")
    if plan.config.processes > len(cards) and options.dali_processes is None:
        one = resolve_here(replace(options.request, dali_processes=1), options.workers)
        if one.cards == cards:
            config = replace(one, why=f"{one.why}; one process, since two are refused: {why}")
            return Resolved(config, config.versions())
    if options.device != "auto" or options.gpu is not None:
        raise refusal
    return resolved_without(options.request, options.workers, why)


def _ask_a_worker(runner: Runner, options: BuildOptions, tell: Callable[[str], None]) -> Resolved:
    """Have a worker resolve what is asked for: this machine may have neither GPU nor packages."""
    answers: dict[int, Resolved] = {}
    ask = functools.partial(resolve_on_worker, options.request, options.workers)

    def tell_news() -> None:
        for line in runner.new_lines():
            tell(line)

    try:
        runner.run(iter([(0, ask)]), answers.__setitem__, tell_news)
    except WorkerDied as died:
        raise WorkerDiedError(f"{died.told()}; nothing was begun") from died
    return answers[0]
