"""Builds of the same photos from other stores, in other groups: the same bytes, killed or not."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imagenet_subset import build, verify
from imagenet_subset.building import shards
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.columns import Locations, pack
from imagenet_subset.errors import SourceError, SubsetError, UndecodableError, UnfitWorkerError
from imagenet_subset.records import Records
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.catalogue import list_images
from pipelines.choice import PipelineConfig
from tests.harness.builds import SIGNAL_AT_FIRST_ROWS
from tests.harness.planned import carried_out, planned
from tests.harness.stores import Counted, OneFile, Scattered, punch_hole, write_one_file

pytestmark = pytest.mark.processes
ROOT = Path(__file__).parents[3]
CHOICE = {"device": "cpu", "pipeline": "pillow", "workers": 2}

SCATTERED = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.harness.planned import carried_out, planned
from tests.harness.stores import Scattered

photos, out, seed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
plan = planned(photos / "two.txt", photos, out, device="cpu", pipeline="pillow", workers=2)
result = carried_out(replace(plan, store=Scattered(plan.store, seed)))
print(result.kept, result.decoded)
"""


def plan_of(photos: Path, out: Path) -> BuildPlan:
    return planned(photos / "two.txt", photos, out, **CHOICE)


def from_store(plan: BuildPlan, store: Store) -> BuildPlan:
    """The same plan of photos that a store has elsewhere."""
    splits = plan.options.ordered_splits
    listing = list_images(plan.subset, splits, store, plan.store.list_beside)  # type: ignore[attr-defined]
    return replace(plan, store=store, records=listing.records)


def contents(plan: BuildPlan) -> dict[str, bytes]:
    """The plan's photos by name."""
    found = {}
    for record in (record for records in plan.records.values() for record in records):
        path = Path(plan.store.describe(record.location))
        folder = "val" if record.split == "val" else f"train/{record.wnid}"
        found[f"{folder}/{path.name}"] = path.read_bytes()
    return found


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("seed", [0, 1])
def test_groups_of_far_off_photos_give_the_same_bytes(photos, expected, tmp_path, seed) -> None:
    plan = plan_of(photos, tmp_path)
    result = carried_out(from_store(plan, Scattered(plan.store, seed)))
    assert sha256(result.npz) == expected


def test_photos_of_one_file_give_the_same_bytes(photos, expected, tmp_path) -> None:
    plan = plan_of(photos, tmp_path / "out")
    store = write_one_file(tmp_path / "photos", contents(plan))
    result = carried_out(from_store(plan, store))
    assert sha256(result.npz) == expected
    assert verify(result.npz).ok


@pytest.mark.skipif(sys.platform == "win32", reason="kills its process group")
def test_a_build_in_scattered_groups_that_was_killed_goes_on_in_others(
    photos, expected, tmp_path
) -> None:
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook/sitecustomize.py").write_text(SIGNAL_AT_FIRST_ROWS)
    command = [sys.executable, "-c", SCATTERED, str(photos), str(tmp_path / "out")]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    hook = {
        "PYTHONPATH": f"{tmp_path / 'hook'}{os.pathsep}{ROOT}",
        "SIGNAL": str(int(signal.SIGKILL)),
    }
    killed = 0
    for seed in range(3):
        done = subprocess.run(
            [*command, str(seed)], env={**env, **hook}, start_new_session=True, timeout=120
        )
        killed += done.returncode == -signal.SIGKILL
    assert killed == 3
    assert not (tmp_path / "out/two_cls.npz").exists()
    resumed = subprocess.run(
        [*command, "7"], env=env, capture_output=True, text=True, timeout=120, check=True
    )
    kept, decoded = map(int, resumed.stdout.split())
    assert kept > 0
    assert decoded > 0
    assert sha256(tmp_path / "out/two_cls.npz") == expected


def test_a_scattered_build_without_its_undecodable_photos_closes_the_gaps(photos, tmp_path) -> None:
    plan = plan_of(photos, tmp_path / "out")
    plain = contents(plan)
    lost = sorted(plain)[::9]
    store = write_one_file(tmp_path / "photos", plain | dict.fromkeys(lost, b"no photo"))
    with pytest.raises(UndecodableError, match=f"{len(lost)} images can't be decoded"):
        carried_out(from_store(plan, store))
    result = carried_out(from_store(plan, store), skip_undecodable=True)
    assert result.kept == len(plain) - len(lost)
    assert verify(result.npz).ok
    whole = carried_out(plan_of(photos, tmp_path / "whole"))
    with np.load(whole.npz) as before, np.load(result.npz) as after:
        for split in ("train", "val"):
            there = np.isin(before[f"{split}_id"], after[f"{split}_id"])
            assert 0 < np.count_nonzero(~there) < len(there)
            np.testing.assert_array_equal(before[f"X_{split}"][there], after[f"X_{split}"])


def test_photos_that_can_not_be_read_are_named_by_their_store(photos, tmp_path) -> None:
    plan = plan_of(photos, tmp_path / "out")
    store = write_one_file(tmp_path / "photos", contents(plan))
    name = min(contents(plan))
    punch_hole(tmp_path / "photos", name)
    with pytest.raises(Exception, match=rf"1 image can't be read, the first .*: {name} \(a hole\)"):
        carried_out(from_store(plan, store))
    (line,) = (tmp_path / "out/two_cls_failures.csv").read_text().splitlines()[1:]
    assert line.endswith(f"{name},can't be read: a hole")


