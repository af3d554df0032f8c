"""Reserving, locking and publishing files, on real file systems and with real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_subset import fileio
from imagenet_subset.errors import LockedError, OutputError, printable


def test_reserving_gives_the_file_its_size_and_blocks(tmp_path: Path) -> None:
    with fileio.locked(tmp_path / "a") as fd:
        fileio.reserve(fd, 3_000_000, tmp_path)
        assert os.fstat(fd).st_size == 3_000_000
        if sys.platform == "linux":
            assert os.fstat(fd).st_blocks * 512 >= 3_000_000


def test_reserving_again_after_a_kill_is_no_change(tmp_path: Path) -> None:
    with fileio.locked(tmp_path / "a") as fd:
        fileio.reserve(fd, 100_000, tmp_path)
        fileio.pwrite_all(fd, b"row", 50_000)
        fileio.reserve(fd, 100_000, tmp_path)
    assert (tmp_path / "a").read_bytes()[50_000:50_003] == b"row"


def test_more_than_the_disk_holds_is_refused_with_both_sizes(tmp_path: Path) -> None:
    with (
        fileio.locked(tmp_path / "a") as fd,
        pytest.raises(OutputError, match=r"the NPZ takes 10{18}\.00 GB, .* are free"),
    ):
        fileio.reserve(fd, 10**27, tmp_path)


HOLD = """
import sys, time
from pathlib import Path
from imagenet_subset.fileio import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def test_a_second_process_is_refused_while_the_lock_is_held(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, tmp_path / "a", "0"]
    with fileio.locked(tmp_path / "a"):
        refused = subprocess.run(command, capture_output=True, text=True)
        assert "LockedError: another build is writing" in refused.stderr
    allowed = subprocess.run(command, capture_output=True, text=True)
    assert allowed.stdout == "locked\n", allowed.stderr


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, tmp_path / "a", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(LockedError), fileio.locked(tmp_path / "a"):
            pass
        holder.kill()
        holder.wait()
        with fileio.locked(tmp_path / "a"):
            pass


def test_publishing_replaces_the_final_file_whole(tmp_path: Path) -> None:
    (tmp_path / "final").write_bytes(b"old")
    with fileio.locked(tmp_path / "partial") as fd:
        fileio.pwrite_all(fd, b"new", 0)
        fileio.publish(fd, tmp_path / "partial", tmp_path / "final")
    assert (tmp_path / "final").read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["final"]


def test_an_atomic_write_that_fails_leaves_no_litter(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        fileio.write_atomically(tmp_path / "taken", b"data")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_reading_past_the_end_gives_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    fd = fileio.open_for_update(tmp_path / "a")
    buffer = bytearray(8)
    assert fileio.pread_into(fd, memoryview(buffer), 6) == 4
    assert buffer[:4] == b"6789"
    os.close(fd)


def test_any_path_prints_in_one_line() -> None:
    assert printable("a\nb\x1b[2J\udcff é") == "a\\nb\\x1b[2J\\udcff é"


def test_a_hint_to_write_changes_nothing_and_never_fails(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    fd = fileio.open_for_update(tmp_path / "file")
    fileio.start_writeback(fd, 0, 1 << 40)
    os.close(fd)
    fileio.start_writeback(fd, 0, 3)  # closed
    assert (tmp_path / "file").read_bytes() == b"abc"
