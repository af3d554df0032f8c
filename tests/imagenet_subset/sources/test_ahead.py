"""Reading ahead gives what reading one photo after the other gives, and leaves no thread."""

from __future__ import annotations

import contextlib
import errno
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from imagenet_subset.sources import ahead
from imagenet_subset.sources.ahead import read_ahead
from imagenet_subset.sources.patience import read_each
from pipelines import per_image
from pipelines.kinds import KINDS
from tests.harness.builds import two_classes
from tests.harness.planned import carried_out, planned


class Slow:
    """A reader of made-up photos that take a while; it notes which were read."""

    def __init__(self, seconds: float = 0.001, **errors: BaseException) -> None:
        self.seconds, self.errors = seconds, errors
        self.begun: list[str] = []
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def read(self, location: object) -> bytes:
        """Contents that name the photo, or the error that is to be raised for it."""
        with self._lock:
            self.begun.append(str(location))
            self.at_once += 1
            self.most_at_once = max(self.at_once, self.most_at_once)
        time.sleep(self.seconds)
        with self._lock:
            self.at_once -= 1
        if error := self.errors.get(str(location), self.errors.get("all")):
            raise error
        return str(location).encode()

    def close(self) -> None:
        """Do nothing."""


def names(count: int) -> list[str]:
    return [f"p{k}" for k in range(count)]


def ours() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("imagenet-subset-read")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert ours() == []


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagenet_subset.sources.patience._PAUSES", (0.0, 0.0))


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("seconds", [0, 0.001])
@pytest.mark.parametrize("window", [1, 2, 7, 64, 1000])
@pytest.mark.parametrize("count", [0, 1, 8, 9, 100])
def test_photos_and_errors_come_in_the_order_of_their_locations(
    seconds: float, window: int, count: int
) -> None:
    errors: dict[str, BaseException] = {
        "p3": OSError(errno.EIO, "a bad block"),
        "p40": OSError(errno.EFBIG, "too large"),
    }
    found = list(read_ahead(Slow(seconds, **errors), names(count), window))
    assert found == list(read_each(Slow(0, **errors), names(count)))


def test_a_slow_disk_is_asked_for_several_photos_at_a_time() -> None:
    reader = Slow(0.005)
    assert len(list(read_ahead(reader, names(200), 128))) == 200
    assert 1 < reader.most_at_once <= 8
    assert sorted(reader.begun) == sorted(names(200)), "each once"


def test_files_in_memory_are_read_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "_SLOW", 60.0)
    for _ in read_ahead(Slow(0), names(100), 64):
        assert ours() == []


@pytest.mark.parametrize("window", [1, 8, 32])
def test_no_more_is_read_ahead_than_the_window(window: int) -> None:
    reader = Slow()
    piece = max(1, min(8, window // 8))
    for handed, _ in enumerate(read_ahead(reader, names(120), window), 1):
        if handed in (20, 60):
            time.sleep(0.1)
        assert len(reader.begun) - handed <= window + piece


def test_of_large_photos_fewer_are_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "_MOST_NBYTES", 30 * 2)  # each photo's contents are "p10" or so
    reader = Slow()
    for handed, _ in enumerate(read_ahead(reader, names(300), 256), 1):
        if handed in (100, 200):
            time.sleep(0.1)
        if handed > 80:  # the first pieces go out before a size is known
            assert len(reader.begun) - handed <= 30 + 8


@pytest.mark.parametrize("taken", [1, 9, 30])
def test_who_gives_up_waits_for_a_photo_at_most(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, begun = Slow(0.02), [0]

    class GivenUp(threading.Event):
        def set(self) -> None:
            super().set()
            begun.append(len(reader.begun))

    monkeypatch.setattr(threading, "Event", GivenUp)
    photos = read_ahead(reader, names(500), 256)
    for _ in range(taken):
        next(photos)
    photos.close()
    assert ours() == []
    if taken > 8:
        assert len(reader.begun) - begun[-1] <= 8, "a thread may be about to begin one"


def test_a_defect_of_a_reader_is_raised_where_the_photo_is_asked_for() -> None:
    reader = Slow(p30=MemoryError())
    with contextlib.closing(read_ahead(reader, names(100), 64)) as photos:
        for _ in range(20):
            next(photos)
        with pytest.raises(MemoryError):
            list(photos)
        assert ours() == []


def test_a_disk_that_is_gone_is_not_waited_for_at_each_photo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("imagenet_subset.sources.patience._PAUSES", (0.002, 0.002))
    reader = Slow(all=OSError(errno.ENOENT, "gone"))
    found = list(read_ahead(reader, names(100), 64))
    assert all(isinstance(error, OSError) for error in found)
    assert len(found) == 100
    assert len(reader.begun) == 100 + 3 * 2, "only the first three are tried again"


@pytest.mark.parametrize("fails", [False, True])
def test_a_build_that_reads_ahead_has_the_same_bytes_and_leaves_no_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    photos = two_classes(tmp_path / "ILSVRC", 20, odd=False)
    options = {"device": "cpu", "pipeline": "pillow", "splits": ["train"], "batch_size": 8}
    whole = carried_out(planned(photos / "two.txt", photos, tmp_path / "whole", **options))
    kind = replace(KINDS["pillow", "cpu"], reads_ahead=True)
    monkeypatch.setitem(KINDS, ("pillow", "cpu"), kind)
    monkeypatch.setattr(ahead, "_SLOW", 0.0)
    todo = planned(photos / "two.txt", photos, tmp_path / "out", **options)
    seen: list[int] = []
    decode = per_image.PerImagePipeline.run

    def run(self, encoded):
        for batch in decode(self, encoded):
            seen.append(len(ours()))
            yield batch
            if fails and len(seen) == 3:
                raise ZeroDivisionError

    monkeypatch.setattr(per_image.PerImagePipeline, "run", run)
    with ThreadPoolExecutor(1) as executor:
        if fails:
            with pytest.raises(ZeroDivisionError) as caught:
                carried_out(todo, executor=executor)
            assert caught.traceback, "which holds all frames"
        else:
            result = carried_out(todo, executor=executor)
            assert result.npz.read_bytes() == whole.npz.read_bytes()
    assert max(seen) > 0
    assert ours() == []
