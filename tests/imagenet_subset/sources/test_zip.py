"""The zip store: Kaggle's zip and every other way to zip ILSVRC, sound, damaged or hostile."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import random
import shutil
import stat
import struct
import subprocess
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.numbering import val_name
from imagenet_subset.sources import names
from imagenet_subset.sources.base import LARGEST_PHOTO, Store
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.sources.zip import member
from imagenet_subset.sources.zip.store import ZipStore, open_zip
from tests.contracts.store import (
    ACORN,
    SUBSET,
    VOLCANO,
    StoreContract,
    photos,
    train_entries,
    val_numbers,
)

KAGGLE = "imagenet-object-localization-challenge.zip"
BELOW = "ILSVRC/Data/CLS-LOC/"
TRAIN_LIST = "ILSVRC/ImageSets/CLS-LOC/train_cls.txt"
LABELS = "LOC_val_solution.csv"
ONE = f"{BELOW}train/{ACORN}/{ACORN}_21.JPEG"
OTHER = f"{BELOW}train/{ACORN}/{ACORN}_3.JPEG"


def write_zip(
    path: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_STORED, comment: bytes = b""
) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.comment = comment
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def opened(path: Path) -> ZipStore:
    store = open_zip(path)
    assert isinstance(store, ZipStore)
    return store


def found(store: ZipStore) -> dict[str, bytes | OSError]:
    """What each photo's location reads as, by the name of its file."""
    reader = store.open()
    outcomes: dict[str, bytes | OSError] = {}
    for one in store.look(SUBSET.wnids):
        name = store.name(one.span).rpartition("/")[2]
        try:
            outcomes[name] = reader.read(one.span)
        except OSError as error:
            outcomes[name] = error
    reader.close()
    return outcomes


def refusal(path: Path) -> str:
    """Why a zip is refused, when it is opened or looked through."""
    with pytest.raises(SourceError) as error:
        list(opened(path).look(SUBSET.wnids))
    message = str(error.value)
    assert "\n" not in message
    assert path.name in message
    return message


def patched(path: Path, at: int, data: bytes) -> Path:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)
    return path


def record_of(path: Path, name: str) -> int:
    """Where the central record of a member is in a zip."""
    data = path.read_bytes()
    return data.rindex(name.encode()) - 46


# The contract


