"""Builds on the ranks of an MPI job, by mpiexec: the same bytes, and one voice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.builds import Build
from tests.harness.engines import AS_ROOT, mounted_over, mpiexec, needs_mpi, needs_root
from tests.harness.executors import hook
from tests.harness.gpus import H100, T4, driver_program
from tests.harness.processes import wait_for
from tests.harness.tiers import thorough
from tests.imagenet_subset.engines.conftest import assert_told_once, sha256

pytestmark = [
    needs_mpi,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="watches processes by /proc"),
]


def on_ranks(ranks: int, photos: Path, out: Path, *more: str) -> Build:
    return Build(photos, out, *more, engine="mpi", under=mpiexec(ranks), env=AS_ROOT)


def test_a_build_on_three_ranks_has_the_bytes_of_any_other(photos, expected, tmp_path) -> None:
    done = on_ranks(3, photos, tmp_path).loud().run()
    assert done.returncode == 0, done.stderr
    assert sha256(tmp_path / "two_cls.npz") == expected
    assert_told_once(done.stderr)
    npz, _csv, work, by = done.stdout.splitlines()
    assert npz.startswith(str(tmp_path / "two_cls.npz"))
    assert work.startswith("900 images in ")
    images = re.findall(r"\(pid \d+\) (\d+) images?", by)
    assert by.startswith(("by 1 worker: ", "by 2 workers: "))  # the other one may come too late
    assert sum(map(int, images)) == 900


def test_one_rank_says_that_nothing_is_distributed(photos, expected, tmp_path) -> None:
    build = on_ranks(1, photos, tmp_path).loud()
    done = build.run()
    assert done.returncode == 0, done.stderr
    assert sha256(build.npz) == expected
    assert done.stderr.startswith(
        "--executor mpi: there is one rank, so nothing is distributed, and processes of this "
        "machine decode; start the command by srun or mpiexec\n"
    )


def test_wrong_usage_is_told_once(photos, tmp_path) -> None:
    done = on_ranks(3, photos, tmp_path, "--workers", "2").run()
    assert done.returncode == 2
    assert done.stderr.count("imagenet-subset build: ") == 1
    assert "--workers 2 goes with --executor local alone; another engine has " in done.stderr


def test_a_wrong_input_is_told_once(photos, tmp_path) -> None:
    done = on_ranks(3, photos, tmp_path, "--data_dir", str(tmp_path / "none")).run()
    assert done.returncode == 1
    assert done.stderr.count("imagenet-subset: ") == 1


def test_ranks_of_another_mpi_are_told_once(photos, tmp_path) -> None:
    alone = Build(photos, tmp_path, engine="mpi")
    told = []
    for rank in range(2):
        alone.env = {**AS_ROOT, "PMI_RANK": str(rank), "PMI_SIZE": "2"}
        done = alone.run()
        assert done.returncode == 1
        told.append(done.stderr)
    assert "2 processes were started, but mpi4py's MPI (" in told[0]
    assert ") doesn't connect them; start them by the mpiexec of this MPI" in told[0]
    assert told[1] == ""


def ranks_of(job: int) -> list[int]:
    """Process ids of the ranks that an mpiexec started."""
    children = Path(f"/proc/{job}/task/{job}/children").read_text().split()
    return sorted(map(int, children))


def at_work(build: Build, process: subprocess.Popen[str]) -> None:
    """Wait until some rows are done, and some aren't."""

    def some() -> bool:
        assert process.poll() is None, process.communicate()
        return build.rows_done() > 0

    wait_for(some)


SLOWLY = """
import os, time
true = os.pwritev
def slow(*args):
    time.sleep(0.2)
    return true(*args)
os.pwritev = slow
"""
"""A ``sitecustomize`` that leaves a test the time to disturb what writes rows."""


