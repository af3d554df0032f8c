"""The folder store: where ImageNet's photos stand, and every way in which they may not."""

from __future__ import annotations

import errno
import functools
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.ilsvrc.numbering import name_of_id, val_name
from imagenet_subset.records import Record, Split
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.base import LARGEST_PHOTO, Store
from imagenet_subset.sources.catalogue import Listing, list_images
from imagenet_subset.sources.folder import FolderReader
from imagenet_subset.sources.look import OnMissing
from imagenet_subset.sources.patience import read_each
from tests.contracts.store import (
    ACORN,
    SUBSET,
    StoreContract,
    photos,
    train_entries,
    val_numbers,
)

SMALLEST = min(class_table().values(), key=lambda c: c.num_train_images)
ONE = Subset("one", (SMALLEST,))


def write(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def sorted_val() -> dict[str, bytes]:
    """The contract's photos with val in class folders, as torchvision users have it."""
    files = {name: data for name, data in photos().items() if name.startswith("train/")}
    return files | {
        f"val/{wnid}/{val_name(n)}.JPEG": photos()[f"val/{val_name(n)}.JPEG"]
        for n, wnid in val_numbers().items()
    }


class TestFolderStore(StoreContract):
    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        (folder / "train").mkdir()
        (folder / "val").mkdir()
        return open_source(write(folder, photos))

    def lose(self, folder: Path, name: str) -> None:
        (folder / name).unlink()


class TestFolderStoreWithValInClassFolders(TestFolderStore):
    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        wnids = val_numbers()
        places = {}
        for name, data in photos.items():
            number = int(name[-13:-5]) if name.startswith("val/") else None
            places[f"val/{wnids[number]}/{name[4:]}" if number else name] = data
        return super().make(folder, places)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """``ILSVRC/Data/CLS-LOC`` with its train list in its place."""
    lists = tmp_path / "ILSVRC/ImageSets/CLS-LOC"
    lists.mkdir(parents=True)
    lines = [f"{name} {number}\n" for name, number in train_entries()]
    (lists / "train_cls.txt").write_text("".join(lines))
    return write(tmp_path / "ILSVRC/Data/CLS-LOC", photos())


def listed(
    root: Path,
    *splits: Split,
    train_list: Path | None = None,
    on_missing: OnMissing = "error",
):
    wanted = splits or ("train", "val")
    return list_images(SUBSET, wanted, open_source(root), train_list, on_missing=on_missing)


def told(listing: Listing) -> tuple[dict[Split, list[Record]], dict[Split, int], tuple[str, ...]]:
    """All that a listing says."""
    records = {split: list(records) for split, records in listing.records.items()}
    return records, listing.missing, listing.notes


def read(store: Store, records: Iterable[Record]) -> list[bytes | OSError]:
    return list(read_each(store.open(), [record.location for record in records]))


def refusal(root: Path, *splits: Split, **options) -> str:
    with pytest.raises(SourceError) as error:
        listed(root, *splits, **options)
    assert str(error.value).isprintable(), "one line"
    return str(error.value)


# Where the root is


@pytest.mark.parametrize("above", [".", "..", "../..", "../../.."])
def test_the_root_is_found_from_any_folder_above(tree: Path, above: str) -> None:
    store = open_source((tree / above).resolve())
    assert Path(store.root) == tree
    assert len(list_images(SUBSET, ["train"], store).records["train"]) == 15


def test_a_folder_without_train_and_val_is_refused(tmp_path: Path) -> None:
    assert "has neither train/ nor val/ in it" in (message := refusal(tmp_path))
    assert ": it is empty; --data_dir is ILSVRC's Data/CLS-LOC" in message
    write(tmp_path, {"ILSVRC2012_img_train.tar": b"packed", "ILSVRC2012_img_val.tar": b"packed"})
    assert (
        "it has no photo of ImageNet in ILSVRC2012_img_train.tar, ILSVRC2012_img_val.tar; "
        in refusal(tmp_path)
    )


def test_a_tree_without_the_split_asked_for_is_refused(tree: Path) -> None:
    shutil.rmtree(tree / "val")
    assert refusal(tree).endswith(
        "has no val photo of any class of the subset: val/ doesn't exist, and the folder has 1 "
        "folder, the first train, and no .JPEG; put the photos there, or leave them out by "
        "--splits train"
    )
    assert len(listed(tree, "train").records["train"]) == 15


def test_a_tree_without_a_split_will_do_where_what_is_missing_is_ignored(tree: Path) -> None:
    shutil.rmtree(tree / "val")
    listing = listed(tree, on_missing="ignore")
    assert {split: len(records) for split, records in listing.records.items()} == {
        "train": 15,
        "val": 0,
    }
    assert listing.missing == {"train": 0, "val": 150}


def test_a_relative_data_dir_outlives_a_change_of_folder(tree: Path, monkeypatch) -> None:
    monkeypatch.chdir(tree.parent)
    store = open_source(Path("CLS-LOC"))
    records = list_images(SUBSET, ["val"], store).records["val"]
    monkeypatch.chdir("/")
    assert all(isinstance(data, bytes) for data in read(store, records))


# Symbolic links

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")


@needs_links
def test_a_link_to_the_tree_finds_the_list_beside_its_target(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tree)
    assert len(listed(tmp_path / "link").records["train"]) == 15


@needs_links
def test_the_list_beside_the_link_comes_first(tree: Path, tmp_path: Path) -> None:
    own = tmp_path / "own/ImageSets/CLS-LOC/train_cls.txt"
    own.parent.mkdir(parents=True)
    first = class_table()[ACORN].first_train_id
    own.write_text(f"{ACORN}/{ACORN}_100 {first + 1000}\n")
    (tmp_path / "own/Data").mkdir()
    (tmp_path / "own/Data/CLS-LOC").symlink_to(tree)
    records = listed(tmp_path / "own", "train", on_missing="ignore").records["train"]
    assert [r.image_id for r in records] == [first + 1000]


@needs_links
def test_linked_class_folders_and_photos_are_followed(tree: Path, tmp_path: Path) -> None:
    before = told(listed(tree))
    shutil.move(tree / "train" / ACORN, tmp_path / "elsewhere")
    (tree / "train" / ACORN).symlink_to(tmp_path / "elsewhere")
    photo = tree / "val" / f"{val_name(min(val_numbers()))}.JPEG"
    shutil.move(photo, tmp_path / "photo")
    photo.symlink_to(tmp_path / "photo")
    assert told(listed(tree)) == before


@needs_links
def test_links_that_lead_nowhere_are_missing_photos(tree: Path) -> None:
    shutil.rmtree(tree / "train" / ACORN)
    (tree / "train" / ACORN).symlink_to("nowhere")
    photo = tree / "val" / f"{val_name(min(val_numbers()))}.JPEG"
    photo.unlink()
    photo.symlink_to("nowhere")
    assert f"no train photo of {ACORN} (acorn)" in refusal(tree)
    assert "missing in" in (message := refusal(tree, "val"))
    assert "1 val photo (" in message


@needs_links
def test_a_link_to_itself_is_named(tree: Path) -> None:
    photo = tree / "train" / ACORN / f"{ACORN}_100.JPEG"
    photo.unlink()
    photo.symlink_to(photo)
    assert f"{ACORN}_100.JPEG" in refusal(tree)


# What is no photo


def test_what_else_stands_in_a_class_folder_is_passed_over(tree: Path) -> None:
    before = told(listed(tree))
    folder = tree / "train" / ACORN
    for name in (".DS_Store", f"._{ACORN}_100.JPEG", "Thumbs.db", "notes.txt", "x.JPEG.part"):
        (folder / name).write_bytes(b"")
    (folder / "sub").mkdir()
    assert told(listed(tree)) == before


def test_a_folder_named_as_a_photo_is_no_photo(tree: Path) -> None:
    photo = tree / "train" / ACORN / f"{ACORN}_100.JPEG"
    photo.unlink()
    photo.mkdir()
    assert "1 train photo (" in refusal(tree)


def test_a_file_in_place_of_a_class_folder_is_named(tree: Path) -> None:
    shutil.rmtree(tree / "train" / ACORN)
    (tree / "train" / ACORN).write_bytes(b"")
    message = refusal(tree)
    assert "can't list" in message
    assert f"train/{ACORN}" in message


@pytest.mark.parametrize("suffix", [".jpg", ".JPG", ".jpeg"])
def test_other_spellings_of_the_suffix_will_do(tree: Path, suffix: str) -> None:
    photo = tree / "train" / ACORN / f"{ACORN}_100.JPEG"
    photo.rename(photo.with_suffix(suffix))
    assert len(listed(tree).records["train"]) == 15


def test_the_same_photo_under_two_suffixes_is_refused(tree: Path) -> None:
    shutil.copy(
        tree / "train" / ACORN / f"{ACORN}_3.JPEG", tree / "train" / ACORN / f"{ACORN}_3.jpg"
    )
    message = refusal(tree)
    assert f"{ACORN}_3.jpg" in message
    assert "remove one" in message


def test_photos_of_other_classes_are_not_even_listed(tree: Path) -> None:
    before = told(listed(tree))
    write(tree, {"train/n01440764/what ever.JPEG": b"", "val/n01440764/cat.JPEG": b""})
    assert told(listed(tree)) == before


# Val


def test_val_may_be_flat_in_class_folders_or_both(tree: Path) -> None:
    flat = listed(tree, "val")
    numbers = sorted(val_numbers())
    for number in numbers[::3]:
        name = f"{val_name(number)}.JPEG"
        (tree / "val" / val_numbers()[number]).mkdir(exist_ok=True)
        (tree / "val" / name).rename(tree / "val" / val_numbers()[number] / name)
    mixed = listed(tree, "val")
    assert [(r.image_id, r.label) for r in mixed.records["val"]] == [
        (r.image_id, r.label) for r in flat.records["val"]
    ]
    assert sum(r.location.count("/") == 2 for r in mixed.records["val"]) == len(numbers[::3])


def test_a_val_photo_in_the_wrong_class_folder_is_an_error(tmp_path: Path) -> None:
    root = write(tmp_path, sorted_val())
    number = next(n for n, wnid in val_numbers().items() if wnid == ACORN)
    name = f"{val_name(number)}.JPEG"
    (root / "val" / ACORN / name).rename(root / "val" / SUBSET.wnids[0] / name)
    message = refusal(root, "val")
    assert f"{SUBSET.wnids[0]}/{name} is in the wrong class, {SUBSET.wnids[0]}:" in message
    assert f"{ACORN} (acorn)" in message


def test_a_val_photo_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    root = write(tmp_path, sorted_val())
    name = f"{val_name(next(n for n, wnid in val_numbers().items() if wnid == ACORN))}.JPEG"
    shutil.copy(root / "val" / ACORN / name, root / "val" / name)
    message = refusal(root, "val")
    assert f"val/{name} and " in message
    assert f"val/{ACORN}/{name} are the same val photo; remove one of them" in message


@pytest.mark.parametrize(
    "name", ["cat.JPEG", "ILSVRC2012_val_00050001.JPEG", "ILSVRC2012_val_1.JPEG"]
)
def test_strangers_in_val_are_noted_and_in_a_class_folder_refused(tree: Path, name: str) -> None:
    write(tree, {f"val/{name}": b""})
    assert name in listed(tree, "val").notes[0]
    write(tree, {f"val/{ACORN}/{name}": b""})
    assert f"{name} isn't named ILSVRC2012_val_" in refusal(tree, "val")


# Numbers of train photos


def in_the_list_s_order(a: str, b: str) -> int:
    """Which of two names is first in ``train_cls.txt``: the one that goes on where one ends."""
    if a.startswith(b) or b.startswith(a):
        return len(b) - len(a)
    return -1 if a < b else 1


def complete(root: Path) -> list[str]:
    """Write a complete class, one file under as many names; the names in the list's order."""
    folder = root / "train" / SMALLEST.wnid
    folder.mkdir(parents=True)
    (root / "photo").write_bytes(b"photo")
    names = [f"{SMALLEST.wnid}_{k * k + 3}" for k in range(SMALLEST.num_train_images)]
    for name in names:
        os.link(root / "photo", folder / f"{name}.JPEG")
    return sorted(names, key=functools.cmp_to_key(in_the_list_s_order))


def test_the_photos_of_a_complete_class_are_numbered_by_their_rank(tmp_path: Path) -> None:
    names = complete(tmp_path)
    assert names != sorted(names)
    records = list_images(ONE, ["train"], open_source(tmp_path)).records["train"]
    assert SMALLEST.num_train_images == 732
    assert [r.location for r in records] == [f"train/{SMALLEST.wnid}/{n}.JPEG" for n in names]
    assert [r.image_id for r in records] == list(
        range(SMALLEST.first_train_id, SMALLEST.first_train_id + 732)
    )


def test_one_photo_too_few_or_too_many_is_never_numbered(tmp_path: Path) -> None:
    names = complete(tmp_path)
    folder = tmp_path / "train" / SMALLEST.wnid
    os.link(tmp_path / "photo", folder / f"{SMALLEST.wnid}_1000000.JPEG")
    for count in (733, 731):
        with pytest.raises(SourceError, match=rf"{count} photos of 732\).*--train_list"):
            list_images(ONE, ["train"], open_source(tmp_path))
        listing = list_images(ONE, ["train"], open_source(tmp_path), on_missing="skip")
        ids = listing.records["train"].ids.tolist()
        stems = [path.stem for path in folder.iterdir()]
        assert [name_of_id(i) for i in ids] == [(SMALLEST.wnid, stem) for stem in by_id(stems)]
        assert listing.missing == {"train": max(0, 732 - count)}
        assert f"(train/{SMALLEST.wnid}/ with {count} photos of 732)" in listing.notes[0]
        for name in names[:2]:
            (folder / f"{name}.JPEG").unlink(missing_ok=True)


def by_id(stems: Iterable[str]) -> list[str]:
    """Names of a class in the order of their ids: the largest number is first."""
    return sorted(stems, key=lambda stem: -int(stem[10:]))


def test_a_stranger_can_not_stand_in_for_a_missing_photo(tmp_path: Path) -> None:
    names = complete(tmp_path)
    folder = tmp_path / "train" / SMALLEST.wnid
    (folder / f"{names[5]}.JPEG").rename(folder / f"{names[6]} copy.JPEG")
    store = open_source(tmp_path)
    with pytest.raises(SourceError, match=f"{names[6]} copy.JPEG, which isn't named as its photos"):
        list_images(ONE, ["train"], store)
    listing = list_images(ONE, ["train"], store, on_missing="skip")
    assert list(listing.records["train"].stems) == by_id({*names} - {names[5]})
    assert listing.missing == {"train": 1}
    assert (
        f"left out 1 photo in train not named as those of their class, the first "
        f"{folder / names[6]} copy.JPEG" in listing.notes
    )


@pytest.mark.parametrize("on_missing", ["skip", "ignore"])
def test_a_stranger_beside_a_complete_class_is_left_out(
    tmp_path: Path, on_missing: OnMissing
) -> None:
    names = complete(tmp_path)
    os.link(tmp_path / "photo", tmp_path / f"train/{SMALLEST.wnid}/{names[6]} copy.JPEG")
    store = open_source(tmp_path)
    with pytest.raises(SourceError, match="which isn't named as its photos"):
        list_images(ONE, ["train"], store)
    listing = list_images(ONE, ["train"], store, on_missing=on_missing)
    assert list(listing.records["train"].ids) == list(SMALLEST.train_ids)
    assert [note.partition(" in")[0] for note in listing.notes] == ["left out 1 photo"]


def test_one_class_that_can_not_be_numbered_has_the_whole_split_named(tmp_path: Path) -> None:
    names = complete(tmp_path)
    write(tmp_path, {f"train/{ACORN}/{ACORN}_{k}.JPEG": b"" for k in (7, 100)})
    both = Subset("two", (class_table()[ACORN], SMALLEST))
    listing = list_images(both, ["train"], open_source(tmp_path), on_missing="skip")
    found = [name_of_id(i) for i in listing.records["train"].ids.tolist()]
    acorns = [(ACORN, f"{ACORN}_{k}") for k in (7, 100)]
    assert sorted(filter(None, found)) == sorted([(SMALLEST.wnid, n) for n in names] + acorns)
    assert listing.missing == {"train": 1298}
    assert f"(train/{ACORN}/ (1,298 of 1,300 photos))" in listing.notes[1]


@pytest.mark.parametrize("number", ["2000000", "9" * 200])
def test_a_photo_whose_name_gives_no_id_is_refused(tmp_path: Path, number: str) -> None:
    write(tmp_path, {f"train/{ACORN}/{ACORN}_{k}.JPEG": b"" for k in ("1999999", number)})
    subset, store = Subset("acorn", (class_table()[ACORN],)), open_source(tmp_path)
    with pytest.raises(SourceError, match=f"{ACORN}_{number}.JPEG can't have an id .*2,000,000"):
        list_images(subset, ["train"], store, on_missing="skip")
    listing = list_images(subset, ["train"], store, on_missing="ignore", by_name=True)
    assert list(listing.records["train"].stems) == [f"{ACORN}_1999999"]


def test_without_a_list_an_absent_class_is_refused_or_ignored(tmp_path: Path) -> None:
    complete(tmp_path)
    both = Subset("two", (class_table()[ACORN], SMALLEST))
    store = open_source(tmp_path)
    for on_missing in ("error", "skip"):
        with pytest.raises(SourceError, match=rf"train/ has 1 folder.* or take {ACORN} out"):
            list_images(both, ["train"], store, on_missing=on_missing)
    listing = list_images(both, ["train"], store, on_missing="ignore")
    assert listing.missing == {"train": 1300}
    assert {r.label for r in listing.records["train"]} == {1}


def test_a_class_that_the_list_does_not_know_is_missing(tree: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_text("n01440764/n01440764_10026 1\n")
    (tmp_path / "empty/train").mkdir(parents=True)
    message = refusal(tmp_path / "empty", "train", train_list=path)
    total = sum(c.num_train_images for c in SUBSET.classes)
    assert message.endswith("train/ is empty; put the photos there")
    listing = listed(tmp_path / "empty", "train", train_list=path, on_missing="ignore")
    assert listing.missing == {"train": total}
    assert f"(all 1,300 photos: none is in {path})" in listing.notes[1]


def test_a_class_whose_photos_the_list_does_not_know_can_not_be_skipped(
    tree: Path, tmp_path: Path
) -> None:
    path = tmp_path / "other.txt"
    path.write_text(
        "".join(f"{name} {number}\n" for name, number in train_entries() if ACORN not in name)
    )
    for on_missing in ("error", "skip"):
        message = refusal(tree, "train", train_list=path, on_missing=on_missing)
        assert f"{path} has no ILSVRC number for 5 photos of train/{ACORN}/" in message
        assert message.endswith(
            "give the list that has them, or leave out --train_list and build by --missing skip, "
            f"which without a list makes ids of names, or take {ACORN} out of the subset file"
        )
    own = tree / "../../ImageSets/CLS-LOC/train_cls.txt"
    path.replace(own)
    message = refusal(tree, "train", on_missing="skip")
    assert "; give the list that has them, or move the list away and build by --mis" in message
    own.unlink()
    listing = listed(tree, "train", on_missing="skip")
    assert len(listing.records["train"]) == 15
    assert all(record.image_id < 0 for record in listing.records["train"])


# What is there instead


TENCH = Subset("tench", (class_table()["n01440764"],))


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize(
    ("files", "says"),
    [
        ([], "{at}/ is empty"),
        (["images/a_1.JPEG", "images/a_2.JPEG", "x.txt"],
         "{at}/ has 2 photos one folder deeper, in images/, as a_1.JPEG"),
        (["1.png", "2.png"], "{at}/ has 2 files, the first 1.png, and no .JPEG"),
        (["a/1.png", "b/2.png", "c"], "{at}/ has 2 folders and 1 file, the first a, and no .JPEG"),
        (["._n01440764_1.JPEG"], "{at}/ has 1 file, the first ._n01440764_1.JPEG, and no .JPEG"),
        (["n01440764.tar", "x.txt"], "{at}/ has n01440764.tar, to be unpacked"),
        (["a.zip", "b.tar", "c.TGZ", "d"], "{at}/ has a.zip, b.tar, c.TGZ, to be unpacked"),
        (["a\nb/c.jpg"], "{at}/ has 1 photo one folder deeper, in a\\nb/, as c.jpg"),
    ],
)  # fmt: skip
def test_a_split_without_a_photo_says_what_is_there_instead(
    tmp_path: Path, split: Split, files: list[str], says: str
) -> None:
    at = {"train": "train/n01440764", "val": "val"}[split]
    (tmp_path / at).mkdir(parents=True)
    write(tmp_path / at, dict.fromkeys(files, b"?"))
    path = tmp_path / "train_cls.txt"
    path.write_text("n01440764/n01440764_10026 1\n")
    store = open_source(tmp_path)
    for on_missing in ("error", "skip"):
        with pytest.raises(SourceError) as error:
            list_images(TENCH, [split], store, path, on_missing=on_missing)
        message = str(error.value)
        if split == "train" and "x.JPEG" in files:
            assert "has no ILSVRC number for 1 photo" in message
            continue
        assert (
            f" has no {split} photo of any class of the subset: {says.format(at=at)}; " in message
        )
        assert message.endswith("put the photos there")
        assert message.isprintable()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (["n01440764.tar.gz", "n01443537.tar.gz"],
         "doesn't exist, and train/ has n01440764.tar.gz, to be unpacked"),
        (["train/n01440764/x.JPEG"], "doesn't exist, but train/ has train/n01440764/"),
        (["tench/1.JPEG"],
         "doesn't exist, and train/ has 1 photo one folder deeper, in tench/, as 1.JPEG"),
        (["n01443537/1.JPEG"],
         "doesn't exist, and train/ has 1 folder, the first n01443537, and no .JPEG"),
    ],
)  # fmt: skip
def test_a_class_folder_that_is_not_there_says_what_is_beside_it(
    tmp_path: Path, files: list[str], says: str
) -> None:
    write(tmp_path / "train", dict.fromkeys(files, b"?"))
    with pytest.raises(SourceError) as error:
        list_images(TENCH, ["train"], open_source(tmp_path), on_missing="skip")
    assert f": train/n01440764/ {says}; put the photos there" in str(error.value)


