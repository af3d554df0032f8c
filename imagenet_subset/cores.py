"""How many cores there are to use."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath


def available_cores() -> int:
    """CPU cores that this process may use, 1 at least.

    A batch system, a container or a user may allow it fewer than there are: by affinity, by a CPU
    quota of its cgroup or of one above it (rounded up), or by ``SLURM_CPUS_PER_TASK``.
    """
    limits = [_by_python(), *map(math.ceil, cgroup_quotas())]
    by_slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if by_slurm.isascii() and by_slurm.isdecimal():
        limits.append(int(by_slurm))
    return max(1, min(limits))


def _by_python() -> int:
    if hasattr(os, "process_cpu_count"):  # Python 3.13; obeys PYTHON_CPU_COUNT too
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cgroup_quotas(
    own: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> Iterator[float]:
    """CPU quotas of this process's cgroups and of those above them, in cores.

    Parameters
    ----------
    own
        Lines ``id:controllers:path`` of the process; version 2 has no controllers.
    mounted
        Where the hierarchies are mounted: version 1 below it by controller, version 2 here or in
        ``unified``. In a container a path may be that of the host, of which nothing is seen but
        the root.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in own.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                hierarchies = [mounted, mounted / "unified"]
            elif "cpu" in controllers.split(","):
                hierarchies = [mounted / controllers, mounted / "cpu"]
            else:
                continue
            below = PurePosixPath(path.lstrip("/"))
            for hierarchy in hierarchies:
                for group in (below, *below.parents):
                    yield from _quota(hierarchy / group)


def _quota(group: Path) -> Iterator[float]:
    """Quota of one cgroup in cores, if it has one; the files of either version."""
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = (group / "cpu.max").read_text().split()
        yield int(quota) / int(period)  # "max" is none
    with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
        quota, period = ((group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        if int(quota) > 0:  # -1 is none
            yield int(quota) / int(period)
