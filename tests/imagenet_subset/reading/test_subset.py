from __future__ import annotations

import errno
import gc
import io
import json
import os
import pickle
import subprocess
import sys
import warnings
import zipfile
import zlib
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagenet_subset.errors import ReadError, ReadRefusedError
from imagenet_subset.npz.class_csv import ClassRow
from imagenet_subset.npz.comment import encode_comment
from imagenet_subset.npz.layout import KEYS, Layout, finish
from imagenet_subset.reading.subset import ImagenetSubset, open_subset
from imagenet_subset.system.files import open_for_update, pwrite_all
from pipelines.rule import DEFAULT
from tests.harness.tiers import thorough

WNIDS = ["n12267677", "n02690373", "n09472597"]
PROVENANCE = {
    "format": "imagenet-subset",
    "format_version": 1,
    "subset": {"name": "three", "wnids": WNIDS, "wnids_sha256": "0"},
}
CSV = (
    "subset_label,original_id,WNID,human_label\n"
    "0,327,n12267677,acorn\n1,230,n02690373,airliner\n2,362,n09472597,volcano\n"
)


def arrays(train: int = 7, val: int = 4) -> dict[str, Any]:
    """Every pixel differs from its neighbours, and every image from the others."""
    made: dict[str, Any] = {}
    for split, n in (("train", train), ("val", val)):
        random = np.random.default_rng(n)
        made[f"X_{split}"] = random.integers(0, 256, (n, *DEFAULT.shape), np.uint8)
        made[f"y_{split}"] = random.integers(0, 3, n, np.int32)
        made[f"{split}_id"] = np.arange(n, dtype=np.int32) * 11 + 5
    return {key: made[key] for key in KEYS}


def write(path: Path, data: dict[str, Any], provenance: dict[str, Any] = PROVENANCE) -> Path:
    """Write a file as a build does."""
    layout = Layout.of(
        {"train": len(data["X_train"]), "val": len(data["X_val"])},
        DEFAULT.shape,
        encode_comment(provenance),
    )
    crcs: dict[Any, Any] = {}
    fd = open_for_update(path, create=True)
    try:
        os.ftruncate(fd, layout.size)
        for split in ("train", "val"):
            rows = data[f"X_{split}"]
            crcs[split] = np.array([zlib.crc32(row.tobytes()) for row in rows], np.uint32)
            for row, image in enumerate(rows):
                pwrite_all(fd, image.tobytes(), layout.rows.offset_of(split, row))
        columns = {key: data[key] for key in KEYS if not key.startswith("X")}
        finish(fd, layout, crcs, columns)
    finally:
        os.close(fd)
    return path


@pytest.fixture
def three(tmp_path: Path) -> Path:
    return write(tmp_path / "three_cls.npz", arrays())


