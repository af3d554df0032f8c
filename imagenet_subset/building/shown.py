"""A build that shows how far it is; the command line and Python share it."""

from __future__ import annotations

from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.run import BuildResult, run_build
from imagenet_subset.building.tasks import ShardResult
from imagenet_subset.execution.runner import Runner
from imagenet_subset.progress.display import Display
from imagenet_subset.progress.meter import Work
from imagenet_subset.system.text import counted, gigabytes, printable


def looking(options: BuildOptions) -> Work:
    """What goes on until there is a plan."""
    where = printable(options.data_dir)
    return Work(f"looks for the images in {where}", leave=False)


def build_shown(
    plan: BuildPlan, runner: Runner, display: Display, *, name_fallbacks: bool = False
) -> BuildResult:
    """Carry out a plan, and show how far it is.

    Parameters
    ----------
    name_fallbacks
        Whether each image that is left to Pillow is named.

    Raises
    ------
    imagenet_subset.errors.ImagenetSubsetError
        See `imagenet_subset.building.run.run_build`.
    """
    display.done()  # with looking for images
    for note in plan.notes:
        display.tell(note)
    shown = _Shown(plan, runner, display, name_fallbacks)
    return run_build(plan, runner=runner, progress=shown, begins=shown.begins)


class _Shown:
    """Shows a build as `run_build` tells of it."""

    def __init__(
        self, plan: BuildPlan, runner: Runner, display: Display, name_fallbacks: bool
    ) -> None:
        self._plan, self._runner, self._display = plan, runner, display
        self._name_fallbacks = name_fallbacks

    def begins(self, known: int) -> None:
        """Show what is built; an earlier run has noted so many images as done."""
        plan = self._plan
        done = f", {known:,} of them done already," if known else ""
        images = counted(sum(plan.rows.values()), "image")
        self._display.begin(
            Work(
                printable(plan.subset.name),
                sum(plan.rows.values()),
                "images",
                known,
                opening=f"builds {images} of {counted(len(plan.subset.names), 'class', 'classes')}"
                f"{done} into {printable(plan.output.npz)}, {gigabytes(plan.layout.size)}; "
                f"{plan.config.title}, {self._workers()}",
                ending="the file is being completed",
                place=f"into {printable(plan.output.npz)}",
            )
        )

    def __call__(self, shard: ShardResult) -> None:
        """Show a shard."""
        for line in shard.notices:
            self._display.tell(line)
        for index, reason in shard.fallbacks if self._name_fallbacks else []:
            path = self._plan.path(self._plan.record(index))
            self._display.tell(f"by Pillow: {path}: {reason}")
        if not self._runner.on_this_machine and self._runner.workers:
            self._display.note = self._workers()  # they come and go
        self._display.advance(come_through(shard), shard.kept)

    def _workers(self) -> str:
        if self._runner.on_this_machine:
            return counted(self._plan.config.processes, "process", "processes")
        workers = self._runner.workers
        return counted(workers, "worker") if workers else "workers of an executor"


def come_through(shard: ShardResult) -> int:
    """Rows that are done or have failed; a shard that was asked to stop has others too."""
    done = sum(crc is not None for crc in shard.crcs)
    return done + len(shard.failures) + len(shard.unreadable)
