"""Reserving, locking and publishing files, on real file systems and with real processes."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_subset.errors import LockedError, OutputError
from imagenet_subset.system import files, publishing, space
from imagenet_subset.system.text import printable


def test_reserving_gives_the_file_its_size_and_blocks(tmp_path: Path) -> None:
    with publishing.locked(tmp_path / "a") as fd:
        space.reserve(fd, 3_000_000, tmp_path)
        assert os.fstat(fd).st_size == 3_000_000
        if sys.platform == "linux":
            assert os.fstat(fd).st_blocks * 512 >= 3_000_000


def test_reserving_again_after_a_kill_is_no_change(tmp_path: Path) -> None:
    with publishing.locked(tmp_path / "a") as fd:
        space.reserve(fd, 100_000, tmp_path)
        files.pwrite_all(fd, b"row", 50_000)
        space.reserve(fd, 100_000, tmp_path)
    assert (tmp_path / "a").read_bytes()[50_000:50_003] == b"row"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has fallocate")
def test_a_signal_amid_reserving_is_no_failure(tmp_path: Path) -> None:
    from tests.harness.sabotage import Sabotage

    (tmp_path / "out").mkdir()
    saboteur = Sabotage(f"fallocate:1:{errno.EINTR}", str(tmp_path / "out"), f"{tmp_path}/fired")
    with publishing.locked(tmp_path / "out/a") as fd:
        saboteur.install()
        try:
            space.reserve(fd, 3_000_000, tmp_path)
        finally:
            saboteur.remove()
        assert (tmp_path / "fired").exists()
        assert os.fstat(fd).st_blocks * 512 >= 3_000_000


def test_more_than_the_disk_holds_is_refused_with_both_sizes(tmp_path: Path) -> None:
    with (
        publishing.locked(tmp_path / "a") as fd,
        pytest.raises(OutputError, match=r"the NPZ takes 10{18}\.00 GB, .* are free"),
    ):
        space.reserve(fd, 10**27, tmp_path)


HOLD = """
import sys, time
from pathlib import Path
from imagenet_subset.system.publishing import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def test_a_second_process_is_refused_while_the_lock_is_held(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "a"), "0"]
    with publishing.locked(tmp_path / "a"):
        refused = subprocess.run(command, capture_output=True, text=True)
        assert "LockedError: another build is writing" in refused.stderr
    allowed = subprocess.run(command, capture_output=True, text=True)
    assert allowed.stdout == "locked\n", allowed.stderr


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "a"), "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        with pytest.raises(LockedError), publishing.locked(tmp_path / "a"):
            pass
        holder.kill()
        holder.wait()
        with publishing.locked(tmp_path / "a"):
            pass


def test_publishing_replaces_the_final_file_whole(tmp_path: Path) -> None:
    (tmp_path / "final").write_bytes(b"old")
    with publishing.locked(tmp_path / "partial") as fd:
        files.pwrite_all(fd, b"new", 0)
        publishing.publish(fd, tmp_path / "partial", tmp_path / "final")
    assert (tmp_path / "final").read_bytes() == b"new"
    assert [p.name for p in tmp_path.iterdir()] == ["final"]


def test_an_atomic_write_that_fails_leaves_no_litter(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        publishing.write_atomically(tmp_path / "taken", b"data")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]


def test_reading_past_the_end_gives_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    fd = files.open_for_update(tmp_path / "a")
    buffer = bytearray(8)
    assert files.pread_into(fd, memoryview(buffer), 6) == 4
    assert buffer[:4] == b"6789"
    os.close(fd)


def test_any_path_prints_in_one_line() -> None:
    assert printable("a\nb\x1b[2J\udcff é") == "a\\nb\\x1b[2J\\udcff é"


def test_a_hint_to_write_changes_nothing_and_never_fails(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    fd = files.open_for_update(tmp_path / "file")
    space.start_writeback(fd, 0, 1 << 40)
    os.close(fd)
    space.start_writeback(fd, 0, 3)  # closed
    assert (tmp_path / "file").read_bytes() == b"abc"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_neither_opened_nor_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for flags in (os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREAT):
        with pytest.raises(OSError, match="is a named pipe, not a file"):
            files.regular(tmp_path / "pipe", flags)
    os.mkfifo(tmp_path / "a.tmp")
    with pytest.raises(OutputError, match=r"can't write .*a\.tmp: it is a named pipe.*remove it"):
        publishing.write_atomically(tmp_path / "a", b"data")
    assert stat.S_ISFIFO(os.stat(tmp_path / "a.tmp").st_mode), "what isn't ours is left alone"
    os.unlink(tmp_path / "a.tmp")
    publishing.write_atomically(tmp_path / "a", b"data")
    assert (tmp_path / "a").read_bytes() == b"data"


def test_a_temporary_file_that_a_killed_run_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.tmp").write_bytes(b"more than the data")
    publishing.write_atomically(tmp_path / "a", b"data")
    assert (tmp_path / "a").read_bytes() == b"data"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="fails calls by Linux's means")
