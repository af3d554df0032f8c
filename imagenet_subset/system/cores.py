"""How many cores there are to use."""

from __future__ import annotations

import math
import os

from imagenet_subset.system.cgroup import cpu_quotas


def available_cores() -> int:
    """CPU cores that this process may use, 1 at least.

    A batch system, a container or a user may allow it fewer than there are: by affinity, by a CPU
    quota of its cgroup or of one above it (rounded up), or by ``SLURM_CPUS_PER_TASK``.
    """
    limits = [_by_python(), *map(math.ceil, cpu_quotas())]
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
