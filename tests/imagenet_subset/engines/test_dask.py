"""Builds on a Dask cluster: the same bytes, whatever becomes of its workers and its scheduler."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest

from imagenet_subset import build
from tests.harness.builds import Build, sent
from tests.harness.engines import Cluster, mounted_over, needs_dask, needs_root
from tests.harness.executors import hook
from tests.harness.processes import wait_for
from tests.harness.tiers import thorough
from tests.imagenet_subset.engines.conftest import assert_told_once, sha256

pytestmark = [
    needs_dask,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="watches processes by /proc"),
]


def run(command: list[str]) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stderr


def test_a_build_on_a_cluster_has_the_bytes_of_any_other(cluster, photos, expected, tmp_path):
    done = Build(photos, tmp_path, engine=cluster.engine).loud().run()
    assert done.returncode == 0, done.stderr
    assert sha256(tmp_path / "two_cls.npz") == expected
    *_, work, by = done.stdout.splitlines()
    assert work.startswith("900 images in ")
    each = rf"{os.uname().nodename} \(pid \d+\) (\d+) images?"
    assert re.fullmatch(rf"by (1 worker|2 workers): {each}(, {each})?", by)
    assert sum(map(int, re.findall(each, by))) == 900
    assert_told_once(done.stderr)
    # Again on the same cluster, by its address.
    address = re.findall(r'"address": "(tcp:[^"]+)"', cluster.file.read_text())[0]
    again = Build(photos, tmp_path, "--overwrite", engine=f"dask:{address}")
    before = (tmp_path / "two_cls.npz").stat().st_ino
    assert again.sha256() == expected
    assert (tmp_path / "two_cls.npz").stat().st_ino != before
    assert cluster.at_work() == []


@pytest.mark.processes
def test_what_a_killed_worker_had_in_hand_goes_to_others(photos, expected, tmp_path):
    with Cluster(tmp_path / "cluster").with_workers(2) as cluster:
        build = Build(photos, tmp_path / "out", engine=cluster.engine).loud()
        with build.halted_at_first_rows() as process:
            cluster.workers[0].kill()
            code, stderr = sent(process, signal.SIGCONT)
    assert code == 0, stderr
    assert sha256(build.npz) == expected
    lost = [line for line in stderr.splitlines() if "lost worker" in line]
    assert len(lost) == 1, stderr
    assert re.fullmatch(
        r"lost worker tcp://127\.0\.0\.1:\d+; what it had in hand goes to others \(1 worker left\)",
        lost[0],
    )


@pytest.mark.processes
def test_a_build_that_loses_its_scheduler_goes_on_with_another(photos, expected, tmp_path):
    with Cluster(tmp_path / "1").with_workers(2) as cluster:
        build = Build(photos, tmp_path / "out", engine=cluster.engine)
        with build.halted_at_first_rows() as process:
            os.killpg(cluster.scheduler.pid, signal.SIGKILL)
            code, stderr = sent(process, signal.SIGCONT)
    assert (code, stderr) == (
        1,
        f"imagenet-subset: lost the scheduler at {cluster.file}; what is done is kept: start the "
        "scheduler and its workers again, and run the same command to go on\n",
    )
    done = build.rows_done()
    assert 0 < done < 900
    with Cluster(tmp_path / "2").with_workers(1) as cluster:
        rerun = Build(photos, tmp_path / "out", engine=cluster.engine).loud().run()
    assert rerun.returncode == 0, rerun.stderr
    assert f"; {done} were done already" in rerun.stdout
    assert sha256(build.npz) == expected


@pytest.mark.processes
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_leaves_nothing_on_the_scheduler(
    cluster, photos, expected, tmp_path, number, code
) -> None:
    build = Build(photos, tmp_path, engine=cluster.engine)
    with build.halted_at_first_rows() as process:
        stopped, stderr = sent(process, number)
    assert stopped == code
    assert re.fullmatch(
        r"imagenet-subset: stopped( by SIGTERM)?; \d+ of 900 images are done and kept: run the "
        r"same command again to go on\n",
        stderr,
    )
    wait_for(lambda: cluster.at_work() == [])
    assert 0 < build.rows_done() < 900
    # What was begun on a cluster goes on without one.
    assert Build(photos, tmp_path).sha256() == expected


@thorough("starts a cluster of its own")
def test_a_shard_that_kills_its_workers_is_told_with_its_photos(photos, expected, tmp_path):
    victim = sorted((photos / "train").rglob("*.JPEG"))[-1].name
    deadly = hook(
        tmp_path / "hook",
        "import builtins, os, signal\n"
        "true = os.open\n"
        "def open(path, *args, **more):\n"
        f"    if str(path).endswith({victim!r}):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return true(path, *args, **more)\n"
        "os.open = open\n",
    )
    one = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}
    with Cluster(tmp_path / "cluster", env=one) as cluster:
        for _ in range(2):
            cluster.add_worker(env=deadly)
        build = Build(photos, tmp_path / "out", engine=cluster.engine)
        done = build.run()
    assert done.returncode == 1
    assert re.fullmatch(
        r"imagenet-subset: 2 workers died one after the other, each with \d+ photos, \S+ to \S+, "
        r"still to do; the last was tcp://127\.0\.0\.1:\d+, and why is in its log; what is done "
        r"is kept: run the same command again to go on\n",
        done.stderr,
    ), done.stderr
    assert Build(photos, tmp_path / "out").sha256() == expected


@thorough("starts a cluster of its own")
def test_a_worker_may_have_several_threads(photos, expected, tmp_path):
    with Cluster(tmp_path / "cluster") as cluster:
        cluster.add_worker(threads=3)
        assert Build(photos, tmp_path / "out", engine=cluster.engine).sha256() == expected


# Workers that don't fit


def refused(build: Build, expected: str) -> str:
    """What a build on a cluster with an unfit worker says; without it, it can be finished."""
    done = build.run()
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not build.npz.exists()
    assert not (build.out / "two_cls_failures.csv").exists()
    assert Build(build.data, build.out).sha256() == expected
    return done.stderr


@thorough("starts clusters of its own")
@needs_root
@pytest.mark.parametrize("hidden", ["photos", "out"])
def test_a_worker_that_sees_other_folders_is_refused(photos, expected, tmp_path, hidden):
    (out := tmp_path / "out").mkdir()
    with Cluster(tmp_path / "cluster").with_workers(1) as cluster:
        cluster.add_worker(under=mounted_over(photos if hidden == "photos" else out))
        told = refused(Build(photos, out, engine=cluster.engine), expected)
    assert told.startswith(f"imagenet-subset: worker {os.uname().nodename} (pid ")
    if hidden == "photos":
        assert "doesn't see the photos: " in told
    else:
        assert "sees another " in told
        assert "; --out_dir must be the same folder for all workers" in told


@thorough("installs another Pillow")
def test_a_worker_with_another_pillow_is_refused_also_if_it_joins_late(photos, expected, tmp_path):
    pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(tmp_path / "other")]
    code, said = run([*pip, "Pillow==11.3.0"])
    if code:
        pytest.skip(f"another Pillow can't be installed: {said.splitlines()[-1]}")
    other = {"PYTHONPATH": str(tmp_path / "other")}
    with Cluster(tmp_path / "cluster").with_workers(1) as cluster:
        build = Build(photos, tmp_path / "out", engine=cluster.engine)
        with build.halted_at_first_rows() as process:
            cluster.workers[0].kill()
            cluster.add_worker(env=other)
            code, stderr = sent(process, signal.SIGCONT)
    assert code == 1
    assert re.search(
        r"worker \S+ \(pid \d+\) might make other pixels: .*pillow \S+ where the build was "
        r"planned, 11\.3\.0 there.*; install the same versions on both sides\n$",
        stderr,
    ), stderr
    assert 0 < build.rows_done() < 900
    assert Build(photos, tmp_path / "out").sha256() == expected


NOT_INSTALLED = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "imagenet_subset":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


@thorough("starts two clusters")
def test_workers_without_this_program_are_told_in_one_line(photos, expected, tmp_path) -> None:
    without = hook(tmp_path / "hook", NOT_INSTALLED)
    with Cluster(tmp_path / "1") as cluster:
        cluster.add_worker(env=without)
        done = Build(photos, tmp_path / "out", engine=cluster.engine).run()
    assert (done.returncode, done.stderr) == (
        1,
        "imagenet-subset: a worker can't run the task: No module named 'imagenet_subset'; install "
        "the same imagenet-subset, with what it needs, for all workers\n",
    )

    # The scheduler needs none: it reads no task.
    with Cluster(tmp_path / "2", env=without) as cluster:
        cluster.add_worker(env={"PYTHONPATH": ""})
        assert Build(photos, tmp_path / "out", engine=cluster.engine).sha256() == expected


# In Python, and without a cluster


@pytest.mark.filterwarnings("ignore")  # of Dask's own, on ports that are taken
@pytest.mark.parametrize("threads", [1, 2])
def test_a_cluster_of_this_process_is_an_engine_and_an_executor(
    photos, expected, tmp_path, threads
):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=threads, dashboard_address=None, processes=threads == 1
        ) as local,
        Client(local) as client,
    ):
        engines = [client.get_executor()]
        if local.scheduler_address.startswith("tcp:"):
            engines.append(f"dask:{local.scheduler_address}")
        for engine in engines:
            result = build(
                photos / "two.txt", photos, tmp_path, device="cpu", pipeline="pillow",
                executor=engine, overwrite=True,
            )  # fmt: skip
            assert sha256(result.npz) == expected
            assert sum(result.by_worker.values()) == result.decoded == 900
            assert not result.on_this_machine


def test_a_client_that_closes_before_its_workers_have_answered_prints_nothing(tmp_path):
    # As a build does that is refused just when its workers have imported what they need.
    (tmp_path / "slow_to_send.py").write_text(
        "import asyncio\n"
        "from distributed.worker import get_worker\n"
        "handlers = get_worker().handlers\n"
        "send = handlers['get_data']\n"
        "async def late(*args, **more):\n"
        "    await asyncio.sleep(3)\n"
        "    return await send(*args, **more)\n"
        "handlers['get_data'] = late\n"
    )
    leaves = (
        "import sys, time\n"
        "from imagenet_subset.execution.dask import connected\n"
        "with connected(sys.argv[1], print) as runner:\n"
        "    runner.warm_up(['slow_to_send'])\n"
        "    time.sleep(1)\n"
        "    raise SystemExit('refused')\n"
    )
    with Cluster(tmp_path / "cluster", env={"PYTHONPATH": str(tmp_path)}).with_workers(1) as own:
        done = run([sys.executable, "-c", leaves, str(own.file)])
        assert done == (1, "refused\n")