class TestStoredZip(StoreContract):
    method = zipfile.ZIP_STORED

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        files = {BELOW + name: data for name, data in photos.items()}
        return opened(write_zip(folder / KAGGLE, files, self.method))

    def lose(self, folder: Path, name: str) -> None:
        with zipfile.ZipFile(folder / KAGGLE) as archive:
            info = archive.getinfo(BELOW + name)
        data_at = info.header_offset + 30 + len(info.filename)
        with open(folder / KAGGLE, "r+b") as file:
            file.seek(data_at + info.compress_size // 2)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 0x55]))


class TestDeflatedZip(TestStoredZip):
    method = zipfile.ZIP_DEFLATED


@pytest.mark.skipif(not shutil.which("zip"), reason="needs the program zip")
class TestZipOfInfoZip(StoreContract):
    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        for name, data in photos.items():
            path = folder / "tree" / BELOW / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        command = ["zip", "-q", "-r", str(folder / "photos.zip"), "ILSVRC"]
        subprocess.run(command, cwd=folder / "tree", check=True)
        return opened(folder)

    def lose(self, folder: Path, name: str) -> None:
        with zipfile.ZipFile(folder / "photos.zip") as archive:
            info = archive.getinfo(BELOW + name)
        patched(folder / "photos.zip", info.header_offset, b"lost")


@pytest.mark.skipif(not shutil.which("7z"), reason="needs the program 7z")
class TestZipOfSevenZip(TestZipOfInfoZip):
    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        for name, data in photos.items():
            path = folder / "tree" / BELOW / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        command = ["7z", "a", "-tzip", "-bso0", "-bsp0", str(folder / "photos.zip"), "ILSVRC"]
        subprocess.run(command, cwd=folder / "tree", check=True)
        return opened(folder)


class TestZip64(TestStoredZip):
    """Every record has a ZIP64 field, as each beyond 4 GiB has."""

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        files = {BELOW + name: data for name, data in photos.items()}
        return opened(write_zip64(folder / KAGGLE, files))


def write_zip64(path: Path, files: Mapping[str, bytes], gap: int = 0) -> Path:
    """Zip whose directory has sizes and offsets as ZIP64 has them; members after a gap."""
    directory = b""
    with open(path, "wb") as file:
        file.seek(gap)
        for name, data in files.items():
            text, crc = name.encode(), zlib.crc32(data)
            at = file.tell()
            local = struct.pack("<HHQQ", 1, 16, len(data), len(data))
            full = 0xFFFFFFFF
            head = struct.pack(
                "<4s5H3I2H", b"PK\3\4", 45, 0, 0, 0, 0, crc, full, full, len(text), 20
            )
            file.write(head + text + local + data)
            # What other fields are in front of it is to be skipped.
            extra = struct.pack("<HHHHHQQQ", 0x5455, 2, 7, 1, 24, len(data), len(data), at)
            lengths = len(text), len(extra), 0, 0, 0, 0o644 << 16
            directory += struct.pack(
                "<4s6H3I5H2I", b"PK\1\2", 0x32D, 45, 0, 0, 0, 0, crc, full, full, *lengths, full
            )
            directory += text + extra
        start, count = file.tell(), len(files)
        file.write(directory)
        end = file.tell()
        what = count, count, len(directory), start
        file.write(struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, *what))
        file.write(struct.pack("<4sIQI", b"PK\6\7", 0, end, 1))
        file.write(struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, *[0xFFFF] * 2, *[0xFFFFFFFF] * 2, 0))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == list(files), "the test writes what zipfile reads"
    return path


# Where the zip is


def test_a_zip_is_found_by_its_content_and_in_a_folder_by_its_name(tmp_path: Path) -> None:
    named = write_zip(tmp_path / "photos.data", {ONE: b"one"})
    assert opened(named).root == str(named)
    assert open_zip(tmp_path) is None, "by its name it is no zip"
    assert open_zip(tmp_path / "none.zip") is None
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "empty.zip").touch()
    for name in ("text.zip", "empty.zip"):
        assert open_zip(tmp_path / name) is None
    write_zip(tmp_path / "a.zip", {"notes.txt": b"text"})
    assert open_zip(tmp_path) is None
    other = write_zip(tmp_path / "b.ZIP", {ONE: b"one"})
    assert opened(tmp_path).root == str(other)
    write_zip(tmp_path / "c.zip", {ONE: b"one"})
    with pytest.raises(SourceError, match=r"has photos in 2 zips \(b.ZIP, c.zip\); give one"):
        open_zip(tmp_path)
    kaggle = write_zip(tmp_path / KAGGLE, {OTHER: b"other"})
    assert opened(tmp_path).root == str(kaggle)
    assert opened(tmp_path).path(0) == str(kaggle)


