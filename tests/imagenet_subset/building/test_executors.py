"""Builds on executors that somebody else set up: each worker proves itself, and keeps nothing."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagenet_subset import verify
from imagenet_subset.building import shards as run
from imagenet_subset.building.run import BuildResult
from imagenet_subset.errors import OutputError, SourceError, UnfitWorkerError, WorkerDiedError
from imagenet_subset.records import Record
from tests.harness.builds import two_classes
from tests.harness.executors import Elsewhere
from tests.harness.planned import carried_out, planned
from tests.harness.processes import open_files, tell_open_files
from tests.harness.tiers import thorough

pytestmark = pytest.mark.processes
WITHOUT_PROC = not Path("/proc/self/fd").is_dir()


def build(photos: Path, out: Path, executor: Executor | None, **options: Any) -> BuildResult:
    choice = {"device": "cpu", "pipeline": options.pop("pipeline", "pillow"), "workers": 2}
    plan = planned(photos / "two.txt", photos, out, **choice)
    return carried_out(plan, executor=executor, **options)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def processes() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        yield executor


def test_two_builds_on_one_executor_do_not_write_into_each_others_files(
    photos, expected, tmp_path, processes
) -> None:
    first = build(photos, tmp_path, processes)
    assert sha256(first.npz) == expected
    second = build(photos, tmp_path, processes, overwrite=True)
    assert second.decoded == sum(second.plan.rows.values())
    assert sha256(second.npz) == expected
    assert verify(second.npz).ok


@pytest.mark.skipif(WITHOUT_PROC, reason="looks for descriptors in /proc")
def test_workers_hold_no_file_of_a_build_that_is_over(photos, tmp_path, processes) -> None:
    build(photos, tmp_path, processes)
    told = list(processes.map(tell_open_files, range(6)))
    assert len({pid for pid, _ in told}) == 2
    for _, files in told:
        assert not [name for name in files if str(tmp_path) in name]


@thorough("takes executors of others")
@pytest.mark.skipif(WITHOUT_PROC, reason="looks for descriptors in /proc")
@pytest.mark.parametrize("pipeline", ["pillow", "dali"])
def test_threads_hold_neither_descriptors_nor_threads_of_a_build_that_is_over(
    photos, tmp_path, pipeline
) -> None:
    if pipeline == "dali":
        pytest.importorskip("nvidia.dali")
    with ThreadPoolExecutor(2) as executor:
        build(photos, tmp_path / "0", executor, pipeline=pipeline)
        files, threads = len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))
        for n in range(1, 4):
            build(photos, tmp_path / str(n), executor, pipeline=pipeline)
        assert len(os.listdir("/proc/self/fd")) <= files
        assert len(os.listdir("/proc/self/task")) <= threads
        assert not [name for name in open_files() if str(tmp_path) in name]


@thorough("takes executors of others")
def test_a_build_that_fails_leaves_its_executor_fit_for_the_next(
    photos, expected, tmp_path, processes
) -> None:
    def stop(_shard: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build(photos, tmp_path, processes, progress=stop)
    assert sha256(build(photos, tmp_path, processes).npz) == expected


# Workers that don't fit


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No network file system is waited for."""
    monkeypatch.setattr(run, "_PATIENCE", 0.1)


def refusal(photos: Path, out: Path, executor: Executor, expected: str) -> str:
    """What a build with unfit workers says; nothing has been written, and it can be resumed."""
    with pytest.raises(UnfitWorkerError) as caught:
        build(photos, out, executor, skip_undecodable=True)
    assert not (out / "two_cls.npz").exists()
    assert not (out / "two_cls_failures.csv").exists()
    assert sha256(build(photos, out, None).npz) == expected
    text = str(caught.value)
    assert text.startswith(f"worker {os.uname().nodename} (pid ")
    assert "\n" not in text
    return text


@thorough("takes executors of others")
def test_an_executor_of_separate_pythons_makes_the_same_file(photos, expected, tmp_path) -> None:
    assert sha256(build(photos, tmp_path, Elsewhere()).npz) == expected


needs_root = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="mounts file systems"
)


def mounted_over(folder: Path, *more: str) -> Executor:
    """Workers that see another, empty file system in place of a folder."""
    script = [f"mount -t tmpfs tmpfs '{folder}'", *more, 'exec "$@"']
    return Elsewhere("unshare", "-m", "sh", "-c", " && ".join(script), "sh")


