"""What a build prints of its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagenet_subset.system.text import counted, gigabytes, printable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imagenet_subset.building.plan import BuildPlan
    from imagenet_subset.building.run import BuildResult
    from imagenet_subset.execution.runner import Worker

_NAMED_WORKERS = 4
"""Up to so many are named one by one."""


def print_summary(result: BuildResult) -> None:
    """Print what a build has made."""
    plan, paths = result.plan, result.plan.output
    if result.already_complete:
        print(f"{printable(paths.npz)} is already complete; nothing to do")
        _print_oddities(plan)
        if paths.partial.exists():
            print(
                f"{printable(paths.partial)} is what another build left when it was stopped; "
                "delete it if that isn't to go on"
            )
        return
    train, val = plan.rows["train"], plan.rows["val"]
    size = gigabytes(plan.layout.size)
    classes = counted(len(plan.subset.names), "class", "classes")
    print(
        f"{printable(paths.npz)}  {size}: {train:,} train and {counted(val, 'val image')}, "
        f"{classes}"
    )
    print(printable(paths.csv))
    print(work_done(result))
    if not result.on_this_machine and result.decoded:
        print(work_by_worker(result.by_worker))
    if result.fallbacks:
        print(f"left to Pillow: {counted(len(result.fallbacks), 'image')} (--debug names them)")
    _print_oddities(plan)


def work_done(result: BuildResult) -> str:
    """What a build has decoded, how fast, and what an earlier run had done, in a line."""
    kept = f"{result.kept:,} {'was' if result.kept == 1 else 'were'} done already"
    if not result.decoded:
        return f"nothing was left to decode; {kept}"
    rate = f", {result.decoded / result.seconds:.0f} images/s" if result.seconds else ""
    work = f"{counted(result.decoded, 'image')} in {result.seconds:.1f} s{rate}"
    return f"{work}; {kept}" if result.kept else work


def work_by_worker(by_worker: Mapping[Worker, int]) -> str:
    """How many images each worker decoded, by its host and process id; in a line.

    Examples
    --------
    >>> work_by_worker({("node1", 71): 2250, ("node2", 9): 1})
    'by 2 workers: node1 (pid 71) 2,250 images, node2 (pid 9) 1 image'
    >>> work_by_worker({(f"node{n % 3}", n): 100 + n for n in range(60)})
    'by 60 workers on 3 hosts: 100 to 159 images each'
    """
    if len(by_worker) <= _NAMED_WORKERS:
        each = (f"{host} (pid {pid}) {counted(n, 'image')}" for (host, pid), n in by_worker.items())
        return f"by {counted(len(by_worker), 'worker')}: {', '.join(each)}"
    hosts = counted(len({host for host, _ in by_worker}), "host")
    least, most = min(by_worker.values()), max(by_worker.values())
    return f"by {len(by_worker):,} workers on {hosts}: {least:,} to {most:,} images each"


def _print_oddities(plan: BuildPlan) -> None:
    if plan.provenance.by_name:
        print("train_id: negative, made of the photos' names; imagenet-subset locate leads to them")
    if plan.reencoded:
        print(
            f"not original: {counted(plan.reencoded, 'photo')}, encoded anew by whoever made this "
            "copy of ImageNet"
        )
    if plan.missing:
        print(f"left out: {counted(plan.missing, 'image')} missing from the source")
    if plan.undecodable:
        print(
            f"left out: {counted(plan.undecodable, 'image')} that can't be decoded, listed in "
            f"{printable(plan.output.failures)}; with good files in their place, --overwrite "
            "builds with them"
        )