def test_a_split_that_is_still_packed_is_told(tmp_path: Path) -> None:
    write(tmp_path, {"train/x/y": b"", "ILSVRC2012_img_val.tar": b"packed"})
    with pytest.raises(SourceError, match=r"and the folder has ILSVRC2012_img_val\.tar; "):
        list_images(TENCH, ["val"], open_source(tmp_path))


def test_one_val_class_that_is_missing_is_named_alone(tree: Path) -> None:
    for number, wnid in val_numbers().items():
        if wnid == ACORN:
            (tree / "val" / f"{val_name(number)}.JPEG").unlink()
    message = refusal(tree, on_missing="skip")
    assert f"has no val photo of {ACORN} (acorn): val/ has 100 photos of other names" in message
    assert message.endswith(f"put the photos there, or take {ACORN} out of the subset file")


def test_a_list_that_is_shorter_than_ilsvrc_s_is_noted(tree: Path) -> None:
    (note,) = listed(tree).notes
    total = sum(c.num_train_images for c in SUBSET.classes)
    assert note.endswith(f"has 15 of ILSVRC's {total:,} train photos of these classes")
    assert listed(tree, "val").notes == ()


# Reading


def read_at(root: Path, *locations: str) -> list[bytes | OSError]:
    return list(read_each(FolderReader(str(root)), locations))


