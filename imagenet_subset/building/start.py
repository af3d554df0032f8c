"""From what is asked for to a plan, with the workers that will carry it out."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from concurrent.futures import Executor

from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.plan import BuildPlan, plan_build, read_inputs
from imagenet_subset.building.resolution import Resolved, resolve_here, resolve_on_worker
from imagenet_subset.building.shards import warm_up
from imagenet_subset.errors import WorkerDiedError
from imagenet_subset.execution.borrowed import Borrowed
from imagenet_subset.execution.local import LocalPool
from imagenet_subset.execution.runner import Runner, WorkerDied


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
        runner = executor if isinstance(executor, Borrowed) else Borrowed(executor)
        inputs = read_inputs(options)  # a mistyped name isn't worth the wait for a worker
        yield plan_build(options, _ask_a_worker(runner, options), inputs), runner
        return
    config = resolve_here(options.request, options.workers)
    with LocalPool(config.processes) as pool:
        warm_up(pool, config)
        # Now, since the versions import Pillow.
        yield plan_build(options, Resolved(config, config.versions())), pool


def _ask_a_worker(runner: Runner, options: BuildOptions) -> Resolved:
    """Have a worker resolve what is asked for: this machine may have neither GPU nor packages."""
    answers: dict[int, Resolved] = {}
    ask = functools.partial(resolve_on_worker, options.request, options.workers)
    try:
        runner.run(iter([(0, ask)]), answers.__setitem__)
    except WorkerDied as died:
        raise WorkerDiedError(f"{died.told()}; nothing was begun") from died
    return answers[0]
