"""Builds of the same photos from other stores, in other groups: the same bytes, killed or not."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from imagenet_subset import verify
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.errors import UndecodableError
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.catalogue import list_images
from tests.harness.builds import SIGNAL_AT_FIRST_ROWS
from tests.harness.planned import carried_out, planned
from tests.harness.stores import Scattered, punch_hole, write_one_file

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