def npz_with(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for key, data in members.items():
            archive.writestr(f"{key}.npy", data)
    return path


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_every_array_is_a_read_only_memory_map_equal_to_what_numpy_loads(three: Path) -> None:
    subset = open_subset(three)
    with np.load(three) as loaded:
        for key in KEYS:
            array = getattr(subset, key)
            assert isinstance(array, np.memmap)
            assert not array.flags.writeable
            assert array.dtype == loaded[key].dtype
            assert np.array_equal(array, loaded[key])


def test_array_data_of_our_files_is_aligned(three: Path) -> None:
    subset = open_subset(three)
    assert all(getattr(subset, key).ctypes.data % 4096 == 0 for key in KEYS)


def test_rows_picked_by_a_list_are_a_plain_array_in_memory(three: Path) -> None:
    picked = open_subset(three).X_train[[5, 2]]
    assert type(picked) is np.ndarray
    assert np.array_equal(picked, arrays()["X_train"][[5, 2]])


def test_len_is_the_images_of_both_splits(three: Path) -> None:
    assert len(open_subset(three)) == 11


def test_repr_tells_what_is_inside(three: Path) -> None:
    assert repr(open_subset(three)) == (
        "<ImagenetSubset three: 7 train and 4 val images of 3 classes, 224x224, memory-mapped>"
    )


def test_a_split_without_images_is_an_array_of_length_0(tmp_path: Path) -> None:
    subset = open_subset(write(tmp_path / "t_cls.npz", arrays(val=0)))
    assert subset.X_val.shape == (0, *DEFAULT.shape)
    assert subset.y_val.shape == subset.val_id.shape == (0,)
    assert len(subset.dataset("val")) == 0


def test_provenance_is_the_archive_comment(three: Path) -> None:
    assert open_subset(three).provenance == PROVENANCE


def test_classes_are_the_csv_beside_the_file(three: Path) -> None:
    three.with_name("three_cls_metadata.csv").write_text(CSV.replace("acorn", "N/A"))
    classes = open_subset(three).classes
    assert classes is not None
    assert list(classes.columns) == ["subset_label", "original_id", "WNID", "human_label"]
    assert classes.iloc[0].tolist() == [0, 327, "n12267677", "N/A"]
    assert len(classes) == 3


def test_the_rows_read_have_the_columns_that_are_written() -> None:
    assert ClassRow._fields == ("subset_label", "original_id", "WNID", "human_label")


def test_without_a_csv_the_classes_come_from_the_provenance(three: Path) -> None:
    classes = open_subset(three).classes
    assert classes is not None
    assert classes.to_csv(index=False, lineterminator="\n") == CSV


def test_a_foreign_file_without_csv_has_no_classes_and_no_provenance(tmp_path: Path) -> None:
    np.savez(tmp_path / "foreign.npz", **arrays())
    subset = open_subset(tmp_path / "foreign.npz")
    assert subset.classes is None
    assert subset.class_rows == ()
    assert subset.provenance is None
    assert subset.name == "foreign"


def test_a_csv_of_other_classes_is_an_error(three: Path) -> None:
    csv = three.with_name("three_cls_metadata.csv")
    csv.write_text(CSV.replace("n09472597", "n01440764"))
    with pytest.raises(ReadError, match="names other classes than three_cls"):
        _ = open_subset(three).classes


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ":1: expected subset_label,original_id"),
        ("label,name\n0,acorn\n", ":1: expected subset_label,original_id"),
        (CSV.replace("0,327", "zero,327"), "invalid literal"),
        (CSV.replace("\n1,230", "\n5,230"), "subset_label isn't 0, 1, 2"),
        (CSV + "3\n", ":5: expected 4 fields, found 1"),
        (CSV.replace("acorn", "Eichel, gross"), ":2: expected 4 fields, found 5"),
    ],
)
def test_a_csv_that_is_not_ours_is_an_error_in_one_line(three: Path, text: str, says: str) -> None:
    three.with_name("three_cls_metadata.csv").write_text(text)
    with pytest.raises(ReadError, match=says) as caught:
        _ = open_subset(three).classes
    assert "\n" not in str(caught.value)


def test_the_remedy_for_a_damaged_csv_is_to_remove_it(three: Path) -> None:
    csv = three.with_name("three_cls_metadata.csv")
    csv.write_text("junk")
    with pytest.raises(ReadError, match="; remove it: the NPZ knows its classes itself"):
        _ = open_subset(three).classes
    csv.unlink()
    assert len(open_subset(three).class_rows) == 3


def test_a_csv_that_a_spreadsheet_saved_with_a_byte_order_mark_just_works(three: Path) -> None:
    rows = open_subset(three).class_rows
    three.with_name("three_cls_metadata.csv").write_bytes(b"\xef\xbb\xbf" + CSV.encode())
    assert open_subset(three).class_rows == rows


def test_a_file_of_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "new.npz", arrays(), {**PROVENANCE, "format_version": 3})
    with pytest.raises(ReadError, match="format version 3, this program reads versions 1 and 2"):
        open_subset(path)


def test_damaged_provenance_is_refused(three: Path) -> None:
    data = three.read_bytes()
    three.write_bytes(data.replace(b"n09472597", b"n09472598"))
    with pytest.raises(ReadError, match="the provenance in its ZIP comment is damaged"):
        open_subset(three)


@pytest.mark.parametrize("comment", [b"made by hand", b"[1, 2]", b'{"format": "other"}', b"\xff"])
def test_any_other_comment_is_no_provenance(tmp_path: Path, comment: bytes) -> None:
    path = tmp_path / "foreign.npz"
    np.savez(path, **arrays())
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = comment
    assert open_subset(path).provenance is None


