"""Builds by several processes of DALI, for real on its CPU backend; and by GPUs that refuse.

The driver is a program that says which GPUs there are. DALI itself is the real one, and refuses
where there is no driver: nothing is decoded on a GPU here.
"""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")

from imagenet_subset.building.lost import worker_died
from imagenet_subset.building.resolution import resolve_alone
from imagenet_subset.errors import UnfitWorkerError
from imagenet_subset.execution.runner import WorkerDied
from pipelines.cuda import Missing, find_gpu
from pipelines.driver import Driver, Gpu
from pipelines.kinds import KINDS
from pipelines.request import PipelineRequest
from tests.harness.builds import Build, sent, two_classes
from tests.harness.executors import Elsewhere, hook
from tests.harness.gpus import H100, PACKAGES, T4, Card, driver_program
from tests.harness.planned import carried_out, planned

no_gpu = pytest.mark.skipif(
    not isinstance(find_gpu(KINDS["dali", "gpu"]), Missing), reason="there is a usable GPU here"
)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_classes(tmp_path_factory.mktemp("ilsvrc"), 24)


def dali(photos: Path, out: Path, *more: str) -> Build:
    return Build(photos, out, "--pipeline", "dali", "--batch_size", "5", *more)


@pytest.fixture(scope="module")
def alone(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """SHA-256 of what one process makes."""
    return dali(photos, tmp_path_factory.mktemp("alone"), "--dali_processes", "1").sha256()


def test_two_processes_make_the_same_bytes(photos: Path, tmp_path: Path, alone: str) -> None:
    assert dali(photos, tmp_path, "--dali_processes", "2").sha256() == alone


@pytest.mark.processes
@pytest.mark.parametrize(("before", "after"), [("2", "1"), ("1", "3")])
def test_a_build_that_was_killed_goes_on_with_other_processes(
    photos: Path, tmp_path: Path, alone: str, before: str, after: str
) -> None:
    build = dali(photos, tmp_path, "--dali_processes", before)
    with build.halted_at_first_rows() as process:
        done = build.rows_done()
        sent(process, signal.SIGKILL)
    assert 0 < done < 148
    again = dali(photos, tmp_path, "--dali_processes", after)
    assert again.sha256() == alone


def test_shards_are_smaller_where_processes_share_a_device(photos: Path, tmp_path: Path) -> None:
    def size(batch: int, processes: int | None) -> int:
        options = {"pipeline": "dali", "batch_size": batch, "dali_processes": processes}
        return planned(
            photos / "two.txt", photos, tmp_path, device="cpu", **options
        ).config.shard_size

    for batch in range(1, 40):
        assert (size(batch, None), size(batch, 1), size(batch, 2)) == (
            8 * batch,
            8 * batch,
            4 * batch,
        )


def test_the_plan_divides_the_cores_among_processes(photos: Path, tmp_path: Path) -> None:
    options = {"device": "cpu", "pipeline": "dali", "workers": 7}
    config = planned(photos / "two.txt", photos, tmp_path, dali_processes=3, **options).config
    assert (config.processes, config.threads) == (3, 2)
    config = planned(photos / "two.txt", photos, tmp_path, **options).config
    assert (config.processes, config.threads) == (1, 7)


def test_processes_of_dali_are_for_dali(cli, photos: Path) -> None:
    where = "--subset_name", photos / "two.txt", "--data_dir", photos, "--device", "cpu"
    done = cli("build", *where, "--pipeline", "pillow", "--dali_processes", 2)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "imagenet-subset: --dali_processes 2 goes with DALI, and this is cpu (pillow: as asked); "
        "add --pipeline dali, or leave it out: --workers has the processes\n"
    )


@no_gpu
@pytest.mark.parametrize("more", [(), ("--device", "gpu")])
def test_all_gpus_without_a_gpu_end_in_one_line(cli, photos: Path, more: tuple[str, ...]) -> None:
    where = "--subset_name", photos / "two.txt", "--data_dir", photos
    done = cli("build", *where, "--gpu", "all", *more)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    asked = "--device gpu" if more else "--gpu all"
    assert done.stderr.startswith(f"imagenet-subset: {asked}: ")
    assert done.stderr.endswith("--device cpu works without\n")


@pytest.mark.parametrize("gpus", ["0,0", "none", "", "0,", "-1", "0,all"])
def test_gpus_that_make_no_sense_are_a_usage_error(cli, gpus: str) -> None:
    done = cli("build", "--subset_name", "imagenet30", f"--gpu={gpus}")
    assert done.returncode == 2
    assert "--gpu" in done.stderr.splitlines()[-1]


