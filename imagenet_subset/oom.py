"""Whether the kernel killed a process for want of memory: evidence in place of a guess."""

from __future__ import annotations

from pathlib import Path

_MEMBERSHIP, _MOUNT = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def count_oom_kills(membership: Path = _MEMBERSHIP, mount: Path = _MOUNT) -> int | None:
    """How many processes of our control group were killed when memory ran out; None if unknown.

    Read from ``memory.events`` of version 2 and ``memory.oom_control`` of version 1 (Linux,
    Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst).
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            top, name = mount, "memory.events"
        elif "memory" in controllers.split(","):
            top, name = mount / "memory", "memory.oom_control"
        else:
            continue
        # In a container the group itself is mounted at the top.
        for folder in (top / path.lstrip("/"), top):
            if (count := _count_in(folder / name)) is not None:
                return count
    return None


def _count_in(file: Path) -> int | None:
    try:
        fields = dict(line.split() for line in file.read_text().splitlines())
        return int(fields["oom_kill"])
    except (OSError, ValueError, KeyError):
        return None
