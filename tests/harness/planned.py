"""Builds planned and carried out in this process, with options as keywords."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.plan import BuildPlan, plan_build
from imagenet_subset.building.run import BuildResult, run_build
from imagenet_subset.building.shards import Progress
from imagenet_subset.execution.borrowed import Borrowed


def planned(subset: str | Path, data_dir: Path, out_dir: Path, **options: Any) -> BuildPlan:
    """Plan of a build, for one core unless more are asked for."""
    return plan_build(BuildOptions(subset, data_dir, out_dir, **{"workers": 1, **options}))


def carried_out(
    plan: BuildPlan,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> BuildResult:
    """Carry out a plan, with some of its options changed."""
    plan = replace(plan, options=replace(plan.options, **options))
    runner = None if executor is None else Borrowed(executor)
    return run_build(plan, runner=runner, progress=progress)