def test_a_selftest_takes_one_gpu(cli) -> None:
    done = cli("selftest", "--gpu", "0,1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "argument --gpu: '0,1' isn't a whole number from 0 on" in done.stderr


@pytest.fixture
def with_gpus(tmp_path: Path) -> dict[str, str]:
    """Environment of a machine that says it has two GPUs, on which DALI won't start."""
    driver = driver_program(tmp_path / "driver", [H100, T4])
    return hook(tmp_path / "hook", f"{PACKAGES}sys.executable = {str(driver)!r}\n")


@no_gpu
def test_a_gpu_that_refuses_leaves_the_work_to_the_cpu_and_a_line_says_why(
    cli, photos: Path, tmp_path: Path, with_gpus: dict[str, str]
) -> None:
    where = "--subset_name", photos / "two.txt", "--data_dir", photos
    done = cli("build", *where, "--out_dir", "a", env=with_gpus)
    assert done.returncode == 0, done.stderr
    (why,) = [line for line in done.stderr.splitlines() if line.startswith("cpu (")]
    assert re.search(r"GPU 0 \(NVIDIA H100 80GB HBM3\): (CuPy|DALI) won't start on the GPU: ", why)
    assert "works without" not in why
    assert cli("build", *where, "--out_dir", "b", "--device", "cpu").returncode == 0
    a, b = (tmp_path / folder / "two_cls.npz" for folder in "ab")
    assert a.read_bytes() == b.read_bytes()


@no_gpu
@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (("--device", "gpu"), ["GPU 0 (NVIDIA H100 80GB HBM3)"]),
        (("--gpu", "1"), ["GPU 1 (Tesla T4)"]),
        # Each has a worker, and either may be the first to fail.
        (("--gpu", "1,0"), ["GPU 1 (Tesla T4)", "GPU 0 (NVIDIA H100 80GB HBM3)"]),
    ],
)
def test_a_gpu_that_was_asked_for_and_refuses_ends_the_build_with_its_name(
    cli,
    photos: Path,
    tmp_path: Path,
    with_gpus: dict[str, str],
    asked: tuple[str, ...],
    named: list[str],
) -> None:
    where = "--subset_name", photos / "two.txt", "--data_dir", photos
    done = cli("build", *where, "--out_dir", "a", *asked, env=with_gpus)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert re.match(
        rf"imagenet-subset: ({'|'.join(map(re.escape, named))}): (CuPy|DALI) won't start on the "
        "GPU: ",
        done.stderr,
    )
    assert not (tmp_path / "a").exists()


def test_a_worker_that_died_is_reported_with_its_card() -> None:
    died = WorkerDied("was killed (SIGKILL)", "by whom is unknown", 3)
    told = str(worker_died(died, "the photos up to x.JPEG", Gpu(2, "Tesla T4")))
    assert told == (
        "a worker process was killed (SIGKILL) on GPU 2 (Tesla T4) while it had the photos up to "
        "x.JPEG in hand; by whom is unknown; what is done is kept: run the same command again to "
        "go on"
    )


@no_gpu
def test_a_finished_file_is_reported_without_waiting_for_the_gpu(
    cli, photos: Path, tmp_path: Path
) -> None:
    """The worker that opens the GPU hangs."""
    where = "--subset_name", photos / "two.txt", "--data_dir", photos, "--out_dir", "a"
    driver = driver_program(tmp_path / "driver", [T4])
    machine = f"{PACKAGES}sys.executable = {str(driver)!r}\n"
    sleeps = "import pipelines.kinds as k, time\nk.Kind.open = lambda *_: time.sleep(1000)\n"
    opens_on_the_cpu = (
        "import pipelines.kinds as k\nopened = k.Kind.open\n"
        "def cpu(self, settings):\n"
        "    from pipelines.dali.pipeline import DaliPipeline\n"
        "    return DaliPipeline('cpu', settings.batch_size, 1)\n"
        "k.Kind.open = cpu\n"
    )
    made = cli("build", *where, env=hook(tmp_path / "made", machine + opens_on_the_cpu))
    assert made.returncode == 0, made.stderr
    again = cli("build", *where, env=hook(tmp_path / "again", machine + sleeps))
    assert again.returncode == 0, again.stderr
    assert "already complete" in again.stdout


OPENS = """
import pipelines.kinds as k
from imagenet_subset.execution.context import current
def opened(self, settings):
    from pipelines.base import PipelineUnavailableError
    from pipelines.dali.pipeline import DaliPipeline
    if current().slot in {refusing}:
        raise PipelineUnavailableError('out of memory (SHORT); --device cpu works without')
    pipeline = DaliPipeline('cpu', settings.batch_size, 1)
    run = pipeline.run
    def failing(encoded):
        for n, batch in enumerate(run(encoded)):
            if n == {fails_at}:
                raise PipelineUnavailableError('no luck; --device cpu works without')
            yield batch
    pipeline.run = failing
    return pipeline
k.Kind.open = opened
"""
"""Code after which GPUs are opened on DALI's CPU backend, but for the workers of some slots."""


def machine(
    folder: Path, cards: list[Card], refusing: set[int], fails_at: int = -1
) -> dict[str, str]:
    driver = driver_program(folder / "driver", cards)
    code = f"{PACKAGES}sys.executable = {str(driver)!r}\n"
    return hook(folder / "opens", code + OPENS.format(refusing=refusing, fails_at=fails_at))