# Readers that are open when a build is over


@pytest.fixture(params=["threads", "processes"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    spawn = multiprocessing.get_context("spawn")
    made: Executor = (
        ThreadPoolExecutor(2) if request.param == "threads" else ProcessPoolExecutor(2, spawn)
    )
    with made:
        yield made


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine's workers have time to let go of what they hold."""
    monkeypatch.setattr(shards, "_RELEASE_SECONDS", 60.0)


def counted(plan: BuildPlan, folder: Path, fails: str = "") -> tuple[BuildPlan, Counted]:
    (folder / "open").mkdir()
    store = Counted(plan.store, folder / "open", fails)
    return replace(plan, store=store), store


def test_no_reader_is_open_after_a_build(photos, expected, tmp_path, executor) -> None:
    plan, store = counted(plan_of(photos, tmp_path), tmp_path)
    assert sha256(carried_out(plan, executor=executor).npz) == expected
    assert store.opened() == 0


def test_no_reader_is_open_after_a_pipeline_would_not_open(
    photos, tmp_path, executor, monkeypatch
) -> None:
    plan, store = counted(plan_of(photos, tmp_path), tmp_path)
    monkeypatch.setattr(PipelineConfig, "open", lambda *_: pytest.fail("it won't start"))
    with ThreadPoolExecutor(2) as threads, pytest.raises(pytest.fail.Exception):
        carried_out(plan, executor=threads)
    assert store.opened() == 0


@pytest.mark.parametrize(
    ("fails", "error", "says"),
    [
        ("open", UnfitWorkerError, r"doesn't see the photos: .*: no such mount"),
        ("read", UnfitWorkerError, r"doesn't see the photos: .*: no such mount"),
    ],
)
def test_a_worker_that_has_no_photos_is_named_and_holds_nothing(
    photos, expected, tmp_path, fails, error, says
) -> None:
    plan, store = counted(plan_of(photos, tmp_path), tmp_path, fails)
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        with pytest.raises(error, match=says):
            carried_out(plan, executor=processes)
        assert store.opened() == 0
    assert sha256(carried_out(plan_of(photos, tmp_path)).npz) == expected


def test_a_local_worker_that_can_not_open_the_store_ends_the_build_in_one_line(
    photos, tmp_path
) -> None:
    plan, _ = counted(plan_of(photos, tmp_path), tmp_path, "open")
    with pytest.raises(SourceError, match=r"^worker .* can't open .*: no such mount; put that"):
        carried_out(plan)


def test_a_reader_that_can_not_be_closed_costs_nothing(
    photos, expected, tmp_path, executor
) -> None:
    plan, store = counted(plan_of(photos, tmp_path), tmp_path, "close")
    assert sha256(carried_out(plan, executor=executor).npz) == expected
    assert store.opened() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_no_reader_is_open_after_none_of_a_shard_s_photos_could_be_read(
    photos, tmp_path, workers
) -> None:
    plan, store = counted(plan_of(photos, tmp_path / "out"), tmp_path)
    records = {split: all_gone_but_the_last_of_val(r) for split, r in plan.records.items()}
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as processes:
        with pytest.raises(SourceError, match=r"none of .* photos could be read by worker"):
            carried_out(replace(plan, records=records), executor=processes)
        assert store.opened() == 0


def all_gone_but_the_last_of_val(records: Records) -> Records:
    places = [f"{at}.gone" for at in records.locations]
    if records.split == "val":
        places[-1] = places[-1].removesuffix(".gone")
    return replace(records, locations=pack(places))


def test_a_wrong_subset_is_reported_before_a_worker_is_asked(photos, tmp_path) -> None:
    class Never(Executor):
        def submit(self, fn, /, *args, **kwargs):
            pytest.fail("a worker was asked")

    for name, data in (("none.txt", photos), (str(photos / "two.txt"), tmp_path / "none")):
        with pytest.raises((SubsetError, SourceError), match="none"):
            build(name, data, tmp_path, executor=Never())


def test_verify_reads_what_is_cheap_to_read_together(photos, tmp_path, monkeypatch) -> None:
    plan = plan_of(photos, tmp_path / "out")
    store = write_one_file(tmp_path / "photos", contents(plan))
    done = carried_out(from_store(plan, store))
    monkeypatch.setattr("imagenet_subset.sources.FORMS", (lambda _: store,))
    asked: list[int] = []
    groups = OneFile.groups

    def noted(self: OneFile, locations: Locations) -> Iterator[Sequence[int]]:
        asked.append(len(locations))
        return groups(self, locations)

    monkeypatch.setattr(OneFile, "groups", noted)
    listed = plan.store.list_beside  # type: ignore[attr-defined]
    report = verify(done.npz, tmp_path, train_list=listed, sample=None)
    assert report.ok, report.problems
    assert report.compared == len(contents(plan))
    assert asked == [len(records) for records in plan.records.values()]