def test_what_savez_wrote_is_mapped_where_it_stands(tmp_path: Path) -> None:
    data = arrays()
    np.savez(tmp_path / "plain.npz", **data)
    subset = open_subset(tmp_path / "plain.npz")
    assert subset.in_memory == ()
    for key in KEYS:
        assert isinstance(getattr(subset, key), np.memmap)
        assert np.array_equal(getattr(subset, key), data[key])


def test_what_savez_compressed_wrote_is_read_with_a_warning_that_says_why(tmp_path: Path) -> None:
    data = arrays()
    np.savez_compressed(tmp_path / "packed.npz", **data)
    with pytest.warns(UserWarning, match="X_train.*compressed.*numpy.savez") as caught:
        subset = open_subset(tmp_path / "packed.npz")
    assert caught[0].filename == __file__
    assert subset.in_memory == KEYS
    assert "in memory" in repr(subset)
    for key in KEYS:
        assert not getattr(subset, key).flags.writeable
        assert np.array_equal(getattr(subset, key), data[key])


def test_fortran_order_big_endian_and_64_bit_arrays_read_right(tmp_path: Path) -> None:
    data = arrays()
    data["X_train"] = np.asfortranarray(data["X_train"])
    data["y_train"] = data["y_train"].astype(">i4")
    data["train_id"] = data["train_id"].astype(np.int64)
    np.savez(tmp_path / "odd.npz", **data)
    subset = open_subset(tmp_path / "odd.npz")
    for key in KEYS:
        assert np.array_equal(getattr(subset, key), data[key])
    image, label = subset.dataset("train")[3]
    assert image.flags.c_contiguous
    assert label == data["y_train"][3]


def test_other_keys_beside_the_six_do_no_harm(tmp_path: Path) -> None:
    np.savez(tmp_path / "more.npz", **arrays(), extra=np.array({"any": "object"}, dtype=object))
    assert len(open_subset(tmp_path / "more.npz")) == 11


def test_missing_keys_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", X_train=np.zeros(3), images=np.zeros(3))
    with pytest.raises(ReadError, match=r"has no y_train, .*val_id; it holds X_train, images$"):
        open_subset(tmp_path / "few.npz")


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("X_train", np.zeros((7, 224, 224, 3), np.float32), "X_train is float32"),
        ("X_val", np.zeros((4, 3, 224, 224), np.uint8), r"X_val is uint8 \(4, 3, 224, 224\)"),
        ("y_train", np.zeros(6, np.int32), "not one integer for each of the 7 images"),
        ("y_val", np.zeros(4), "y_val is float64"),
        ("val_id", np.zeros((4, 1), np.int32), "val_id is int32"),
        ("train_id", np.array([None] * 7), "train_id is object"),
    ],
)
def test_an_array_of_the_wrong_kind_is_refused_in_one_line(
    tmp_path: Path, key: str, value: Any, says: str
) -> None:
    np.savez(tmp_path / "wrong.npz", **{**arrays(), key: value})
    with pytest.raises(ReadError, match=says) as caught:
        open_subset(tmp_path / "wrong.npz")
    assert "\n" not in str(caught.value)


