"""A GPU that fails for good ends the build, which names the photos and can be taken up again."""

from __future__ import annotations

import hashlib
import pickle
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from imagenet_subset.building.lost import lost_device
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.errors import WorkerError
from pipelines import per_image
from pipelines.base import Batch, DeviceFailedError, Pipeline, Settings
from tests.harness.builds import two_classes
from tests.harness.planned import carried_out, planned

CAUSE = "CUDA error 719: unspecified launch failure"


class Fragile:
    """Another pipeline, for rows by their places, on a device that is lost over a batch."""

    def __init__(self, pipeline: Pipeline, good: int, lost: int) -> None:
        self._pipeline, self._good, self._lost = pipeline, good, lost

    def run(self, encoded: Iterable[tuple[Any, bytes]]) -> Iterator[Batch[Any]]:
        """Some good batches, then an error over the next photos."""
        photos = iter(encoded)
        for _ in range(self._good):
            (batch,) = self._pipeline.run([next(photos)])
            batch.notices.append("decoders: made up")
            yield batch
        keys = [key for key, _ in zip(range(self._good, self._good + self._lost), photos)]  # noqa: B905
        raise DeviceFailedError(CAUSE, keys)

    def close(self) -> None:
        """Close the other one."""
        self._pipeline.close()


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return two_classes(tmp_path_factory.mktemp("few") / "ILSVRC", 5, odd=False)


def plan(photos: Path, out: Path) -> BuildPlan:
    return planned(
        photos / "two.txt", photos, out, device="cpu", pipeline="pillow", splits=["train"]
    )


def fragile(monkeypatch: pytest.MonkeyPatch, good: int, lost: int) -> None:
    true = per_image.open_pipeline

    def opened(settings: Settings) -> Pipeline:
        return Fragile(true(settings), good, lost)

    monkeypatch.setattr(per_image, "open_pipeline", opened)


def built(todo: BuildPlan) -> str:
    with ThreadPoolExecutor(1) as executor:
        result = carried_out(todo, executor=executor)
    return hashlib.sha256(result.npz.read_bytes()).hexdigest()


@pytest.mark.parametrize("lost", [1, 4, 5])
def test_a_lost_device_ends_the_build_in_one_line_and_the_build_goes_on(
    few, tmp_path, monkeypatch, lost
) -> None:
    todo = plan(few, tmp_path / "out")
    with monkeypatch.context() as patch:
        fragile(patch, 3, lost)
        with pytest.raises(WorkerError) as caught:
            built(todo)
    photos = [todo.path(todo.record(index)) for index in range(3, 3 + lost)]
    named = {
        1: photos[0],
        4: f"{', '.join(photos[:3])} and {photos[-1]}",
        5: f"5 photos, {photos[0]} to {photos[-1]},",
    }
    assert str(caught.value) == (
        f"{CAUSE} while it had {named[lost]} in hand; what is done is kept: "
        "run the same command again to go on"
    )
    shown = "".join(traceback.format_exception(caught.value))
    assert shown.count("".join(f"\n  {photo}" for photo in photos)) == 1
    assert built(todo) == built(plan(few, tmp_path / "whole"))


def test_what_the_batches_say_is_told_with_the_result(few, tmp_path, monkeypatch) -> None:
    true = Fragile.run

    def whole(self: Fragile, encoded: Iterable[tuple[Any, bytes]]) -> Iterator[Batch[Any]]:
        try:
            yield from true(self, encoded)
        except DeviceFailedError:
            return

    monkeypatch.setattr(Fragile, "run", whole)
    fragile(monkeypatch, 10, 0)
    with ThreadPoolExecutor(1) as executor:
        result = carried_out(plan(few, tmp_path / "out"), executor=executor)
    assert result.notices == ["decoders: made up"]


def test_the_photos_travel_with_the_error_from_process_to_process() -> None:
    error = lost_device(f"{CAUSE}.", list("abcdef"))
    there = pickle.loads(pickle.dumps(error))
    assert str(there) == str(error)
    assert str(there).startswith(f"{CAUSE} while it had 6 photos, a to f, in hand; what is")
    assert there.__notes__ == ["in hand:\n  a\n  b\n  c\n  d\n  e\n  f"]
    assert str(lost_device(CAUSE, [])).startswith(f"{CAUSE}; what is done is kept")
