from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from imagenet_subset.errors import ReadError
from imagenet_subset.reading.subset import open_subset
from imagenet_subset.reading.summary import channel_stats, split_stats, summarize
from imagenet_subset.records import SPLITS
from tests.harness.tiers import thorough

Write = Callable[..., Path]
Command = Callable[..., str]


def test_the_text_tells_arrays_provenance_and_classes(
    write_subset: Write, command: Command
) -> None:
    out = command("inspect", write_subset([0, 0, 1, 2], [1, 2]))
    lines = [line.split() for line in out.splitlines()]
    assert ["X_train", "(4,", "224,", "224,", "3)", "uint8", "602,112"] in [li[:7] for li in lines]
    assert ["pipeline", "pillow", "on", "cpu", "(pillow", "13.0.0)"] in lines
    assert ["left", "out", "0", "missing,", "2", "undecodable"] in lines
    assert ["0", "n12267677", "acorn", "2", "0"] in lines
    assert ["1", "n02690373", "airliner", "1", "1"] in lines
    assert ["all", "4", "2"] in lines


def test_json_holds_the_same_as_the_summary(write_subset: Write, command: Command) -> None:
    path = write_subset([0, 0, 1], [2])
    found = json.loads(command("inspect", path, "--json"))
    assert found == summarize(path).to_dict()
    assert found["provenance"]["subset"]["name"] == "three"
    assert found["classes"][2] == {
        "subset_label": 2, "original_id": 362, "WNID": "n09472597", "human_label": "volcano",
        "train": 0, "val": 1,
    }  # fmt: skip


def test_offsets_are_where_the_data_is(write_subset: Write) -> None:
    path = write_subset([0, 1, 2], [0])
    (labels,) = [a for a in summarize(path).arrays if a.key == "y_train"]
    data = path.read_bytes()[labels.data_offset : labels.data_offset + labels.nbytes]
    assert np.frombuffer(data, "<i4").tolist() == [0, 1, 2]


def test_a_foreign_file_shows_its_labels(write_subset: Write, command: Command) -> None:
    out = command("inspect", write_subset([7, 7, 9], [7], foreign=True, csv=None))
    assert "no provenance" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["7", "-", "-", "2", "1"] in lines
    assert ["9", "-", "-", "1", "0"] in lines


def test_a_compressed_file_is_told_as_such(write_subset: Write, command: Command) -> None:
    path = write_subset([0, 1], [2], save=np.savez_compressed)
    assert command("inspect", path).count("  compressed\n") == 6


def test_an_npz_of_other_arrays_is_listed_and_said_to_be_no_subset(
    tmp_path: Path, command: Command
) -> None:
    np.savez(tmp_path / "other.npz", weights=np.zeros((2, 3)))
    out = command("inspect", tmp_path / "other.npz")
    assert "weights  (2, 3)  float64     48" in out
    assert "no subset: " in out
    with pytest.raises(ReadError, match="has no X_train"):
        command("inspect", tmp_path / "other.npz", "--stats")


def test_stats_are_those_of_numpy(write_subset: Write, command: Command) -> None:
    path = write_subset([0, 1, 2, 0, 1], [])
    stats = json.loads(command("inspect", path, "--stats", "--json"))["stats"]
    pixels = np.load(path)["X_train"].reshape(-1, 3) / 255
    assert stats["train"]["mean"] == pytest.approx(pixels.mean(axis=0), rel=1e-12)
    assert stats["train"]["std"] == pytest.approx(pixels.std(axis=0), rel=1e-12)
    assert stats["val"] is None
    text = command("inspect", path, "--stats")
    assert "mean  [0.0078, 0.0157, 0.0235]" in text
    assert "val: no images" in text


@given(
    st.lists(arrays(np.uint8, st.tuples(*[st.integers(0, 5)] * 3, st.just(3))), max_size=3),
    st.sampled_from("CF"),
)
def test_stats_are_right_for_any_shape_order_and_chunks(
    chunks: list[np.ndarray], order: str
) -> None:
    stats = channel_stats(np.asarray(c, order=order) for c in chunks)  # type: ignore[call-overload]
    flat = np.concatenate([np.zeros((0, 3)), *(c.reshape(-1, 3) / 255 for c in chunks)])
    if not len(flat):
        assert stats is None
        return
    assert stats is not None
    assert stats["mean"] == pytest.approx(flat.mean(axis=0), abs=1e-12)
    assert stats["std"] == pytest.approx(flat.std(axis=0), abs=1e-7)


def test_equal_pixels_have_no_deviation_at_all() -> None:
    stats = channel_stats([np.full((40, 224, 224, 3), 201, np.uint8)])
    assert stats == {"mean": [201 / 255] * 3, "std": [0.0] * 3}


def test_stats_report_their_progress(write_subset: Write) -> None:
    subset = open_subset(write_subset([0] * 5, [0] * 3))
    done: list[int] = []
    for split in SPLITS:
        split_stats(subset, split, done.append)
    assert sum(done) == len(subset)


@thorough("reads hundreds of images")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read memory from")
def test_stats_take_the_same_memory_for_more_images(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from imagenet_subset.reading.subset import open_subset
from imagenet_subset.reading.summary import split_stats

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

subset = open_subset(sys.argv[1])
before = peak()
stats = split_stats(subset, "train")
print(peak() - before, stats["mean"][0])
"""
    peaks = []
    for n in (768, 2304):
        path = tmp_path / f"{n}.npz"
        images = np.full((n, 224, 224, 3), 51, np.uint8)
        columns: dict[str, Any] = {key: np.zeros(n, np.int32) for key in ("y_train", "train_id")}
        columns |= {"X_val": images[:0], "y_val": np.zeros(0, int), "val_id": np.zeros(0, int)}
        np.savez(path, X_train=images, **columns)
        run = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
        )
        path.unlink()
        kilobytes, mean = run.stdout.split()
        assert float(mean) == 0.2
        peaks.append(int(kilobytes))
    assert peaks[1] < 1.3 * peaks[0]
    assert peaks[1] < 100_000
