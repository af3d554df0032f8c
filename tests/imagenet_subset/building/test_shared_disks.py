"""Builds by workers that may be on other machines: how each kind of disk is written to."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from imagenet_subset import verify
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.row_file import RowFile
from imagenet_subset.building.run import BuildResult
from imagenet_subset.building.shared_disk import end_run, reopened
from imagenet_subset.errors import OutputError, UnfitWorkerError
from imagenet_subset.system import mounts
from tests.harness.builds import Build, two_classes
from tests.harness.executors import Elsewhere
from tests.harness.planned import carried_out, planned
from tests.harness.tiers import thorough

pytestmark = pytest.mark.processes
needs_root = pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="mounts file systems"
)
without_proc = pytest.mark.skipif(
    not Path("/proc/self/fdinfo").is_dir(), reason="looks for descriptors in /proc"
)

Mount = Callable[..., Path]


def plan(photos: Path, out: Path) -> BuildPlan:
    return planned(photos / "two.txt", photos, out, device="cpu", pipeline="pillow")


def built(photos: Path, out: Path, **options: Any) -> BuildResult:
    with ThreadPoolExecutor(1) as executor:
        return carried_out(plan(photos, out), executor=executor, **options)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mount a file system by a command to which the folder ``tmp_path/disk`` is added."""
    (folder := tmp_path / "disk").mkdir()

    def mounted(*command: object) -> Path:
        words = [*map(str, command), str(folder)]
        try:
            done = subprocess.run(words, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip(f"{words[0]} isn't installed")
        if done.returncode:
            pytest.skip(f"{' '.join(words)}: {done.stderr.strip()}")
        return folder

    yield mounted
    subprocess.run(["umount", "--lazy", str(folder)], stderr=subprocess.DEVNULL)


def fuse(mount: Mount, below: Path, name: str = "") -> Path:
    """A FUSE file system that says it has this name."""
    below.mkdir(exist_ok=True)
    return mount("bindfs", *(["-o", f"subtype={name}"] if name else []), below)


def test_a_worker_whose_run_has_ended_meanwhile_writes_no_more_rows(
    photos, expected, tmp_path, monkeypatch
) -> None:
    """An engine gives up a worker that it doesn't hear of; it may be in the middle of a shard."""
    true, writes = os.pwritev, []

    def end_of_run(fd: int, rows: Any, offset: int) -> int:
        writes.append(offset)
        with open(partial, "r+b") as file:
            end_run(file.fileno(), partial)
        return true(fd, rows, offset)

    todo = planned(
        photos / "two.txt", photos, tmp_path, device="cpu", pipeline="pillow", batch_size=4
    )
    partial = todo.output.partial
    monkeypatch.setattr(os, "pwritev", end_of_run)
    with ThreadPoolExecutor(1) as executor, pytest.raises(OutputError, match="first bytes differ"):
        carried_out(todo, executor=executor)
    assert len(writes) == 1
    monkeypatch.undo()
    assert sha256(built(photos, tmp_path).npz) == expected


# What is written when


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """Writes to unfinished files and syncs of them: the call, and whether it was through O_DSYNC.

    The true calls are made.
    """
    seen: list[tuple[str, bool]] = []

    def watch(name: str) -> None:
        true = getattr(os, name)

        def call(fd: int, *args: Any) -> Any:
            if os.readlink(f"/proc/self/fd/{fd}").endswith(".partial"):
                lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
                flags = int(dict(line.split(":", 1) for line in lines)["flags"], 8)
                seen.append((name, bool(flags & os.O_DSYNC)))
            return true(fd, *args)

        monkeypatch.setattr(os, name, call)

    for name in ("pwrite", "pwritev", "fsync", "fdatasync"):
        watch(name)
    return seen


def calls(watched: list[tuple[str, bool]], name: str) -> set[bool]:
    return {synced for call, synced in watched if call == name}


@needs_root
@without_proc
def test_on_an_unknown_file_system_each_write_of_a_row_is_synced(
    photos, expected, tmp_path, mount, watched
) -> None:
    out = fuse(mount, tmp_path / "below")
    assert mounts.file_system_of(out) in ("fuse", "fuse.bindfs")
    assert sha256(built(photos, out).npz) == expected
    assert calls(watched, "pwritev") == {True}
    assert calls(watched, "fdatasync") == set()
    first, *_ = (n for n, (name, _) in enumerate(watched) if name == "pwritev")
    assert [name for name, _ in watched[:first]] == ["pwrite", "fsync"], "the token is there first"
    last = max(n for n, (name, _) in enumerate(watched) if name == "pwritev")
    assert {synced for name, synced in watched[last + 1 :] if name == "pwrite"} == {True}


@without_proc
def test_on_a_disk_that_is_known_a_shard_is_synced_before_it_is_noted(
    photos, expected, tmp_path, watched
) -> None:
    if mounts.way_to_write(mounts.file_system_of(tmp_path)) is not mounts.Way.SYNC_AFTER:
        pytest.skip("the temporary folder is on no disk that is known")
    shards: list[int] = []

    def progress(shard: Any) -> None:
        if shard.crcs:
            shards.append(sum(name == "fdatasync" for name, _ in watched))

    assert sha256(built(photos, tmp_path, progress=progress).npz) == expected
    assert calls(watched, "pwritev") == {False}
    assert all(syncs > n for n, syncs in enumerate(shards)), shards
    written = [name for name, _ in watched if name in ("pwritev", "fdatasync")]
    assert written[-1] == "fdatasync"
    assert written.count("fdatasync") == len(shards) > 2


@needs_root
def test_a_build_on_tmpfs_is_that_of_any_other_disk(photos, expected, mount, watched) -> None:
    out = mount("mount", "-t", "tmpfs", "tmpfs")
    assert sha256(built(photos, out).npz) == expected
    assert calls(watched, "pwritev") == {False}


def test_the_workers_of_the_program_itself_open_the_file_once_and_sync_nothing(tmp_path) -> None:
    (path := tmp_path / "file").write_bytes(bytes(100))
    file = RowFile.alone(str(path))
    try:
        assert file.reads == file.writes
        assert not file.to_sync
    finally:
        file.close()


def test_a_system_without_o_dsync_syncs_after_writing(tmp_path, monkeypatch) -> None:
    (path := tmp_path / "file").write_bytes(bytes(100))
    monkeypatch.setattr(mounts, "_TABLE", str(tmp_path / "isn't there"))
    monkeypatch.delattr(os, "O_DSYNC")
    monkeypatch.delattr(os, "fdatasync")
    synced: list[int] = []
    true = os.fsync

    def fsync(fd: int) -> None:
        synced.append(fd)
        true(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    file = RowFile.shared(str(path))
    try:
        file.write([memoryview(b"ab"), memoryview(b"cd")], 50)
        file.sync()
        assert synced == [file.writes]
    finally:
        file.close()
    assert path.read_bytes() == bytes(50) + b"abcd" + bytes(46)


def test_a_file_that_is_exchanged_between_two_opens_is_not_taken_for_this_run_s(tmp_path) -> None:
    for name in ("this", "other"):
        (tmp_path / name).write_bytes(b"token")
    this = RowFile.shared(str(tmp_path / "this"))
    other = RowFile.shared(str(tmp_path / "other"))
    try:
        assert this.has(b"token")
        assert not this.has(b"nekot")
        assert not RowFile(this.reads, other.writes, to_sync=False).has(b"token")
    finally:
        this.close()
        other.close()


def test_a_file_that_is_exchanged_before_it_is_opened_anew_is_refused(tmp_path) -> None:
    for name in ("file", "other"):
        (tmp_path / name).write_bytes(b"rows")
    with open(tmp_path / "file", "r+b") as file:
        with reopened(file.fileno(), tmp_path / "file") as fd:
            assert fd != file.fileno()
            assert os.pread(fd, 10, 0) == b"rows"
        (tmp_path / "other").replace(tmp_path / "file")
        with (
            pytest.raises(OutputError, match="was removed or replaced"),
            reopened(file.fileno(), tmp_path / "file"),
        ):
            pass


# The same bytes


def threads() -> Executor:
    return ThreadPoolExecutor(2)


def processes() -> Executor:
    return ProcessPoolExecutor(2, multiprocessing.get_context("spawn"))


@pytest.mark.parametrize(
    "executor", [threads, pytest.param(processes, marks=thorough("as threads"))]
)
def test_a_build_that_goes_on_and_leaves_photos_out_is_that_of_our_own_workers(
    tmp_path, executor
) -> None:
    data = two_classes(tmp_path / "ILSVRC", 60, damaged=3)
    alone = carried_out(plan(data, tmp_path / "alone"), skip_undecodable=True)
    assert alone.plan.undecodable == 3
    todo = plan(data, tmp_path / "out")

    def stop(_shard: object) -> None:
        raise ZeroDivisionError

    with executor() as pool:
        with pytest.raises(ZeroDivisionError):
            carried_out(todo, executor=pool, progress=stop)
        result = carried_out(todo, executor=pool, skip_undecodable=True)
    assert result.kept > 0
    assert sha256(result.npz) == sha256(alone.npz)
    assert verify(result.npz).ok


def test_a_single_row_that_another_machine_damages_is_found_before_the_file_has_its_name(
    photos, expected, tmp_path
) -> None:
    todo = plan(photos, tmp_path)
    rows = todo.layout.rows
    done = 0

    def damage_when_all_is_done(shard: Any) -> None:
        nonlocal done
        done += len(shard.crcs)
        if done == len(rows):
            with open(todo.output.partial, "r+b") as file:
                os.pwrite(file.fileno(), b"stale", rows.offset_of("train", 7) + 1000)

    with pytest.raises(OutputError, match=r"1 of 200 rows .* the first row 7 of X_train"):
        built(photos, tmp_path, progress=damage_when_all_is_done)
    assert not todo.output.npz.exists()
    result = built(photos, tmp_path)
    assert (result.decoded, result.kept) == (1, 199)
    assert sha256(result.npz) == expected


@needs_root
@thorough("mounts disks")
def test_a_build_that_leaves_photos_out_is_the_same_on_an_unknown_file_system(
    tmp_path, mount
) -> None:
    data = two_classes(tmp_path / "ILSVRC", 20, damaged=2)
    alone = carried_out(plan(data, tmp_path / "alone"), skip_undecodable=True)
    out = fuse(mount, tmp_path / "below")
    assert sha256(built(data, out, skip_undecodable=True).npz) == sha256(alone.npz)


# Disks on which several machines can't write one file


class NoExecutor(Executor):
    def submit(self, *_args: Any, **_kwargs: Any) -> Any:
        pytest.fail("a folder on such a disk is refused before there is any work")


@needs_root
@pytest.mark.parametrize("below", [".", "not/there/yet"])
def test_an_output_folder_on_an_object_store_is_refused_before_anything_is_written(
    photos, tmp_path, mount, below
) -> None:
    disk = fuse(mount, tmp_path / "below", "gcsfuse")
    with pytest.raises(OutputError) as caught:
        carried_out(plan(photos, disk / below), executor=NoExecutor())
    assert str(caught.value) == (
        f"{disk / below} is on an object store (fuse.gcsfuse), where several machines can't write "
        "one file safely; build into a local folder and copy the file there"
    )
    assert list(disk.iterdir()) == []


@needs_root
@thorough("mounts disks")
def test_the_program_s_own_workers_build_there_as_ever(photos, expected, tmp_path, mount) -> None:
    disk = fuse(mount, tmp_path / "below", "gcsfuse")
    assert Build(photos, disk / "out").sha256() == expected


@needs_root
def test_a_worker_that_has_the_folder_on_an_object_store_is_refused_in_one_line(
    photos, expected, tmp_path
) -> None:
    (out := tmp_path / "out").mkdir()
    # The file system ends with the worker.
    script = (
        f"bindfs -o subtype=s3fs '{out}' '{out}' || exit; "
        f"\"$@\"; code=$?; umount --lazy '{out}'; exit $code"
    )
    worker = Elsewhere("unshare", "-m", "sh", "-c", script, "sh")
    with pytest.raises(UnfitWorkerError) as caught:
        carried_out(plan(photos, out), executor=worker)
    assert str(caught.value).startswith(f"worker {os.uname().nodename} (pid ")
    assert str(caught.value).endswith(
        f") has {out / 'two_cls.npz.partial'} on an object store (fuse.s3fs), where several "
        "machines can't write one file safely; build into a local folder and copy the file there"
    )
    assert not (out / "two_cls.npz").exists()
    assert sha256(built(photos, out).npz) == expected


def test_smb_is_called_by_its_name(tmp_path, monkeypatch) -> None:
    (table := tmp_path / "mountinfo").write_text("27 1 0:9 / / rw - cifs //nas/share rw\n")
    monkeypatch.setattr(mounts, "_TABLE", str(table))
    assert mounts.refusal(tmp_path).startswith("SMB (cifs), where several machines can't write")