@thorough("takes executors of others")
@needs_root
@pytest.mark.usefixtures("impatient")
def test_a_worker_with_an_out_folder_of_its_own_is_refused(photos, expected, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    text = refusal(photos, tmp_path / "out", mounted_over(tmp_path / "out"), expected)
    assert "two_cls.npz.partial than the build, or none; --out_dir must be the same folder" in text


@thorough("takes executors of others")
@needs_root
@pytest.mark.usefixtures("impatient")
def test_a_worker_with_another_file_of_the_same_name_is_refused(photos, expected, tmp_path) -> None:
    (out := tmp_path / "out").mkdir()
    make = f"head -c 40000000 /dev/zero > '{out}/two_cls.npz.partial'"
    assert "sees another" in refusal(photos, out, mounted_over(out, make), expected)


@thorough("takes executors of others")
@needs_root
def test_a_worker_without_the_photos_is_refused(photos, expected, tmp_path) -> None:
    text = refusal(photos, tmp_path, mounted_over(photos), expected)
    assert "doesn't see the photos: " in text
    assert "No such file or directory; they must be at the same place for all workers" in text


@thorough("takes executors of others")
def test_a_worker_with_another_pillow_is_refused(photos, expected, tmp_path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "from PIL import features\n"
        "true = features.version\n"
        "features.version = lambda name: '9.9.9' if name == 'pil' else true(name)\n"
    )
    text = refusal(photos, tmp_path, Elsewhere(env={"PYTHONPATH": str(tmp_path)}), expected)
    assert "might make other pixels: pillow " in text
    assert " where the build was planned, 9.9.9 there; install the same versions" in text


def test_a_worker_with_other_code_is_refused(photos, expected, tmp_path) -> None:
    import shutil

    import imagenet_subset

    root = Path(imagenet_subset.__file__).parents[1]
    for name in ("imagenet_subset", "pipelines", "aux_files"):
        shutil.copytree(root / name, tmp_path / "other" / name)
    with open(tmp_path / "other/pipelines/taps.py", "a") as file:
        file.write("# another line\n")
    other = Elsewhere(env={"PYTHONPATH": str(tmp_path / "other")})
    text = refusal(photos, tmp_path / "out", other, expected)
    assert f"runs other code of imagenet-subset, from {tmp_path / 'other'}" in text


class Broken(ProcessPoolExecutor):
    """An executor that loses its workers."""

    def submit(self, fn, /, *args, **kwargs):
        super().submit(os._exit, 1)
        return super().submit(fn, *args, **kwargs)


def test_an_executor_that_breaks_is_told_in_one_line(photos, expected, tmp_path) -> None:
    with (
        Broken(1, multiprocessing.get_context("spawn")) as executor,
        pytest.raises(WorkerDiedError, match=r"the executor gave up: .*; what is done is kept"),
    ):
        build(photos, tmp_path, executor)
    assert sha256(build(photos, tmp_path, None).npz) == expected


# Photos that can't be read


@thorough("takes executors of others")
def test_a_file_that_is_overwritten_at_its_start_is_told_as_such(
    photos, expected, tmp_path
) -> None:
    partial = tmp_path / "two_cls.npz.partial"

    def overwrite(_shard: object) -> None:
        with open(partial, "r+b") as file:
            file.write(bytes(64))

    with ThreadPoolExecutor(1) as executor, pytest.raises(OutputError) as caught:
        build(photos, tmp_path, executor, progress=overwrite)
    assert str(caught.value).startswith(
        f"{partial} doesn't hold what was written to it: its first bytes differ; another program "
    )
    assert sha256(build(photos, tmp_path, None).npz) == expected


@thorough("takes executors of others")
def test_photos_that_go_while_they_are_decoded_end_the_build(tmp_path) -> None:
    data = two_classes(tmp_path / "ILSVRC", 100)
    expected = sha256(build(data, tmp_path / "whole", None).npz)
    away = data / "away"

    def unplug(_shard: object) -> None:
        if not away.exists():
            (data / "val").rename(away)

    with ThreadPoolExecutor(1) as executor, pytest.raises(SourceError) as caught:
        build(data, tmp_path / "out", executor, skip_undecodable=True, progress=unplug)
    assert "photos could be read by worker" in str(caught.value)
    assert "what is done is kept: run the same command again" in str(caught.value)
    assert not (tmp_path / "out/two_cls_failures.csv").exists()
    away.rename(data / "val")
    result = build(data, tmp_path / "out", None)
    assert result.kept > 0
    assert sha256(result.npz) == expected


def test_a_row_is_never_lost_to_a_photo_that_is_there_but_unreadable(tmp_path) -> None:
    from imagenet_subset.errors import UnreadableError

    data = two_classes(tmp_path / "ILSVRC", 20)
    plan = planned(data / "two.txt", data, tmp_path / "out", device="cpu", pipeline="pillow")
    record: Record = plan.records["train"][3]
    path = Path(plan.store.describe(record.location))
    away = path.rename(path.with_suffix(".away"))
    other = Path(plan.store.describe(plan.records["train"][7].location))
    good, bad = other.read_bytes(), b"no image"
    other.write_bytes(bad)
    with pytest.raises(UnreadableError) as caught:
        carried_out(plan, skip_undecodable=True)
    assert str(caught.value).startswith(
        f"1 image can't be read, the first {path} (No such file or directory), and 1 image can't "
        "be decoded; all are listed in"
    )
    assert "remove it" in str(caught.value)
    assert not plan.output.npz.exists()
    listed = plan.output.failures.read_text().splitlines()
    assert len(listed) == 3
    away.rename(path)
    other.write_bytes(good)
    result = carried_out(plan, skip_undecodable=True)
    assert (result.decoded, result.plan.undecodable) == (2, 0)
    assert record.image_id in np.load(result.npz)["train_id"]