@needs_links
@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "folder"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("it waited"))
    monkeypatch.chdir(tmp_path)
    if kind == "pipe":
        os.mkfifo("photo")
    elif kind == "device":
        os.symlink("/dev/zero", "photo")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as end:
            end.bind("photo")
    else:
        os.mkdir("photo")
    (error,) = read_at(tmp_path, "photo")
    assert isinstance(error, OSError)
    assert error.errno in (errno.EINVAL, errno.ENXIO)
    assert error.errno != errno.EFBIG, "a fault of the photo itself"


def test_a_file_too_large_for_a_photo_is_refused_by_its_size(tmp_path: Path) -> None:
    for name, size in (("huge", 20_000_000_000), ("large", LARGEST_PHOTO + 1), ("small", 10)):
        with open(tmp_path / name, "wb") as file:
            file.truncate(size)
    huge, large, small = read_at(tmp_path, "huge", "large", "small")
    assert isinstance(huge, OSError)
    assert (huge.errno, huge.strerror) == (errno.EFBIG, "has 20.0 GB, more than any photo")
    assert isinstance(large, OSError)
    assert large.errno == errno.EFBIG
    assert small == bytes(10)


def test_a_photo_that_comes_back_while_it_is_waited_for_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            (tmp_path / "late").write_bytes(b"there")

    monkeypatch.setattr("time.sleep", sleep)
    assert read_at(tmp_path, "late") == [b"there"]
    assert len(pauses) == 2