def test_a_temporary_file_that_can_t_be_opened_is_the_one_that_is_named(tmp_path: Path) -> None:
    from tests.harness.sabotage import Sabotage

    (tmp_path / "out").mkdir()
    (tmp_path / "out/a.tmp").write_bytes(b"another user's")
    saboteur = Sabotage(f"open:1:{errno.EACCES}", str(tmp_path / "out"), f"{tmp_path}/fired")
    saboteur.install()
    try:
        with pytest.raises(OutputError, match=r"can't write \S+/a\.tmp: Permission denied"):
            publishing.write_atomically(tmp_path / "out/a", b"data")
    finally:
        saboteur.remove()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.tmp"]


def test_a_folder_and_a_device_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(OSError):  # noqa: PT011 - systems have their own words
        files.open_for_update(tmp_path)
    if os.path.exists("/dev/zero"):
        with pytest.raises(OSError, match="is a device, not a file"):
            files.regular("/dev/zero", os.O_RDONLY)


def test_only_the_file_that_was_opened_is_removed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"ours")
    with publishing.removable(tmp_path / "a") as remove:
        (tmp_path / "b").write_bytes(b"theirs")
        (tmp_path / "b").replace(tmp_path / "a")
        remove()
    assert (tmp_path / "a").read_bytes() == b"theirs"
    with publishing.removable(tmp_path / "a") as remove:
        remove()
        remove()
    assert list(tmp_path.iterdir()) == []
    with publishing.removable(tmp_path / "a") as remove:
        (tmp_path / "a").write_bytes(b"new")
        remove()
    assert (tmp_path / "a").exists()


def pieces_of(*sizes: int) -> list[memoryview]:
    return [memoryview(bytes([1 + k % 255]) * size) for k, size in enumerate(sizes)]


@pytest.mark.parametrize("sizes", [[], [0], [5], [3, 0, 4], [2] * 1024, [2] * 2500])
def test_pieces_are_written_one_after_the_other(tmp_path: Path, sizes: list[int]) -> None:
    pieces = pieces_of(*sizes)
    with publishing.locked(tmp_path / "a") as fd:
        files.pwrite_each(fd, pieces, 7)
    assert (tmp_path / "a").read_bytes()[7:] == b"".join(pieces)


@pytest.mark.skipif(not hasattr(os, "pwritev"), reason="has no such call")
@pytest.mark.parametrize("most", [0, 1, 999, 1000, 1001, 2500])
def test_what_a_call_leaves_of_the_pieces_is_written_by_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    pieces, true = pieces_of(1000, 1000, 0, 1000), os.pwritev

    def short(fd: int, some: list[memoryview], offset: int) -> int:
        return true(fd, [memoryview(b"".join(some)[:most])], offset)

    monkeypatch.setattr(os, "pwritev", short)
    with publishing.locked(tmp_path / "a") as fd:
        files.pwrite_each(fd, pieces, 0)
    assert (tmp_path / "a").read_bytes() == b"".join(pieces)


BEYOND_THE_LIMIT = """
import resource, sys
from imagenet_subset.errors import OutputError
from imagenet_subset.system import files

resource.setrlimit(resource.RLIMIT_FSIZE, (25_000, 25_000))
fd = files.open_for_update(sys.argv[1], create=True)
try:
    with files.writing(sys.argv[1]):
        files.pwrite_each(fd, [memoryview(bytes([k]) * 10_000) for k in (1, 2, 3)], 0)
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_pieces_that_find_no_room_are_reported(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BEYOND_THE_LIMIT, str(tmp_path / "a")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.startswith(f"can't write {tmp_path / 'a'}: File too large;")
    assert (tmp_path / "a").stat().st_size == 25_000


WITHOUT_OFFSETS = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
for name in ("pread", "preadv", "pwrite", "pwritev"):
    delattr(os, name)
from imagenet_subset.system import files

fd = files.open_for_update(sys.argv[1], create=True)

def there_and_back(k):
    data, buffer = bytes([k]) * 5000, bytearray(5000)
    files.pwrite_all(fd, data, 5000 * k)
    files.pread_into(fd, memoryview(buffer), 5000 * k)
    files.pwrite_each(fd, [memoryview(data[:2000]), memoryview(data[2000:])], 5000 * (200 + k))
    return buffer == data and os.stat(sys.argv[1]).st_size >= 5000 * (201 + k)

sys.setswitchinterval(1e-6)
with ThreadPoolExecutor(8) as pool:
    print(all(pool.map(there_and_back, range(200))))
"""


@pytest.mark.skipif(not hasattr(os, "pwritev"), reason="has no such calls to do without")
def test_threads_that_share_a_descriptor_need_no_calls_with_offsets(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_OFFSETS, str(tmp_path / "a")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
    once = b"".join(bytes([k]) * 5000 for k in range(200))
    assert (tmp_path / "a").read_bytes() == 2 * once