def test_the_splits_are_those_of_which_there_are_photos(tmp_path: Path) -> None:
    val = f"{BELOW}val/{val_name(1)}.JPEG"
    for files, splits in (
        ([ONE], {"train"}),
        ([val], {"val"}),
        ([ONE, val], {"train", "val"}),
        ([val.replace(".JPEG", f"_{ACORN}.jpg"), val.replace("val_0", "test_0")], {"val"}),
        ([ONE, val.replace(".JPEG", ".xml")], {"train"}),
    ):
        store = opened(write_zip(tmp_path / "a.zip", dict.fromkeys(files, b"x")))
        assert store.splits == splits


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_train_list_and_the_val_labels_are_read_in_the_zip(tmp_path: Path, method: int) -> None:
    files = {BELOW + name: data for name, data in photos().items()}
    numbers = "".join(f"{name} {number}\n" for name, number in train_entries())
    labels = "".join(f"{val_name(n)},{wnid} 1 2 3 4 \n" for n, wnid in val_numbers().items())
    files[TRAIN_LIST] = numbers.encode()
    files[LABELS] = b"ImageId,PredictionString\n" + labels.encode()
    store = opened(write_zip(tmp_path / KAGGLE, files, method))
    listing = list_images(SUBSET, ["train", "val"], store)
    assert [len(listing.records[split]) for split in ("train", "val")] == [15, 150]
    known = {photo.stem: photo.wnid for photo in store.photos("val", SUBSET.wnids)}
    assert known == {val_name(n): wnid for n, wnid in val_numbers().items()}


def test_a_long_train_list_is_read_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member, "_PIECE", 37)
    lines = [f"{name} {number}\n".encode() for name, number in train_entries()]
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = write_zip(tmp_path / "a.zip", {ONE: b"x", TRAIN_LIST: b"".join(lines)}, method)
        train_list = opened(path).train_list(SUBSET.wnids)
        assert train_list is not None
        assert train_list.name == f"{path}/{TRAIN_LIST}"
        read = {f"{w}/{n}": k for w in SUBSET.wnids for n, k in train_list.numbers(w).items()}
        assert read == dict(train_entries())


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_list_is_an_error_of_one_line(tmp_path: Path, method: int) -> None:
    text = "".join(f"{name} {number}\n" for name, number in train_entries()).encode()
    path = write_zip(tmp_path / "a.zip", {ONE: b"x", TRAIN_LIST: text}, method)
    at = path.read_bytes().index(TRAIN_LIST.encode()) + len(TRAIN_LIST)
    patched(path, at + 60, b"9")
    with pytest.raises(SourceError, match=r"train_cls.txt: it is damaged.*--train_list") as error:
        opened(path).train_list(SUBSET.wnids)
    assert "\n" not in str(error.value)


def test_a_wrong_line_of_the_val_labels_is_named(tmp_path: Path) -> None:
    good = f"ImageId,PredictionString\r\n{val_name(1)},{ACORN} 1 2 3 4\r\n"
    for wrong in (
        "nonsense",
        f"{val_name(2)},cat",
        f"{val_name(2)}",
        f"x,{ACORN}",
        f"{val_name(50001)},{ACORN}",
    ):
        path = write_zip(tmp_path / "a.zip", {ONE: b"x", LABELS: (good + wrong).encode()})
        message = refusal(path)
        assert f"{LABELS}:3: expected a line like" in message
        assert wrong in message


def test_a_val_photo_that_the_list_puts_into_a_wrong_class_is_an_error(tmp_path: Path) -> None:
    number = next(n for n, wnid in val_numbers().items() if wnid == ACORN)
    labels = f"{val_name(number)},{VOLCANO} 1 2 3 4\n".encode()
    files = {BELOW + name: data for name, data in photos().items()}
    store = opened(write_zip(tmp_path / "a.zip", {**files, LABELS: labels}))
    says = rf"{val_name(number)}.JPEG is in the wrong class, {VOLCANO}: .* {ACORN} \(acorn\).*list"
    with pytest.raises(SourceError, match=says):
        list_images(SUBSET, ["val"], store)


