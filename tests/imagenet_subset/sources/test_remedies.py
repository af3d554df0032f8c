"""What a message advises about photos that aren't there, whatever has the others."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.sources import open_source
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.sources.known_numbers import known_numbers
from tests.contracts.store import ACORN, SUBSET, photos, train_entries
from tests.harness.files import put
from tests.harness.tars import tar_of

VAL_TAR = "ILSVRC2012_img_val.tar"
TRAIN = {name: data for name, data in photos().items() if name.startswith("train/")}
VAL = {name: data for name, data in photos().items() if name.startswith("val/")}


def put_tars(folder: Path, train: dict[str, bytes] = TRAIN, val: dict[str, bytes] = VAL) -> Path:
    """Tars of each split; the one of train has a folder for each class."""
    put(folder / "train.tar", tar_of(train))
    put(folder / "val.tar", tar_of({name.removeprefix("val/"): data for name, data in val.items()}))
    return folder


def put_list(folder: Path) -> Path:
    lines = "".join(f"{name} {number}\n" for name, number in train_entries())
    return put(folder / "list.txt", lines.encode())


def refusal(folder: Path, *splits: Split, train_list: Path | None = None) -> str:
    """Why the images of a folder can't be listed."""
    with pytest.raises(SourceError) as error:
        list_images(SUBSET, splits or SPLITS, open_source(folder), train_list)
    assert str(error.value).isprintable()
    return str(error.value)


def without_first(photos: dict[str, bytes]) -> dict[str, bytes]:
    return dict(list(photos.items())[1:])


def test_nobody_is_told_to_put_photos_into_an_archive(tmp_path: Path) -> None:
    numbers = put_list(tmp_path)
    message = refusal(put_tars(tmp_path / "a", without_first(TRAIN)), train_list=numbers)
    assert message.endswith(
        "; get the files that have them, or build without them by --missing skip"
    )
    others = {name: data for name, data in TRAIN.items() if ACORN not in name}
    message = refusal(put_tars(tmp_path / "b", others), train_list=numbers)
    assert f"; get the files that have them, or take {ACORN} out" in message
    put(tmp_path / "c" / VAL_TAR, tar_of({name[4:]: data for name, data in VAL.items()}))
    with pytest.raises(SourceError, match=r"val\.tar has none; get the files that have them$"):
        known_numbers(open_source(tmp_path / "c"))


def test_where_a_split_is_in_folders_and_one_in_a_tar_either_may_be_the_way(tmp_path: Path) -> None:
    for name, data in without_first(TRAIN).items():
        put(tmp_path / name, data)
    put(tmp_path / VAL_TAR, tar_of({name[4:]: data for name, data in VAL.items()}))
    assert refusal(tmp_path, train_list=put_list(tmp_path)).endswith(
        "; put them there or get the files that have them, or build without them by --missing skip"
    )


def test_a_list_that_is_in_an_archive_that_is_not_read_may_be_found(tmp_path: Path) -> None:
    put_tars(tmp_path)
    with zipfile.ZipFile(tmp_path / "kaggle.zip", "w") as archive:
        archive.writestr("ILSVRC/ImageSets/CLS-LOC/train_cls.txt", "")
    message = refusal(tmp_path)
    assert "can't be numbered without train_cls.txt (" in message
    says = (
        f"; reads the tars in {tmp_path}, not kaggle.zip; to read another, give its path; give it"
    )
    assert says in message


def test_a_list_that_is_in_an_archive_can_not_be_moved_away(tmp_path: Path) -> None:
    lines = "".join(f"{name} {number}\n" for name, number in train_entries() if ACORN not in name)
    tree = {"ImageSets/CLS-LOC/train_cls.txt": lines.encode(), **TRAIN}
    put(tmp_path / "tree.tar", tar_of({f"ILSVRC/{name}": data for name, data in tree.items()}))
    message = refusal(tmp_path, "train")
    assert "tree.tar/train_cls.txt has no ILSVRC number for 5 photos" in message
    assert message.endswith(
        f"; give the list that has them, or take {ACORN} out of the subset file"
    )


# Photos that are there twice


def test_of_a_tar_that_is_there_twice_one_is_to_be_removed(tmp_path: Path) -> None:
    put_tars(tmp_path)
    put(tmp_path / "train (1).tar", (tmp_path / "train.tar").read_bytes())
    message = refusal(tmp_path, train_list=put_list(tmp_path))
    assert " are the same train photo; remove one of the two files, train (1).tar or train.tar" in (
        message
    )


def test_so_it_is_where_another_store_has_the_other_split(tmp_path: Path) -> None:
    for name, data in TRAIN.items():
        put(tmp_path / name, data)
    val = tar_of({name.removeprefix("val/"): data for name, data in VAL.items()})
    put(tmp_path / "b.tar", val)
    put(tmp_path / "val/a.tar", val)
    message = refusal(tmp_path, train_list=put_list(tmp_path))
    assert message.endswith(
        "are the same val photo; remove one of the two files, b.tar or val/a.tar"
    )


def test_a_photo_that_is_in_a_folder_twice_or_in_one_tar_is_one_of_them(tmp_path: Path) -> None:
    twice = f"train/{ACORN}/{ACORN}_21"
    for name, data in {**TRAIN, f"{twice}.jpg": b"x"}.items():
        put(tmp_path / "folders" / name, data)
    put_tars(tmp_path / "tars", {**TRAIN, f"{twice}.jpg": b"x"})
    for kind in ("folders", "tars"):
        message = refusal(tmp_path / kind, "train", train_list=put_list(tmp_path))
        assert message.endswith("are the same train photo; remove one of them")