def test_after_three_photos_that_can_not_be_read_no_other_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("time.sleep", pauses.append)
    (tmp_path / "there").write_bytes(b"there")
    locations = ["gone", "there", "gone", "gone", *["gone"] * 100, "there"]
    for location, data in zip(locations, read_at(tmp_path, *locations), strict=True):
        if location == "there":
            assert data == b"there"
        else:
            assert isinstance(data, FileNotFoundError)
    assert len(pauses) == 3 * 2
    assert sum(pauses) < 3, "a disk that is gone mustn't take minutes"


# Names that are hard to print

HARD_NAMES = [f"{ACORN}_1 2", f"{ACORN}_eñe-日本", f'{ACORN}_it\'s "quoted"', f"{ACORN}_100%"]
if sys.platform != "win32":
    HARD_NAMES += [f"{ACORN}_a\nb", f"{ACORN}_\x1b[31m", os.fsdecode(b"n12267677_\xff\xfe")]


@pytest.mark.parametrize("stem", HARD_NAMES, ids=ascii)
def test_a_name_that_is_hard_to_print_is_read_and_told_in_one_line(tree: Path, stem: str) -> None:
    photo = tree / "train" / ACORN / f"{stem}.JPEG"
    try:
        photo.write_bytes(b"hard")
    except OSError:
        pytest.skip("this file system refuses the name")
    assert "has no ILSVRC number for 1 photo" in refusal(tree)
    if "\n" in stem:
        return  # a train list can't hold it
    train_list = tree / "../../ImageSets/CLS-LOC/train_cls.txt"
    number = class_table()[ACORN].first_train_id + 1299
    with open(train_list, "ab") as file:
        file.write(os.fsencode(f"{ACORN}/{stem} {number}\n"))
    store = open_source(tree)
    records = list_images(SUBSET, ["train"], store).records["train"]
    assert len(records) == 16
    (record,) = (r for r in records if r.image_id == number)
    assert read(store, [record]) == [b"hard"]
    photo.unlink()
    assert "1 train photo (" in refusal(tree)