def test_a_photo_that_is_twice_in_the_zip_is_an_error(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for _ in range(2):
                archive.writestr(ONE, b"one")
    with pytest.raises(SourceError, match="is there twice; make this archive anew"):
        list_images(SUBSET, ["train"], opened(tmp_path), on_missing="ignore")


# Zips without photos


def test_kaggles_older_zip_is_refused_with_the_way_out(tmp_path: Path) -> None:
    inner = "imagenet_object_localization_patched2019.tar.gz"
    path = write_zip(tmp_path / KAGGLE, {"LOC_synset_mapping.txt": b"", inner: b"x", LABELS: b""})
    with pytest.raises(SourceError) as error:
        open_zip(tmp_path)
    command = f"unzip -p {path} {inner} | gunzip > imagenet.tar"
    assert command in str(error.value)
    assert str(error.value).endswith("--data_dir imagenet.tar")
    write_zip(path, {"a b.tar": b"x"})
    assert f"unzip -p {path} 'a b.tar' > imagenet.tar" in refusal(path)
    write_zip(path, {"b.zip": b"x"})
    assert f"unzip -p {path} b.zip > imagenet.zip" in refusal(path)


def test_a_zip_without_photos_says_what_it_has(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"cat.JPEG": b"", "dog.JPEG": b"", "folder/": b""})
    assert "has no photos of ILSVRC but 2 files (cat.JPEG, dog.JPEG)" in refusal(path)
    assert "has no files" in refusal(write_zip(path, {}))


def test_names_where_no_record_is_end_the_search(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    one = zipfile.ZipInfo("a")
    for times in (3000, 9):
        one.comment = f"{ACORN}_1.JPEG,".encode() * times
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(one, b"")
            archive.writestr(f"{ACORN}_2.JPEG.txt", b"")
            archive.writestr(ONE, b"one")
        if times > 9:
            assert "has a directory that is damaged" in refusal(path)
        else:
            assert found(opened(path)) == {Path(ONE).name: b"one"}


# Odd, but sound


@pytest.mark.parametrize("files", [{ONE: b"one"}, {ONE: b"one", OTHER: b"other" * 999}])
def test_bytes_in_front_and_a_comment_do_not_matter(
    tmp_path: Path, files: Mapping[str, bytes]
) -> None:
    expected = {Path(name).name: data for name, data in files.items()}
    comment = b"PK\5\6" + bytes(18) + b" and PK\5\6 at the end"
    plain = write_zip(tmp_path / "a.zip", files, comment=comment)
    assert found(opened(plain)) == expected
    sfx = tmp_path / "sfx.zip"
    sfx.write_bytes(b"#!/bin/sh\n" * 9 + plain.read_bytes())
    assert found(opened(sfx)) == expected
    long = write_zip64(tmp_path / "b.zip", files)
    sfx.write_bytes(b"#!/bin/sh\n" * 9 + long.read_bytes())
    assert found(opened(sfx)) == expected
    trailing = tmp_path / "trailing.zip"
    trailing.write_bytes(long.read_bytes() + b"more")
    assert found(opened(trailing)) == expected


def test_a_fake_end_in_the_comment_is_not_taken(tmp_path: Path) -> None:
    fake = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 46, 7, 0)
    path = write_zip(tmp_path / "a.zip", {ONE: b"one"}, comment=b"note" + fake)
    assert found(opened(path)) == {Path(ONE).name: b"one"}


def test_members_beyond_4_gib_are_read(tmp_path: Path) -> None:
    path = write_zip64(tmp_path / "a.zip", {ONE: b"one", OTHER: b"other"}, gap=5 << 30)
    assert path.stat().st_blocks * 512 < 1 << 20, "the gap takes no room"
    assert found(opened(path)) == {Path(ONE).name: b"one", Path(OTHER).name: b"other"}


def test_a_member_with_a_data_descriptor_is_read(tmp_path: Path) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            self.data += bytes(data)
            return len(data)

    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", method) as archive:
            archive.writestr(ONE, b"one" * 99)
        (tmp_path / "a.zip").write_bytes(pipe.data)
        assert pipe.data[6] & 8, "the sizes come after the data"
        assert found(opened(tmp_path)) == {Path(ONE).name: b"one" * 99}