def test_a_missing_file_a_folder_and_files_that_are_no_npz_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "empty.npz").write_bytes(b"")
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "imagenet30_cls.npz.partial").write_bytes(bytes(10_000))
    with zipfile.ZipFile(tmp_path / "book.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    for name, says in {
        "none.npz": "No such file",
        ".": "can't read",
        "text.npz": "is not an NPZ",
        "empty.npz": "is not an NPZ",
        "one.npy": "is a single .npy array",
        "imagenet30_cls.npz.partial": "is an unfinished build",
        "book.zip": "ZIP archive without arrays",
    }.items():
        with pytest.raises(ReadError, match=says) as caught:
            open_subset(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("nbytes", [1, 100])
def test_a_file_that_is_cut_short_within_its_provenance_is_refused(
    three: Path, nbytes: int
) -> None:
    with open(three, "r+b") as file:
        file.truncate(three.stat().st_size - nbytes)
    with pytest.raises(ReadError, match="cut short within its last bytes"):
        open_subset(three)


def test_a_file_that_is_cut_short_is_refused(three: Path) -> None:
    with open(three, "r+b") as file:
        file.truncate(three.stat().st_size // 2)
    with pytest.raises(ReadError, match="damaged or cut short"):
        open_subset(three)


def test_a_header_that_promises_more_than_is_there_is_refused(tmp_path: Path) -> None:
    whole = npy(np.zeros(1000, np.int32))
    path = npz_with(tmp_path / "short.npz", X_train=whole[:-4])
    with pytest.raises(ReadError, match=r"X_train is int32 \(1000,\) but 4124 bytes long"):
        open_subset(path)


@pytest.mark.parametrize("start", [b"", b"\x93NUMPY\x09\x00", b"\x93NUMPY\x01\x00\x10\x00{'descr'"])
def test_a_member_without_a_npy_header_is_refused(tmp_path: Path, start: bytes) -> None:
    path = npz_with(tmp_path / "odd.npz", X_train=start)
    with pytest.raises(ReadError, match="X_train has an unreadable header") as caught:
        open_subset(path)
    assert "\n" not in str(caught.value)


def test_the_bytes_of_an_unreadable_header_are_shown_and_no_parser_s_words(tmp_path: Path) -> None:
    text = b"{'descr': '<i4', 'fortran_order': False, 'shape': (1,"
    start = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little")
    for member, said in (
        (start + text, "it begins b\"{'descr': '<i4', 'fortra\"..."),
        (start + bytes(len(text)), r"it begins b'\x00\x00"),
        (start[:9], "cut short"),
    ):
        with pytest.raises(ReadError) as caught:
            open_subset(npz_with(tmp_path / "odd.npz", X_train=member))
        assert f"X_train has an unreadable header ({said}" in str(caught.value)
        assert "unknown" not in str(caught.value)


def test_a_damaged_compressed_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "packed.npz"
    np.savez_compressed(path, **arrays())
    data = bytearray(path.read_bytes())
    data[20_000:20_100] = bytes(100)
    path.write_bytes(data)
    with pytest.raises(ReadError, match="X_train can't be decompressed"):
        ImagenetSubset(path)


def test_mutated_files_open_or_are_refused_and_nothing_else(tmp_path: Path) -> None:
    random = np.random.default_rng(20)
    small = {key: array[:1] for key, array in arrays().items()}
    write(tmp_path / "ours.npz", small)
    np.savez_compressed(tmp_path / "packed.npz", **small)
    opened = refused = 0
    for name in ("ours.npz", "packed.npz"):
        whole = (tmp_path / name).read_bytes()
        # The headers are at both ends and between the images; flips there are the ones that bite.
        marks = [i for i in range(len(whole)) if whole[i : i + 2] in (b"PK", b"\x93N")]
        for _ in range(300):
            data = bytearray(whole)
            for _ in range(random.integers(1, 4)):
                place = int(random.choice(marks)) + int(random.integers(0, 140))
                data[min(place, len(data) - 1)] = random.integers(0, 256)
            (tmp_path / "mutant.npz").write_bytes(data)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    opened += len(open_subset(tmp_path / "mutant.npz")) <= 2
                except ReadError as error:
                    refused += "\n" not in str(error)
    assert opened + refused == 600
    assert min(opened, refused) > 50


def test_a_pickle_is_small_and_opens_the_file_again(three: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(three.parent)
    data = pickle.dumps(open_subset(three.name).dataset("train"))
    monkeypatch.chdir("/")
    assert len(data) < 1000
    image, label = pickle.loads(data)[2]
    assert np.array_equal(image, arrays()["X_train"][2])
    assert label == arrays()["y_train"][2]


def test_a_pickle_of_a_file_that_was_replaced_is_refused(three: Path) -> None:
    data = pickle.dumps(open_subset(three))
    other = arrays()
    other["X_train"][0, 0, 0, 0] ^= 1
    three.unlink()
    write(three, other)
    with pytest.raises(ReadError, match="is another file than when it was pickled"):
        pickle.loads(data)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_read_the_same_images(three: Path, method: str) -> None:
    if method not in __import__("multiprocessing").get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    dataset = open_subset(three).dataset("val")
    with ProcessPoolExecutor(2, mp_context=get_context(method)) as pool:
        got = list(pool.map(dataset.__getitem__, range(4)))
    for row, (image, label) in enumerate(got):
        assert np.array_equal(image, arrays()["X_val"][row])
        assert label == arrays()["y_val"][row]


def test_a_dataset_gives_writable_images_and_int_labels(three: Path) -> None:
    dataset = open_subset(three).dataset("train")
    image, label = dataset[0]
    assert type(image) is np.ndarray
    assert image.flags.writeable
    assert type(label) is int
    image[:] = 0
    assert np.array_equal(dataset[0][0], arrays()["X_train"][0])


def test_a_dataset_takes_negative_and_numpy_rows_and_no_others(three: Path) -> None:
    dataset = open_subset(three).dataset("train")
    assert len(dataset) == 7
    assert np.array_equal(dataset[-1][0], arrays()["X_train"][6])
    assert np.array_equal(dataset[np.int64(3)][0], arrays()["X_train"][3])
    for row in (7, -8):
        with pytest.raises(IndexError):
            dataset[row]
    with pytest.raises(TypeError):
        dataset[1.0]  # type: ignore[index]


def test_a_dataset_ends_a_plain_loop_after_its_last_image(three: Path) -> None:
    assert [label for _, label in open_subset(three).dataset("val")] == arrays()["y_val"].tolist()


def test_a_transform_gets_the_image(three: Path) -> None:
    dataset = open_subset(three).dataset("train", transform=lambda image: int(image.sum()))
    assert dataset[4][0] == arrays()["X_train"][4].sum()


def test_the_end_of_a_with_lets_go_of_the_map_and_keeps_arrays_in_use_valid(three: Path) -> None:
    with open_subset(three) as subset:
        dataset = subset.dataset("train")
        view, pixel = subset.X_train[0], int(subset.X_train[0, 0, 0, 0])
    subset.close()  # again does nothing
    assert repr(subset) == "<ImagenetSubset three: closed>"
    assert subset._repr_html_() is None
    assert subset.name == "three"
    for ask in (lambda: subset.X_train, lambda: subset.images("val"), lambda: dataset[0]):
        with pytest.raises(ValueError, match=r"three_cls.npz is closed; open it anew"):
            ask()
    assert view[0, 0, 0] == pixel
    assert len(pickle.loads(pickle.dumps(subset)).X_train) == len(open_subset(three).X_train)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc to look for maps in")
def test_the_map_goes_with_close_or_with_the_last_array(three: Path) -> None:
    def mapped() -> bool:
        return str(three) in Path("/proc/self/maps").read_text()

    subset = open_subset(three)
    assert mapped()
    subset.close()
    assert not mapped()
    with open_subset(three) as subset:
        row = subset.X_val[0]
    assert mapped()
    del row
    assert not mapped()


def test_an_unknown_split_is_an_error(three: Path) -> None:
    with pytest.raises(ValueError, match="no split 'test'; there are train and val"):
        open_subset(three).dataset("test")  # type: ignore[arg-type]


def test_a_build_that_replaces_the_file_leaves_open_maps_alone(three: Path) -> None:
    subset = open_subset(three)
    other = write(three.with_name("new.npz"), arrays(train=2, val=1))
    try:
        os.replace(other, three)
    except PermissionError:
        pytest.skip("this system doesn't replace files that are mapped")
    assert np.array_equal(subset.X_train, arrays()["X_train"])
    assert len(open_subset(three)) == 3


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc to count open files in")
def test_nothing_stays_open_behind(three: Path) -> None:
    def opened() -> list[str]:
        links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
        return [link for link in links if os.path.islink(link) and os.readlink(link) == str(three)]

    subset = open_subset(three)
    assert len(opened()) == 1
    first = subset.X_train[0]
    del subset
    assert first.shape == DEFAULT.shape
    assert len(opened()) == 1
    del first
    gc.collect()
    assert opened() == []


def without_maps(*_args: Any, **_options: Any) -> None:
    raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))


def test_a_file_system_without_any_map_is_read_with_a_warning(
    three: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("mmap.mmap", without_maps)
    with pytest.warns(UserWarning, match="was read into memory.*No such device") as caught:
        subset = open_subset(three)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert subset.in_memory == KEYS
    assert "in memory" in repr(subset)
    for key in KEYS:
        assert not getattr(subset, key).flags.writeable
        assert np.array_equal(getattr(subset, key), arrays()[key])


def test_a_system_that_forbids_maps_is_not_blamed_on_the_file_system(
    three: Path, monkeypatch: Any
) -> None:
    def forbidden(*_args: Any, **_options: Any) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("mmap.mmap", forbidden)
    with pytest.warns(UserWarning, match=r"into memory, .*it isn't known why$") as caught:
        subset = open_subset(three)
    assert "file system" not in str(caught[0].message)
    assert np.array_equal(subset.X_train, arrays()["X_train"])


SHORT_OF_SPACE = """
import re, resource, sys
from pathlib import Path
from imagenet_subset.errors import ReadRefusedError
from imagenet_subset.reading.subset import open_subset
from imagenet_subset.checking.file import verify

verify(sys.argv[1])  # all is imported
used = int(re.search(r"VmSize:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), resource.RLIM_INFINITY))
for read in (open_subset, verify):
    try:
        read(sys.argv[2])
    except ReadRefusedError as error:
        print(error)
assert len(open_subset(sys.argv[1])) == 11
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits address space as Linux does")
def test_a_limit_on_address_space_is_told_and_no_other_cause(three: Path, tmp_path: Path) -> None:
    path = write_large(tmp_path / "large.npz")
    command = [sys.executable, "-W", "error", "-c", SHORT_OF_SPACE, str(three), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    says = (
        f"can't memory-map {path}: Cannot allocate memory; the map takes 903 MB of address space: "
        "raise the limit (`ulimit -v`) if there is one, or let go of other maps and memory, and "
        "try again"
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [says, f"whether {path} is sound is unknown: {says}"]


@pytest.mark.skipif(sys.platform != "linux", reason="makes a sparse file of 8 TB")
def test_a_file_that_can_be_neither_mapped_nor_held_in_memory_is_refused_in_one_line(
    three: Path, monkeypatch: Any
) -> None:
    data = three.read_bytes()
    with open(three, "wb") as file:
        file.truncate(1 << 43)
        file.seek(1 << 43)
        file.write(data)
    monkeypatch.setattr("mmap.mmap", without_maps)
    with pytest.raises(ReadRefusedError) as caught:
        open_subset(three)
    assert str(caught.value) == (
        f"{three} takes 8796.09 GB of memory, more than there is, since its file system refuses "
        "a shared memory map (No such device); a copy on a local disk opens as usual"
    )


def write_large(path: Path, n: int = 6000) -> Path:
    """A sparse file of black images: of 0.9 GB, which take no room on the disk."""
    layout = Layout.of({"train": n}, DEFAULT.shape, encode_comment(PROVENANCE))
    zeros = np.full(n, zlib.crc32(bytes(DEFAULT.nbytes)), np.uint32)
    fd = open_for_update(path, create=True)
    try:
        os.ftruncate(fd, layout.size)
        columns = {key: np.zeros(0, np.int32) for key in ("y_val", "val_id")}
        columns |= {key: np.arange(n, dtype=np.int32) for key in ("y_train", "train_id")}
        finish(fd, layout, {"train": zeros, "val": zeros[:0]}, columns)
    finally:
        os.close(fd)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="takes the kilobytes of Linux")
def test_opening_and_the_first_image_touch_little_of_the_file(tmp_path: Path) -> None:
    path = write_large(tmp_path / "large.npz")
    code = """
import json, resource, sys
from imagenet_subset.reading.subset import open_subset
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
image, label = open_subset(sys.argv[1]).dataset("train")[5999]
print(json.dumps([peak() - before, label]))
"""
    run = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    kilobytes, label = json.loads(run.stdout)
    assert label == 5999
    assert kilobytes < 20_000


@thorough("needs PyTorch, which the test extra doesn't bring")
def test_a_pytorch_dataloader_with_workers_reads_the_right_images(three: Path) -> None:
    torch_data = pytest.importorskip("torch.utils.data", reason="PyTorch isn't installed")
    want = arrays()
    subset = open_subset(three)
    loader = torch_data.DataLoader(
        subset.dataset("train"), batch_size=3, shuffle=True, num_workers=2
    )
    for _ in range(2):
        seen = 0
        for images, labels in loader:
            assert str(images.dtype) == "torch.uint8"
            for image, label in zip(images.numpy(), labels.tolist(), strict=True):
                row = [np.array_equal(image, x) for x in want["X_train"]].index(True)
                assert label == want["y_train"][row]
                seen |= 1 << row
        assert seen == 0b1111111
