"""Disks that are too small, fill up, turn read-only or vanish: real ones, mounted for the test."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import pytest

from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.errors import OutputError
from imagenet_subset.npz.layout import KEYS
from imagenet_subset.reading.subset import open_subset
from tests.harness.builds import Build, disturbed, two_classes
from tests.harness.planned import carried_out, planned
from tests.harness.processes import wait_for
from tests.harness.tiers import thorough

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(
        not sys.platform.startswith("linux") or os.geteuid() != 0, reason="mounts file systems"
    ),
]

Mount = Callable[..., Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a file system on ``tmp_path/disk``; it is gone after the test."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mounted(*arguments: object) -> Path:
        command = ["mount", *map(str, arguments), str(folder)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"{' '.join(command)}: {done.stderr.strip()}")
        return folder

    yield mounted
    subprocess.run(["umount", "--lazy", str(folder)], stderr=subprocess.DEVNULL)


def tmpfs(mount: Mount, size: int) -> Path:
    return mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs")


def formatted(mount: Mount, tmp_path: Path, kind: str, *options: str, size: str = "48M") -> Path:
    """A file system of this kind, in a file."""
    image = tmp_path / f"{kind}.img"
    with open(image, "wb") as file:
        file.truncate(int(size[:-1]) << 20)
    command = [f"mkfs.{kind}", "-q", *options, str(image)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip(f"no mkfs.{kind}")
    return mount("-t", kind, "-o", "loop", image)


def fill(folder: Path) -> Path:
    """Take all the room that is left."""
    path = folder / "other people's data"
    with open(path, "wb", buffering=0) as file:
        for block in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(block))
            except OSError:
                continue
    return path


def assert_one_line(stderr: str, text: str) -> None:
    assert re.fullmatch(f"imagenet-subset: .*{text}.*\n", stderr), stderr


class NoExecutor(Executor):
    def submit(self, *_args, **_kwargs):
        pytest.fail("a disk that is too small has to be refused before the first image")


def plan(photos: Path, out: Path) -> BuildPlan:
    return planned(photos / "two.txt", photos, out, device="cpu", pipeline="pillow")


def test_a_disk_that_is_too_small_is_refused_before_the_first_image(photos, mount) -> None:
    out = tmpfs(mount, 20 << 20)
    with pytest.raises(OutputError, match=r"the NPZ takes 30 MB, 21 MB are free.*--out_dir"):
        carried_out(plan(photos, out), executor=NoExecutor())
    assert list(out.iterdir()) == []
    done = Build(photos, out).run()
    assert done.returncode == 1
    assert_one_line(done.stderr, "the NPZ takes 30 MB, 21 MB are free")
    assert list(out.iterdir()) == []


@thorough("mounts disks")
def test_a_disk_with_no_room_for_the_journal_is_refused_before_the_first_image(
    photos, whole, mount
) -> None:
    pages = -(-whole.npz.stat().st_size // 4096)
    out = tmpfs(mount, 4096 * pages)
    with pytest.raises(OutputError, match="No space left"):
        carried_out(plan(photos, out), executor=NoExecutor())
    assert list(out.iterdir()) == []


@thorough("mounts disks; another test does it quickly")
def test_a_disk_that_others_fill_has_the_rows_room_reserved(photos, whole, expected, mount) -> None:
    build = Build(photos, tmpfs(mount, whole.npz.stat().st_size + (1 << 20)))
    code, stderr = disturbed(build, lambda: fill(build.out))
    assert code == 1
    assert_one_line(stderr, r"can't write \S+_metadata.csv: No space left.*run the same command")
    assert build.rows_done() == 200
    assert not build.npz.exists()
    assert not list(build.out.glob("*.csv*"))
    fill(build.out).unlink()
    assert build.sha256() == expected


@thorough("mounts disks")
def test_a_list_of_failures_that_finds_no_room_is_no_loss(tmp_path, mount) -> None:
    data = two_classes(tmp_path / "ILSVRC", 50)
    bad = sorted(data.glob("train/*/*.JPEG"))[-1]
    good = bad.read_bytes()
    expected = Build(data, tmp_path / "whole").sha256()
    bad.write_bytes(good[:1000])
    build = Build(data, tmpfs(mount, 31 << 20))
    code, stderr = disturbed(build, lambda: fill(build.out))
    assert code == 1
    assert_one_line(stderr, r"can't write \S+_failures.csv: No space left")
    assert build.rows_done() == 199
    assert not list(build.out.glob("*.csv*"))
    fill(build.out).unlink()
    bad.write_bytes(good)
    assert build.sha256() == expected


@thorough("mounts disks")
def test_a_disk_that_can_t_reserve_may_fill_up_and_the_rows_are_kept(
    photos, expected, mount, tmp_path
) -> None:
    build = Build(photos, formatted(mount, tmp_path, "ext2") / "out")
    code, stderr = disturbed(build, lambda: fill(build.out))
    assert code == 1
    assert_one_line(stderr, "can't write .*: No space left.*run the same command")
    assert 0 < build.rows_done() < 200
    assert not build.npz.exists()
    fill(build.out).unlink()
    assert build.sha256() == expected


@thorough("mounts disks")
def test_a_disk_that_can_t_reserve_is_refused_when_it_is_too_small(photos, mount, tmp_path) -> None:
    out = formatted(mount, tmp_path, "ext2", size="24M") / "out"
    with pytest.raises(OutputError, match=r"the NPZ takes 30 MB, .* are free"):
        carried_out(plan(photos, out), executor=NoExecutor())
    assert list(out.iterdir()) == []


@thorough("mounts disks")
def test_a_disk_that_turns_read_only_keeps_what_is_done(photos, expected, mount, tmp_path) -> None:
    disk = formatted(mount, tmp_path, "ext4", "-e", "remount-ro")
    number = disk.stat().st_dev
    device = os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    trigger = Path("/sys/fs/ext4", os.path.basename(device), "trigger_fs_error")
    if not trigger.exists():
        pytest.skip("this kernel can't simulate a failing disk")
    build = Build(photos, disk / "out")
    code, stderr = disturbed(build, lambda: trigger.write_text("simulated"))
    assert code == 1
    assert_one_line(stderr, "can't write .*: Read-only file system.*run the same command")
    assert not build.npz.exists()
    subprocess.run(["umount", str(disk)], check=True)
    # A process with mounts of its own, as other tests start them, has this one for as long.
    wait_for(lambda: not trigger.exists())
    subprocess.run(["fsck.ext4", "-p", "-f", str(tmp_path / "ext4.img")], capture_output=True)
    mount("-t", "ext4", "-o", "loop", tmp_path / "ext4.img")
    assert build.sha256() == expected


def test_a_read_only_disk_is_refused_in_one_line(photos, mount) -> None:
    out = mount("-t", "tmpfs", "-o", "ro", "tmpfs")
    done = Build(photos, out).run()
    assert done.returncode == 1
    assert_one_line(done.stderr, "Read-only file system")
    done = Build(photos, out / "below").run()
    assert done.returncode == 1
    assert_one_line(done.stderr, "Read-only file system")


@thorough("mounts disks")
def test_a_disk_that_vanishes_leaves_nothing_where_it_was(
    photos, expected, mount, tmp_path
) -> None:
    (store := tmp_path / "store").mkdir()
    build = Build(photos, mount("--bind", store))

    def vanish() -> None:
        subprocess.run(["umount", "--lazy", str(build.out)], check=True)

    code, stderr = disturbed(build, vanish)
    assert code == 1
    assert_one_line(stderr, "run the same command again")
    assert list(build.out.iterdir()) == []
    assert not (store / build.npz.name).exists()
    mount("--bind", store)
    assert build.rows_done() > 0
    assert build.sha256() == expected


def test_an_output_folder_that_is_a_file_is_refused_in_one_line(photos, tmp_path) -> None:
    (tmp_path / "out").write_text("not a folder")
    for out in (tmp_path / "out", tmp_path / "out" / "below"):
        done = Build(photos, out).run()
        assert done.returncode == 1
        assert_one_line(done.stderr, "(not a folder|Not a directory)")


@thorough("mounts disks; another test does it quickly")
def test_an_unfinished_file_that_is_removed_is_told_and_begun_again(
    photos, expected, tmp_path
) -> None:
    build = Build(photos, tmp_path / "out")
    partial = build.out / "two_cls.npz.partial"

    def replace() -> None:
        partial.unlink()
        partial.write_bytes(b"another build's")

    code, stderr = disturbed(build, replace)
    assert code == 1
    assert_one_line(stderr, "was removed or replaced while it was written")
    assert not build.npz.exists()
    assert build.sha256() == expected


# FUSE, as sshfs, s3fs, gocryptfs and many a cluster's file system use it


@pytest.fixture
def fuse(tmp_path: Path) -> Iterator[Path]:
    """Folder on a FUSE file system without shared memory maps; ``tmp_path/below`` is below it."""
    folder = tmp_path / "fuse"
    folder.mkdir()
    (tmp_path / "below").mkdir()
    command = ["bindfs", "-o", "direct_io", str(tmp_path / "below"), str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("bindfs isn't installed")
    if done.returncode:
        pytest.skip(f"{' '.join(command)}: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], stderr=subprocess.DEVNULL)


@thorough("mounts disks")
def test_a_build_on_fuse_is_that_of_any_other_disk(photos, expected, fuse) -> None:
    assert Build(photos, fuse / "out").sha256() == expected
    assert Build(photos, fuse / "out").sha256() == expected


def test_a_file_on_fuse_is_mapped_privately_with_a_warning(photos, whole, fuse) -> None:
    path = fuse / whole.npz.name
    shutil.copy(whole.npz, path)
    with open(path, "rb") as file, pytest.raises(OSError, match="No such device"):
        np.memmap(file, mode="r")
    with pytest.warns(UserWarning, match="mapped privately.*No such device") as caught:
        subset = open_subset(path)
    assert caught[0].filename == __file__
    there = open_subset(whole.npz)
    assert subset.in_memory == ()
    assert "memory-mapped" in repr(subset)
    for key in KEYS:
        assert not getattr(subset, key).flags.writeable
        assert np.array_equal(getattr(subset, key), getattr(there, key))
    image, label = pickle.loads(pickle.dumps(subset.dataset("train")))[7]
    assert np.array_equal(image, there.X_train[7])
    assert label == there.y_train[7]


@thorough("mounts disks")
def test_every_command_reads_a_file_on_fuse(photos, whole, fuse, cli) -> None:
    path = fuse / whole.npz.name
    shutil.copy(whole.npz, path)
    for command in (
        ["verify", path, "--data_dir", photos, "--sample", "5"],
        ["inspect", path, "--stats"],
        ["preview", path, "--out", "s.png", "--html", "p.html"],
        ["locate", path, "--split", "train", "--row", "3", "--save", "row.png"],
    ):
        done = cli(*command)
        assert (done.returncode, done.stderr) == (0, ""), done