def test_folders_and_foreign_names_are_skipped(tmp_path: Path) -> None:
    folder = zipfile.ZipInfo(OTHER)
    folder.create_system, folder.external_attr = 3, (stat.S_IFDIR | 0o755) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(folder, b"")
        archive.writestr(OTHER + "/", b"")
        archive.writestr(ONE, b"one")
        archive.writestr(f"\udcff\xe9/{VOLCANO}_7.JPEG".encode("utf-8", "replace").decode(), b"7")
        archive.writestr(f"{BELOW}train/{ACORN}/._{ACORN}_21.JPEG", b"macOS's")
        archive.writestr(f"{BELOW}train/{ACORN}/{ACORN}_21.xml", b"xml")
    store = opened(tmp_path)
    assert found(store) == {Path(ONE).name: b"one", f"{VOLCANO}_7.JPEG": b"7"}
    path = tmp_path / "a.zip"
    path.write_bytes(path.read_bytes().replace("\xe9/".encode(), b"\xff\xfe/"))
    assert found(opened(path))[f"{VOLCANO}_7.JPEG"] == b"7", "whatever the folder's name is"


# Members that can't be read: the others can


def one_is_damaged(path: Path, code: int = errno.EBADMSG) -> None:
    outcomes = found(opened(path))
    error = outcomes.pop(Path(ONE).name)
    assert isinstance(error, OSError)
    assert error.errno == code
    assert "\n" not in str(error)
    assert outcomes == {Path(OTHER).name: b"other" * 50}


