"""The control groups of this process: what it may use, and whether the kernel ended any of it.

Files and their formats: Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

MEMBERSHIP, MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def groups(controller: str, membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> Iterator[Path]:
    """Folders of this process's control groups, each followed by those above it.

    Parameters
    ----------
    controller
        Of version 1: ``"cpu"``, ``"memory"``. In version 2 a group has all of them.
    membership
        Lines ``id:controllers:path`` of the process; version 2 has no controllers.
    mount
        Where the hierarchies are mounted: version 1 below it by controller, version 2 here or in
        ``unified``. In a container the path may be the host's, of which only the root is visible.
    """
    with contextlib.suppress(OSError, ValueError):
        for line in membership.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if not controllers:
                hierarchies = [mount, mount / "unified"]
            elif controller in controllers.split(","):
                hierarchies = [mount / controllers, mount / controller]
            else:
                continue
            below = PurePosixPath(path.lstrip("/"))
            for hierarchy in hierarchies:
                for group in (below, *below.parents):
                    yield hierarchy / group


def cpu_quotas(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> Iterator[float]:
    """CPU quotas of the groups that have one, in cores."""
    for group in groups("cpu", membership, mount):
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = (group / "cpu.max").read_text().split()
            yield int(quota) / int(period)  # "max" is none
        with contextlib.suppress(OSError, ValueError, ZeroDivisionError):
            quota, period = (
                (group / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
            )
            if int(quota) > 0:  # -1 is none
                yield int(quota) / int(period)


def count_oom_kills(membership: Path = MEMBERSHIP, mount: Path = MOUNT) -> int:
    """How many processes of this group the kernel has killed for lack of memory, as far as known.

    It grows when the kernel kills a child of this process, so nobody has to guess. Only the
    innermost group is asked: those above it have other people's processes too.
    """
    for group in groups("memory", membership, mount):
        for name in ("memory.events", "memory.oom_control"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                lines = (group / name).read_text().splitlines()
                return int(dict(line.split() for line in lines)["oom_kill"])
    return 0
