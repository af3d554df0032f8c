"""How many cores a process may use, where a container or a batch system allows it fewer."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from imagenet_subset.system.cgroup import cpu_quotas
from imagenet_subset.system.cores import available_cores

CODE = "from imagenet_subset.system.cores import available_cores; print(available_cores())"


def quotas(tmp_path: Path, own: str, files: Mapping[str, str]) -> list[float]:
    """Quotas of a process with these lines in ``/proc/self/cgroup``, and these files mounted."""
    (tmp_path / "own").write_text(own)
    for name, text in files.items():
        path = tmp_path / "mounted" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return sorted(cpu_quotas(tmp_path / "own", tmp_path / "mounted"))


V1 = "4:memory:/a\n2:cpu,cpuacct:/a/b\n1:name=systemd:/\n"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, [1.5]),
        ("0::/a/b\n", {"a/cpu.max": "400000 100000\n", "a/b/cpu.max": "max 100000\n"}, [4]),
        ("0::/a/b\n", {"a/cpu.max": "50000 100000", "a/b/cpu.max": "300000 100000"}, [0.5, 3]),
        ("0::/\n", {"cpu.max": "200000 100000\n"}, [2]),
        ("0::/the/host/s\n", {"cpu.max": "200000 100000\n"}, [2]),
        ("0::/a\n", {"unified/a/cpu.max": "200000 100000\n"}, [2]),
        ("0::/\n", {"cpu.stat": "usage_usec 1\n"}, []),
        ("0::/a\n", {"a/cpu.max": "nonsense"}, []),
        ("0::/a\n", {"a/cpu.max": "100000 0"}, []),
        ("nonsense\n", {"cpu.max": "200000 100000\n"}, []),
        ("", {}, []),
        (V1, {"cpu,cpuacct/a/b/cpu.cfs_quota_us": "250000\n",
              "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000\n"}, [2.5]),
        (V1, {"cpu/a/cpu.cfs_quota_us": "50000\n", "cpu/a/cpu.cfs_period_us": "100000\n",
              "cpu/a/b/cpu.cfs_quota_us": "-1\n", "cpu/a/b/cpu.cfs_period_us": "100000\n"}, [0.5]),
        (V1, {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "25000\n"}, [2]),
        (V1, {"cpu/a/cpu.cfs_quota_us": "50000\n"}, []),
    ],
)  # fmt: skip
def test_every_quota_up_to_the_root_counts(
    tmp_path: Path, own: str, files: dict[str, str], expected: list[float]
) -> None:
    assert quotas(tmp_path, own, files) == expected


def test_a_system_without_cgroups_has_no_quotas(tmp_path: Path) -> None:
    assert list(cpu_quotas(tmp_path / "none", tmp_path)) == []


@pytest.mark.parametrize(
    ("value", "cores"), [("1", 1), ("0", 1), ("100000", None), ("", None), ("x", None), ("²", None)]
)
def test_slurm_can_only_allow_fewer(
    monkeypatch: pytest.MonkeyPatch, value: str, cores: int | None
) -> None:
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    expected = cores or available_cores()
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", value)
    assert available_cores() == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity_counts() -> None:
    code = f"import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); {CODE}"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "1\n"


@pytest.fixture
def group() -> Iterator[Path]:
    """A new cgroup of this machine's, in the hierarchy that has the cpu controller."""
    for hierarchy, file in (("cpu", "cpu.cfs_quota_us"), (".", "cpu.max")):
        path = Path("/sys/fs/cgroup") / hierarchy / f"imagenet-subset-{uuid.uuid4().hex}"
        with contextlib.suppress(OSError):
            path.mkdir()
            if (path / file).exists():
                yield path
                path.rmdir()
                return
            path.rmdir()
    pytest.skip("no cgroup with a CPU quota can be made here")


@pytest.mark.parametrize("below", [False, True])
def test_a_process_with_half_a_core_has_one(group: Path, below: bool) -> None:
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text("50000 100000")
    else:
        (group / "cpu.cfs_quota_us").write_text("50000")
    own = group / "below" if below else group
    own.mkdir(exist_ok=True)
    try:
        enter = f"echo $$ > '{own}/cgroup.procs' && exec \"$@\""
        command = ["sh", "-c", enter, "sh", sys.executable, "-c", CODE]
        assert subprocess.check_output(command, text=True) == "1\n"
    finally:
        if below:
            own.rmdir()