@pytest.fixture(params=[zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    files = {OTHER: b"other" * 50, ONE: b"one" * 50}
    return write_zip(tmp_path / "a.zip", files, request.param)


@pytest.mark.parametrize(
    ("at", "data"),
    [
        (16, b"0000"),  # CRC-32
        (20, struct.pack("<I", 5)),  # packed size
        (20, struct.pack("<I", 1 << 29)),
        (24, struct.pack("<I", 7)),  # size
        (24, struct.pack("<I", 1 << 29)),
        (42, struct.pack("<I", 1)),  # offset
        (42, struct.pack("<I", 0xFFFFFFFE)),
    ],
)
def test_a_record_that_lies_costs_its_photo(two: Path, at: int, data: bytes) -> None:
    path = patched(two, record_of(two, ONE) + at, data)
    tracemalloc.start()
    one_is_damaged(path) if data != struct.pack("<I", 1) else refusal(path)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("at", "data"), [(0, b"pk"), (6, b"\1"), (8, b"\14"), (32, b"?"), (26, b"\0")]
)
def test_a_local_header_that_disagrees_costs_its_photo(two: Path, at: int, data: bytes) -> None:
    with zipfile.ZipFile(two) as archive:
        start = archive.getinfo(ONE).header_offset
    one_is_damaged(patched(two, start + at, data))


def test_a_photo_that_is_too_large_for_one_is_not_read(two: Path) -> None:
    size = struct.pack("<I", LARGEST_PHOTO + 1)
    one_is_damaged(patched(two, record_of(two, ONE) + 24, size), errno.EFBIG)


def test_a_bomb_is_not_inflated_beyond_its_size(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_zip(path, {OTHER: b"other" * 50, ONE: bytes(200_000_000)}, zipfile.ZIP_DEFLATED)
    patched(path, record_of(path, ONE) + 24, struct.pack("<I", 1000))
    tracemalloc.start()
    one_is_damaged(path)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_a_bomb_in_the_place_of_the_train_list_takes_no_memory(tmp_path: Path) -> None:
    files = {ONE: b"x", TRAIN_LIST: bytes(200_000_000)}
    path = write_zip(tmp_path / "a.zip", files, zipfile.ZIP_DEFLATED)
    tracemalloc.start()
    with pytest.raises(SourceError, match="it isn't a text"):
        opened(path).train_list(SUBSET.wnids)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


def test_a_zip_that_shrank_after_it_was_listed_ends_in_errors_of_its_photos(two: Path) -> None:
    store = opened(two)
    spans = [one.span for one in store.look(SUBSET.wnids)]
    reader = store.open()
    os.truncate(two, 100)
    for span in spans:
        with pytest.raises(OSError, match="could be read"):
            reader.read(span)
        assert store.describe(span).endswith(f"byte {span.offset}")
    reader.close()


# Zips that are refused


def test_a_zip_that_was_cut_off_anywhere_is_refused_in_one_line(two: Path) -> None:
    data = two.read_bytes()
    for size in range(len(data)):
        two.write_bytes(data[:size])
        if size < 4:
            assert open_zip(two) is None
        else:
            assert "get it again" in refusal(two)


@pytest.mark.parametrize(
    ("at", "data"),
    [
        (-12, b"\0\0\0\0"),  # entries
        (-14, struct.pack("<HH", 3, 3)),
        (-14, struct.pack("<HH", 33920, 33920)),  # of two million the lower 16 bits
        (-10, struct.pack("<I", 0)),
        (-10, struct.pack("<I", 1)),  # size of the directory
        (-10, struct.pack("<I", 0xFFFFFFF0)),
        (-10, struct.pack("<II", 50, 1)),
        (-10, b"\xff" * 8),
        (-18, b"\1"),  # disk
        (-16, b"\1"),
    ],
)
def test_an_end_record_that_lies_is_refused(two: Path, at: int, data: bytes) -> None:
    if at == -12:
        at, data = -14, b"\0\0\0\0"
    path = patched(two, two.stat().st_size + at, data)
    refusal(path)


def test_a_zip64_end_that_lies_is_refused(tmp_path: Path) -> None:
    path = write_zip64(tmp_path / "a.zip", {ONE: b"one"})
    end = path.stat().st_size
    whole = path.read_bytes()
    for at, data in (
        (end - 42 - 56 + 24, struct.pack("<QQ", 2_000_000, 2_000_000)),
        (end - 42 - 56 + 40, struct.pack("<Q", 1 << 62)),
        (end - 42 - 56 + 40, struct.pack("<Q", (1 << 64) - 1)),
        (end - 42 - 56, b"PK67"),
        (end - 42 - 56 + 16, b"\1"),
        (end - 42, b"XX"),
        (end - 26, b"\2"),
    ):
        path.write_bytes(whole)
        message = refusal(patched(path, at, data))
        assert ("join" in message) == (at in (end - 26, end - 42 - 56 + 16))


def info(name: str, mode: int = 0o644) -> zipfile.ZipInfo:
    one = zipfile.ZipInfo(name)
    one.create_system, one.external_attr = 3, mode << 16
    return one


@pytest.mark.parametrize(
    "name",
    [f"/train/{ACORN}_21.JPEG", f"a/../../{ACORN}_21.JPEG", f"../{ACORN}_21.JPEG"],
)
def test_photos_outside_of_the_zip_are_refused(tmp_path: Path, name: str) -> None:
    assert "outside of the zip" in refusal(write_zip(tmp_path / "a.zip", {name: b"x", ONE: b"x"}))


def test_a_name_with_a_zero_byte_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {ONE: b"one"})
    path.write_bytes(path.read_bytes().replace(b"CLS-LOC", b"CLS\0LOC"))
    assert r"CLS\x00LOC" in refusal(path)


def test_links_encrypted_photos_and_other_methods_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(info(ONE, stat.S_IFLNK | 0o777), b"/etc/passwd")
    assert "is a symbolic link" in refusal(path)
    patched(write_zip(path, {ONE: b"x"}), record_of(path, ONE) + 8, b"\1")
    assert "is encrypted" in refusal(path)
    for method, name in ((zipfile.ZIP_BZIP2, "bzip2"), (zipfile.ZIP_LZMA, "LZMA")):
        assert f"compressed by {name}" in refusal(write_zip(path, {ONE: b"x"}, method))
    patched(write_zip(path, {ONE: b"x"}), record_of(path, ONE) + 10, b"\x63")
    assert "method 99" in refusal(path)
    patched(write_zip(path, {ONE: b"x"}), record_of(path, ONE) + 34, b"\1")
    assert "split zip" in refusal(path)
    patched(write_zip(path, {ONE: b"x"}), record_of(path, ONE) + 42, b"\xff" * 4)
    assert "whose record in its directory is damaged" in refusal(path)


def test_photos_that_share_bytes_are_refused(two: Path) -> None:
    with zipfile.ZipFile(two) as archive:
        start = archive.getinfo(OTHER).header_offset
    path = patched(two, record_of(two, ONE) + 42, struct.pack("<I", start))
    assert "share bytes" in refusal(path)


# Property tests

_FOLDERS = ("", "train/", f"train/{ACORN}/", f"{BELOW}val/", f"x/{VOLCANO}/", f"{ACORN}", "é/")
_BASES = (
    *(f"{ACORN}_21", f"{VOLCANO}_3", f"{ACORN}_21_{ACORN}", "n99999999_1"),
    *(val_name(7), f"{val_name(8)}_{VOLCANO}", "ILSVRC2012_test_00000001"),
    *(ACORN, f"x{ACORN}_1", f"{ACORN}_", f"{ACORN}_1 "),
)
_PATHS = st.builds(
    lambda *parts: "".join(parts),
    st.sampled_from(_FOLDERS),
    st.sampled_from(_BASES),
    st.sampled_from((".JPEG", ".jpg", ".jpeg", ".Jpg", ".png", "", ".JPEG/")),
)


@settings(max_examples=60, deadline=None)
@given(
    files=st.dictionaries(_PATHS, st.tuples(st.binary(max_size=300), st.booleans()), max_size=12),
    comment=st.binary(max_size=60).filter(lambda text: b"PK" not in text),  # zipfile's limit
    front=st.binary(max_size=30),
)
def test_random_zips_read_as_zipfile_and_parse_say(tmp_path_factory, files, comment, front) -> None:
    path = tmp_path_factory.mktemp("zip") / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.comment = comment
        for name, (data, is_deflated) in files.items():
            archive.writestr(name, data, zipfile.ZIP_DEFLATED if is_deflated else 0)
    path.write_bytes(front + path.read_bytes())
    expected = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            parsed = names.parse(name)
            if parsed and {parsed.stem[:9], parsed.wnid} & {ACORN, VOLCANO, val_name(1)[:9]}:
                expected[name] = (parsed, archive.read(name))
    if not any(map(names.parse, files)):
        refusal(path)
        return
    store = opened(path)
    assert store.splits == {p.split for p in map(names.parse, files) if p}
    with_names = {}
    reader = store.open()
    for one in store.look([ACORN, VOLCANO]):
        text = path.read_bytes()[one.span.offset + 46 :][: one.span.nbytes - 46].decode()
        with_names[text] = ((one.split, one.stem, one.wnid), reader.read(one.span))
    reader.close()
    assert with_names == expected


def test_random_damage_never_ends_in_a_traceback(tmp_path: Path) -> None:
    files = {ONE: b"one" * 30, OTHER: b"other" * 30, TRAIN_LIST: b"x", LABELS: b""}
    path = write_zip(tmp_path / "a.zip", files, zipfile.ZIP_DEFLATED)
    wholes = [path.read_bytes(), write_zip64(path, files).read_bytes()]
    rng = random.Random(7)
    for turn in range(600):
        data = bytearray(wholes[turn % 2])
        for _ in range(rng.choice((1, 1, 2, 8))):
            data[rng.randrange(len(data))] = rng.choice((0, 1, 255, rng.randrange(256)))
        path.write_bytes(data)
        with contextlib.suppress(SourceError):
            if isinstance(store := open_zip(path), ZipStore):
                found(store)
                store.train_list(SUBSET.wnids)
