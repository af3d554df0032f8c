"""The NPZ as other programs see it."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imagenet_subset.npz import layout as npz
from imagenet_subset.npz.comment import encode_comment
from imagenet_subset.npz.layout import ALIGNMENT, KEYS, Layout
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.system.files import open_for_update, pwrite_all
from pipelines.rule import DEFAULT, PixelRule
from tests.harness.tiers import thorough

PROVENANCE = {"format": "imagenet-subset", "subset": {"name": "test", "wnids": ["n12267677"]}}


def images(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, *DEFAULT.shape), np.uint8)


def write_npz(path: Path, n_train: int, n_val: int, order_seed: int = 0) -> dict[str, np.ndarray]:
    """Write a file row by row in a shuffled order; the arrays that it should hold."""
    arrays = {
        "X_train": images(n_train, 1),
        "y_train": np.arange(n_train, dtype=np.int32) % 7,
        "train_id": np.arange(n_train, dtype=np.int32) * 3 + 1,
        "X_val": images(n_val, 2),
        "y_val": np.arange(n_val, dtype=np.int32) % 5,
        "val_id": np.arange(n_val, dtype=np.int32) + 40_000,
    }
    layout = Layout.of({"train": n_train, "val": n_val}, DEFAULT.shape, encode_comment(PROVENANCE))
    fd = open_for_update(path, create=True)
    os.ftruncate(fd, layout.size)
    rows: list[tuple[Split, int]] = [("train", i) for i in range(n_train)]
    rows += [("val", i) for i in range(n_val)]
    np.random.default_rng(order_seed).shuffle(rows)
    crcs = {split: np.zeros(len(arrays[f"X_{split}"]), np.uint32) for split in SPLITS}
    for split, row in rows:
        data = arrays[f"X_{split}"][int(row)].tobytes()
        pwrite_all(fd, data, layout.rows.offset_of(split, int(row)))
        crcs[split][int(row)] = zlib.crc32(data)
    npz.finish(fd, layout, crcs, {k: a for k, a in arrays.items() if not k.startswith("X")})
    os.close(fd)
    return arrays


@pytest.mark.parametrize(("n_train", "n_val"), [(0, 0), (1, 0), (0, 2), (5, 3), (8, 1)])
def test_np_load_reads_the_six_arrays(tmp_path: Path, n_train: int, n_val: int) -> None:
    arrays = write_npz(tmp_path / "a.npz", n_train, n_val)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as loaded:
        assert loaded.files == list(KEYS)
        for key, array in arrays.items():
            assert loaded[key].dtype == array.dtype
            np.testing.assert_array_equal(loaded[key], array)


@pytest.mark.parametrize(("n_train", "n_val"), [(0, 0), (5, 3)])
def test_zipfile_finds_no_fault_and_the_comment_is_the_provenance(tmp_path, n_train, n_val) -> None:
    write_npz(tmp_path / "a.npz", n_train, n_val)
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert archive.testzip() is None
        comment = json.loads(archive.comment)
    crc = int(comment.pop("crc32"), 16)
    assert comment == PROVENANCE
    assert crc == zlib.crc32(json.dumps(PROVENANCE, separators=(",", ":")).encode())


def test_four_rows_of_the_default_size_are_whole_pages() -> None:
    rows = Layout.of({"train": 9, "val": 9}, DEFAULT.shape).rows
    for split in SPLITS:
        assert [rows.offset_of(split, row) % ALIGNMENT == 0 for row in range(9)] == [
            row % 4 == 0 for row in range(9)
        ]


@pytest.mark.parametrize("command", [["unzip", "-t"], ["7z", "t"], ["zip", "-T"]])
def test_other_programs_find_no_fault(tmp_path: Path, command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} isn't installed")
    for n_train, n_val in [(0, 0), (3, 2)]:
        path = tmp_path / f"{n_train}.npz"
        write_npz(path, n_train, n_val)
        done = subprocess.run([*command, path], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "warning" not in (done.stdout + done.stderr).lower()


@given(
    st.integers(0, 2_000_000),
    st.integers(0, 100_000),
    st.integers(8, 2000).map(lambda crop: PixelRule(2000, crop)),
    st.text(st.characters(codec="ascii"), max_size=2000),
)
@example(2_000_000, 100_000, DEFAULT, "")
def test_array_data_is_aligned_and_members_leave_no_gap(n_train, n_val, rule, name) -> None:
    layout = Layout.of({"train": n_train, "val": n_val}, rule.shape, encode_comment({"name": name}))
    assert layout.rows.nbytes == rule.nbytes
    assert layout.members[KEYS.index("X_val")].shape == (n_val, *rule.shape)
    end = 0
    for member in layout.members:
        assert member.offset == end
        assert member.data_offset % ALIGNMENT == 0
        header = member.local_header(0) + member.npy_header
        assert member.offset + len(header) == member.data_offset
        version = np.lib.format.read_magic(stream := io.BytesIO(member.npy_header))
        assert version == (1, 0)
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        assert (shape, fortran, dtype) == (member.shape, False, np.dtype(member.dtype))
        end = member.end
    assert layout.size == end + len(layout.directory(dict.fromkeys(KEYS, 0)))


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_writing_leaves_no_trace_in_the_bytes(tmp_path_factory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("order")
    write_npz(folder / "a.npz", 6, 3, order_seed=0)
    write_npz(folder / "b.npz", 6, 3, order_seed=seed)
    assert (folder / "a.npz").read_bytes() == (folder / "b.npz").read_bytes()


@thorough("writes 4 GiB")
def test_more_than_4_gib_is_read_by_numpy_and_zipfile(tmp_path: Path) -> None:
    # 30,000 rows of zeros are 4.5 GB; the file is sparse, only row 29,999 is written.
    n = 30_000
    layout = Layout.of({"train": n}, DEFAULT.shape, encode_comment(PROVENANCE))
    path = tmp_path / "big.npz"
    fd = open_for_update(path, create=True)
    os.ftruncate(fd, layout.size)
    last = images(1, 5)[0]
    pwrite_all(fd, last.tobytes(), layout.rows.offset_of("train", n - 1))
    crcs = np.full(n, zlib.crc32(bytes(DEFAULT.nbytes)), np.uint32)
    crcs[-1] = zlib.crc32(last.tobytes())
    ids = np.arange(n, dtype=np.int32)
    none = np.zeros(0, np.int32)
    columns = {"y_train": ids % 1000, "train_id": ids, "y_val": none, "val_id": none}
    npz.finish(fd, layout, {"train": crcs, "val": np.zeros(0, np.uint32)}, columns)
    os.close(fd)
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("X_train.npy").file_size > 1 << 32
        assert archive.testzip() is None
    with np.load(path) as loaded:
        np.testing.assert_array_equal(loaded["train_id"], ids)
        assert loaded["X_val"].shape == (0, *DEFAULT.shape)
    X_train = np.memmap(path, np.uint8, "r", layout.rows.offset_of("train", 0), (n, *DEFAULT.shape))
    np.testing.assert_array_equal(X_train[-1], last)


def test_a_provenance_too_long_for_a_zip_comment_is_refused() -> None:
    with pytest.raises(ValueError, match="comment holds 65535"):
        Layout.of({}, DEFAULT.shape, encode_comment({"name": "x" * 70_000}))