@pytest.fixture
def slowly(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook/sitecustomize.py").write_text(SLOWLY)
    return {**AS_ROOT, "PYTHONPATH": str(tmp_path / "hook")}


@pytest.mark.processes
def test_a_job_that_loses_a_rank_ends_and_is_resumed(photos, expected, tmp_path, slowly) -> None:
    build = on_ranks(3, photos, tmp_path / "out")
    build.env = slowly
    with build.begun() as process:
        at_work(build, process)
        os.kill(ranks_of(process.pid)[-1], signal.SIGKILL)
        process.communicate(timeout=60)
    assert process.returncode != 0
    assert not build.npz.exists()
    assert 0 < (done := build.rows_done()) < 900
    # On other ranks, and then the rest on none.
    rerun = on_ranks(2, photos, tmp_path / "out").loud().run()
    assert rerun.returncode == 0, rerun.stderr
    assert f"; {done:,} were done already" in rerun.stdout
    assert sha256(build.npz) == expected


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_is_stopped_keeps_what_is_done(
    photos, expected, tmp_path, slowly, number
) -> None:
    build = on_ranks(3, photos, tmp_path / "out")
    build.env = slowly
    with build.begun() as process:
        at_work(build, process)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in stderr
    assert 0 < build.rows_done() < 900
    assert Build(photos, tmp_path / "out").sha256() == expected


@thorough("the checks are those of any executor")
@needs_root
@pytest.mark.parametrize("hidden", ["photos", "out"])
def test_a_rank_that_sees_other_folders_is_refused(photos, expected, tmp_path, hidden) -> None:
    (out := tmp_path / "out").mkdir()
    folder = photos if hidden == "photos" else out
    build = on_ranks(2, photos, out)
    command = build.command[len(mpiexec(2)) :]
    build.command += [":", "-n", "1", *mounted_over(folder), *command]
    done = build.run()
    assert done.returncode == 1, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("imagenet-subset: ")]
    assert len(told) == 1, done.stderr
    assert told[0].startswith(f"imagenet-subset: worker {os.uname().nodename} (pid ")
    assert {"photos": "doesn't see the photos: ", "out": "sees another "}[hidden] in told[0]
    assert not build.npz.exists()
    assert Build(photos, out).sha256() == expected


CALLS = """
import sys
from pathlib import Path
from mpi4py import MPI
from imagenet_subset import build
from imagenet_subset.errors import ImagenetSubsetError

photos, out = sys.argv[1:]
asked = {"device": "cpu", "pipeline": "pillow", "executor": "mpi"}
try:
    build(photos + "/none.txt", photos, out, **asked)
except ImagenetSubsetError as error:
    said = str(error)
result = build(photos + "/two.txt", photos, out, **asked)
rank = MPI.COMM_WORLD.rank  # a file each: what ranks print at the same time may be mixed
told = result.npz, result.decoded, sum(result.by_worker.values()), said
Path(f"{out}-{rank}").write_text("|".join(map(str, told)))
"""


def test_in_python_every_rank_gets_the_result_or_the_error(photos, expected, tmp_path) -> None:
    done = subprocess.run(
        [*mpiexec(3), sys.executable, "-c", CALLS, str(photos), str(tmp_path / "out")],
        env={**os.environ, **AS_ROOT},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    npz = tmp_path / "out/two_cls.npz"
    told = {(tmp_path / f"out-{rank}").read_text() for rank in range(3)}
    assert len(told) == 1
    result, _, error = told.pop().rpartition("|")
    assert result == f"{npz}|900|900"
    assert str(photos / "none.txt") in error
    assert sha256(npz) == expected


CARDS = """
import os, sys
from imagenet_subset.execution import mpi

def card(_number):
    import time
    time.sleep(0.2)
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES", "all")

with mpi.joined(share_gpus=sys.argv[1] == "share") as leads:
    if leads:
        tasks = ((n, __import__("functools").partial(card, n)) for n in range(12))
        found = {}
        mpi.leading().run(tasks, lambda _, seen: found.update([seen]))
        print(*sorted(found.values()))
"""


@pytest.mark.parametrize(
    ("asked", "cards", "expected"),
    [
        ("share", [H100, T4], "GPU-01234567-89ab-cdef-0123-456789abcdef "
         "GPU-01234567-89ab-cdef-0123-456789abcdef GPU-fedcba98-7654-3210-fedc-ba9876543210"),
        ("share", [H100], "all all all"),
        ("no", [H100, T4], "all all all"),
    ],
)  # fmt: skip
def test_the_ranks_of_a_machine_have_its_gpus_in_turn(tmp_path, asked, cards, expected) -> None:
    driver = driver_program(tmp_path / "driver", cards)
    env = hook(tmp_path / "hook", f"import sys\nsys.executable = {str(driver)!r}\n")
    (tmp_path / "cards.py").write_text(CARDS)
    done = subprocess.run(
        [*mpiexec(4), sys.executable, str(tmp_path / "cards.py"), asked],
        env={**os.environ, **AS_ROOT, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, f"{expected}\n"), done.stderr
