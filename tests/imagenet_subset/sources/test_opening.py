"""What a path is opened as: the best of several forms, and what is said of what isn't read."""

from __future__ import annotations

import gzip
import os
import zipfile
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.sources import open_source
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.sources.folder import FolderStore
from imagenet_subset.sources.joined import JoinedStore
from imagenet_subset.sources.tar.store import TarStore
from imagenet_subset.sources.zip.store import ZipStore
from tests.contracts.store import SUBSET, photos, train_entries
from tests.imagenet_subset.sources.test_tar import (
    TRAIN,
    VAL,
    of_split,
    tar_of,
    write_folders,
    write_train_tar,
    write_val_tar,
)

ZIP = "imagenet-object-localization-challenge.zip"


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in photos().items():
            archive.writestr(f"ILSVRC/Data/CLS-LOC/{name}", data)


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as error:
        open_source(path)
    message = str(error.value)
    assert message.isprintable()
    return message


def test_folders_are_better_than_archives_and_it_is_said(tmp_path: Path) -> None:
    write_folders(tmp_path, photos())
    write_train_tar(tmp_path / TRAIN, photos())
    write_zip(tmp_path / ZIP)
    (tmp_path / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(b"")
    (tmp_path / "ILSVRC2012_img_test_v10102019.tar").write_bytes(b"")
    store = open_source(tmp_path)
    assert isinstance(store, FolderStore)
    assert store.notes == (f"{tmp_path}: reads the folders, not {TRAIN}, {ZIP}",)


def test_tars_are_better_than_a_zip(tmp_path: Path) -> None:
    write_train_tar(tmp_path / TRAIN, photos())
    write_val_tar(tmp_path / VAL, photos())
    write_zip(tmp_path / ZIP)
    store = open_source(tmp_path)
    assert isinstance(store, TarStore)
    assert store.notes == (f"{tmp_path}: reads the tars, not {ZIP}",)


def test_each_split_is_read_from_the_best_that_has_it(tmp_path: Path) -> None:
    write_folders(tmp_path, of_split(photos(), "val"))
    write_train_tar(tmp_path / TRAIN, photos())
    write_val_tar(tmp_path / VAL, photos())
    store = open_source(tmp_path)
    assert isinstance(store, JoinedStore)
    assert store.notes == (f"{tmp_path}: reads train from the tars and val from the folders",)
    (photo, *_) = store.photos("val", SUBSET.wnids)
    assert store.describe(photo.location).startswith(f"{tmp_path}/val/")


def test_what_is_read_is_said_where_photos_are_missing(tmp_path: Path) -> None:
    train = of_split(photos(), "train")
    write_train_tar(tmp_path / TRAIN, train)
    lost = min(train)
    write_folders(tmp_path, {name: data for name, data in photos().items() if name != lost})
    path = tmp_path / "train_cls.txt"
    path.write_text("".join(f"{name} {number}\n" for name, number in train_entries()))
    with pytest.raises(SourceError, match=rf"missing in .*reads the folders, not {TRAIN}"):
        list_images(SUBSET, ["train", "val"], open_source(tmp_path), path)


@pytest.mark.parametrize("given", [TRAIN, VAL])
def test_a_path_to_one_of_ilsvrcs_tars_takes_the_other_too(tmp_path: Path, given: str) -> None:
    write_train_tar(tmp_path / TRAIN, photos())
    write_val_tar(tmp_path / VAL, photos())
    store = open_source(tmp_path / given)
    assert isinstance(store, TarStore)
    assert [len(list(store.photos(s, SUBSET.wnids))) for s in ("train", "val")] == [15, 150]


def test_beside_a_tar_of_one_split_the_other_may_be_in_folders(tmp_path: Path) -> None:
    write_folders(tmp_path, of_split(photos(), "train"))
    write_val_tar(tmp_path / VAL, photos())
    store = open_source(tmp_path / VAL)
    assert isinstance(store, JoinedStore)
    assert [len(list(store.photos(s, SUBSET.wnids))) for s in ("train", "val")] == [15, 150]


def test_a_tar_of_one_split_alone_is_enough(tmp_path: Path) -> None:
    write_val_tar(tmp_path / VAL, photos())
    store = open_source(tmp_path / VAL)
    assert len(list_images(SUBSET, ["val"], store).records["val"]) == 150
    with pytest.raises(SourceError, match=r"no train photo of any class.*--splits val"):
        list_images(SUBSET, ["train", "val"], store)


DOGS = [f"n{2085620 + 120 * k:08d}.tar" for k in range(120)]


@pytest.mark.parametrize("name", ["ILSVRC2012_img_train_t3.tar", "train.tar"])
def test_the_tar_of_task_3_is_told_apart(tmp_path: Path, name: str) -> None:
    inner = tar_of([("n02085620_1.JPEG", b"x")])
    (tmp_path / name).write_bytes(tar_of([(dog, inner) for dog in DOGS]))
    for path in (tmp_path, tmp_path / name):
        message = refusal(path)
        assert f"{name} is of ILSVRC's task 3" in message
        assert "the train photos are in ILSVRC2012_img_train.tar" in message


def test_the_tar_of_task_3_beside_the_right_ones_is_left_alone(tmp_path: Path) -> None:
    write_train_tar(tmp_path / TRAIN, photos())
    write_val_tar(tmp_path / VAL, photos())
    (tmp_path / "ILSVRC2012_img_train_t3.tar").write_bytes(tar_of([]))
    (tmp_path / "ILSVRC2012_img_test.tar").write_bytes(
        tar_of([("ILSVRC2012_test_00000001.JPEG", b"")])
    )
    store = open_source(tmp_path)
    assert isinstance(store, TarStore)
    assert sorted(store.files) == [TRAIN, VAL]
    assert store.notes == ()


def test_compressed_tars_are_told_with_the_way_out(tmp_path: Path) -> None:
    data = gzip.compress(tar_of([("n01440764_1_n01440764.JPEG", b"x")]))
    (tmp_path / "train_images_0.tar.gz").write_bytes(data)
    message = refusal(tmp_path / "train_images_0.tar.gz")
    assert "is compressed by gzip" in message
    assert "unpack it by gunzip -k" in message
    message = refusal(tmp_path)
    assert "has train_images_0.tar.gz, which are compressed" in message
    assert "unpack them by gunzip" in message


@pytest.mark.parametrize("head", [b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"])
def test_other_compression_is_told_too(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "x").write_bytes(head + bytes(600))
    assert "is compressed by " in refusal(tmp_path / "x")


def test_what_is_nothing_is_told(tmp_path: Path) -> None:
    assert "nowhere doesn't exist; --data_dir is" in refusal(tmp_path / "nowhere")
    assert "it is empty; --data_dir is" in refusal(tmp_path)
    (tmp_path / "x.tar").write_text("a text")
    assert "x.tar is a file, and no archive of a kind that is read" in refusal(tmp_path / "x.tar")
    (tmp_path / "y.tar").write_bytes(tar_of([("a.txt", b"x")]))
    assert "y.tar is a tar without photos" in refusal(tmp_path / "y.tar")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "pipe is a pipe or a device" in refusal(tmp_path / "pipe")


def test_an_archive_that_can_not_be_used_costs_no_other(tmp_path: Path) -> None:
    write_folders(tmp_path, of_split(photos(), "train"))
    (tmp_path / "x.tar").write_bytes(tar_of([("n01440764_1.JPEG", b"x" * 999)])[:600])
    store = open_source(tmp_path)
    assert len(list(store.photos("train", SUBSET.wnids))) == 15
    (note, *_) = store.notes
    assert "x.tar: it is cut off" in note
    assert note.endswith("it is left out")


def test_two_zips_of_a_split_each_are_read_together(tmp_path: Path) -> None:
    for split in ("train", "val"):
        with zipfile.ZipFile(tmp_path / f"{split}.zip", "w") as archive:
            for name, data in of_split(photos(), split).items():
                archive.writestr(name, data)
    for place in (tmp_path, tmp_path / "train.zip", tmp_path / "val.zip"):
        store = open_source(place)
        assert [len(list(store.photos(s, SUBSET.wnids))) for s in ("train", "val")] == [15, 150]
        assert not [note for note in store.notes if "not " in note]


def test_a_repository_in_the_cache_of_hugging_faces_hub_is_opened(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots/abc"
    for folder in (blobs, snapshot, tmp_path / "refs", tmp_path / "snapshots/old"):
        folder.mkdir(parents=True)
    (tmp_path / "refs/main").write_text("abc")
    write_train_tar(blobs / "1", photos())
    write_val_tar(blobs / "2", photos())
    (snapshot / "train.tar").symlink_to("../../blobs/1")
    (snapshot / "val.tar").symlink_to("../../blobs/2")
    store = open_source(tmp_path)
    assert [len(list(store.photos(s, SUBSET.wnids))) for s in ("train", "val")] == [15, 150]


def test_a_zip_beside_nothing_else_is_taken(tmp_path: Path) -> None:
    write_zip(tmp_path / "any.zip")
    assert isinstance(open_source(tmp_path), ZipStore)