@no_gpu
def test_a_second_process_that_a_card_refuses_is_done_without_unless_it_was_asked_for(
    cli, photos: Path, tmp_path: Path
) -> None:
    env = machine(tmp_path, [H100], {1})
    where = "--subset_name", photos / "two.txt", "--data_dir", photos, "--workers", 16
    done = cli("build", *where, "--out_dir", "a", env=env)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0] == (
        "gpu (dali): NVIDIA H100 80GB HBM3, driver for CUDA 13.0; one process, since two are "
        "refused: GPU 0 (NVIDIA H100 80GB HBM3): out of memory (SHORT)"
    )
    done = cli("build", *where, "--out_dir", "b", "--dali_processes", 2, "--gpu", 0, env=env)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("imagenet-subset: GPU 0 (NVIDIA H100 80GB HBM3): out of memory")
    assert not (tmp_path / "b").exists()


@no_gpu
def test_a_card_that_gives_up_amid_the_build_is_named_and_the_build_goes_on_later(
    cli, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    where = "--subset_name", photos / "two.txt", "--data_dir", photos, "--out_dir", "a"
    flags = "--gpu", 0, "--workers", 1, "--batch_size", 4, "--quiet"
    failing = machine(tmp_path / "one", [H100], set(), fails_at=2)
    done = cli("build", *where, *flags, env=failing)
    assert (done.returncode, done.stderr) == (
        1,
        "imagenet-subset: GPU 0 (NVIDIA H100 80GB HBM3): no luck; what is done is kept: run the "
        "same command again to go on\n",
    )
    done = cli("build", *where, *flags[2:], "--device", "auto", "--quiet")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "; now it would be cpu (" in done.stderr
    done = cli("build", *where, *flags, env=machine(tmp_path / "two", [H100], set()))
    assert (done.returncode, done.stderr) == (0, "")


@no_gpu
def test_a_dry_run_tries_a_card_and_says_how_many_there_are_or_why_it_will_not_do(
    cli, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "two").mkdir()
    (tmp_path / "ill").mkdir()
    where = "--subset_name", photos / "two.txt", "--data_dir", photos, "--dry_run"
    done = cli(*where, "--gpu", "all", env=machine(tmp_path / "two", [H100, H100], set()))
    assert done.returncode == 0, done.stderr
    assert "an estimate: 2 workers read and decoded" in " ".join(done.stdout.split())
    failing = machine(tmp_path / "ill", [H100], set(), fails_at=2)
    done = cli(*where, "--gpu", 0, "--batch_size", 4, env=failing)
    assert (done.returncode, done.stderr) == (1, "")
    assert "time      unknown, see below" in done.stdout
    assert "PROBLEM   no luck; --device cpu works without" in done.stdout


@no_gpu
@pytest.mark.parametrize("raised", ["AttributeError('no product')", "OSError('no libnvrtc')"])
def test_a_cupy_that_is_broken_in_whatever_way_leaves_the_work_to_the_cpu(
    cli, photos: Path, tmp_path: Path, raised: str
) -> None:
    driver = driver_program(tmp_path / "driver", [T4])
    env = hook(tmp_path / "hook", f"{PACKAGES}sys.executable = {str(driver)!r}\n")
    (tmp_path / "hook/cupy.py").write_text(f"raise {raised}\n")
    done = cli("build", "--subset_name", photos / "two.txt", "--data_dir", photos, env=env)
    assert done.returncode == 0, done.stderr
    assert "GPU 0 (Tesla T4): CuPy won't start on the GPU: no " in done.stderr


@no_gpu
def test_a_worker_with_another_gpu_than_planned_is_refused(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some GPUs have a JPEG decoder in hardware, others have none."""
    planned_for = Driver((13, 0), (Gpu(0, *H100[:2], (9, 0)),))
    monkeypatch.setattr("pipelines.choice.find_gpu", lambda *_: planned_for)
    plan = planned(photos / "two.txt", photos, tmp_path / "out", device="gpu")
    driver = driver_program(tmp_path / "driver", [T4, H100])
    other = Elsewhere(env=hook(tmp_path / "hook", f"{PACKAGES}sys.executable = {str(driver)!r}\n"))
    with pytest.raises(UnfitWorkerError) as caught:
        carried_out(plan, executor=other)
    assert re.fullmatch(
        r"worker \S+ \(pid \d+\) might make other pixels: gpu NVIDIA H100 80GB HBM3 where the "
        r"build was planned, Tesla T4 there; have the same on both sides, or ask for a --device "
        r"and --pipeline that both have",
        str(caught.value),
    )


def test_a_process_of_an_executor_has_all_cores_unless_more_were_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus = tuple(Gpu(index, *card[:2], (9, 0)) for index, card in enumerate([H100]))
    monkeypatch.setattr("pipelines.choice.find_gpu", lambda *_: Driver((13, 0), gpus))
    alone = resolve_alone(PipelineRequest("gpu"), 16)
    assert (alone.processes, alone.threads, alone.shard_size) == (1, 16, 2048)
    assert resolve_alone(PipelineRequest("gpu", dali_processes=4), 16).threads == 4