# Permissions

LISTING = """
import importlib, os, sys
from pathlib import Path
from imagenet_subset.ilsvrc.classes import class_table, val_ground_truth
from imagenet_subset.selection.subset import Subset
from imagenet_subset.errors import SourceError
from imagenet_subset.sources import open_source
from imagenet_subset.sources.catalogue import list_images

subset = Subset("some", tuple(class_table()[wnid] for wnid in sys.argv[2:]))
val_ground_truth()
for form in ("tar.kinds", "tar.shards", "zip.store", "parquet.store"):
    importlib.import_module(f"imagenet_subset.sources.{form}")
# From here on we may read nothing but the tree: Python itself may stand in root's home.
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    list_images(subset, ["train", "val"], open_source(Path(sys.argv[1])), on_missing="skip")
except SourceError as error:
    print(error)
"""


@pytest.fixture
def open_to_all(tmp_path: Path) -> Iterator[None]:
    """Let other users into this test's folder."""
    below_tmp = [p for p in tmp_path.parents if len(p.parts) > 2]
    above = [tmp_path, *below_tmp]
    modes = [path.stat().st_mode for path in above]
    for path in above:
        path.chmod(0o755)
    yield
    for path, mode in zip(above, modes, strict=True):
        path.chmod(mode)


@pytest.mark.skipif(sys.platform == "win32", reason="no POSIX permissions there")
@pytest.mark.usefixtures("open_to_all")
@pytest.mark.parametrize("closed", [f"train/{ACORN}", "train", "val", ".", ".."])
def test_a_folder_without_permission_is_named(tree: Path, closed: str) -> None:
    folder = (tree / closed).resolve()
    folder.chmod(0)
    try:
        command = [sys.executable, "-c", LISTING, str(tree), *SUBSET.wnids]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    finally:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert f"can't list {folder}" in done.stdout
    assert "Permission denied" in done.stdout
