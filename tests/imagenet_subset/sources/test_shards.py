"""WebDataset's shards whose keys are the names of the photos, and those whose keys are numbers."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.ilsvrc.numbering import val_name
from imagenet_subset.records import SPLITS
from imagenet_subset.sources import open_source
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.tar.shards import NumberedShardStore, ShardStore, wnid_of_label
from imagenet_subset.sources.tar.store import TarStore
from tests.contracts.store import (
    ACORN,
    AIRLINER,
    SUBSET,
    VOLCANO,
    StoreContract,
    photos,
    val_numbers,
)
from tests.harness.tars import link_of, tar_of, tar_of_members

LABELS = {wnid: label for label, wnid in enumerate(sorted(class_table()))}
LOST = f"train/{AIRLINER}/{AIRLINER}_21.JPEG"
PARTS = ("cls", "jpg", "json")
"""Files of a sample, in the order in which webdataset writes them."""


def sample(
    name: str, data: bytes, parts: Iterable[str] = PARTS, label: str | None = None
) -> dict[str, bytes]:
    """Files of a photo's sample."""
    stem = name.rpartition("/")[2].removesuffix(".JPEG")
    wnid = val_numbers()[int(stem[-8:])] if stem.startswith("ILSVRC") else stem[:9]
    said = str(LABELS[wnid]) if label is None else label
    about = json.dumps({"filename": f"{wnid}/{stem}.JPEG", "label": LABELS[wnid]})
    of = {"cls": said.encode(), "jpg": data, "json": about.encode()}
    return {f"{stem}.{part}": of[part] for part in parts}


def shard(photos: Mapping[str, bytes], parts: Iterable[str] = PARTS) -> bytes:
    files: dict[str, bytes] = {}
    for name, data in photos.items():
        files |= sample(name, data, parts)
    return tar_of(files, tarfile.USTAR_FORMAT)


def refusal(store: Store) -> str:
    """Why the photos can't be listed."""
    with pytest.raises(SourceError) as error:
        list(store.photos("train", SUBSET.wnids))
    assert str(error.value).isprintable()
    return str(error.value)


class TestShardStore(StoreContract):
    suffix = "jpg"
    parts: tuple[str, ...] = PARTS
    kind: type[TarStore] = ShardStore

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        names = sorted(photos, key=lambda name: (name == LOST, hash(photos[name])))
        train = [name for name in names if name.startswith("train/")]
        val = [name for name in names if name.startswith("val/")]
        size = len(train) // 3 + 1
        for k in range(0, len(train), size):
            self.put(folder / f"imagenet1k-train-{k // size:04d}.tar", train[k : k + size], photos)
        for k in range(0, len(val), 80):
            self.put(folder / f"imagenet1k-validation-{k // 80:02d}.tar", val[k : k + 80], photos)
        (folder / "_info.json").write_text("{}")
        store = open_source(folder)
        assert type(store) is self.kind
        return store

    def put(self, path: Path, names: list[str], photos: Mapping[str, bytes]) -> None:
        path.write_bytes(shard({name: photos[name] for name in names}, self.parts))

    def lose(self, folder: Path, name: str) -> None:
        assert name == LOST
        path = max(folder.glob("imagenet1k-train-*.tar"))
        at = path.read_bytes().index(photos()[name])
        with path.open("r+b") as file:
            file.truncate(at + 7)


class TestShardsWithTheLabelLast(TestShardStore):
    parts = ("jpg", "json", "cls")


class TestShardsWithoutLabels(TestShardStore):
    """Then they are tars of photos."""

    parts = ("jpg",)
    kind = TarStore


def one_shard(folder: Path, files: Mapping[str, bytes], name: str = "train-0000.tar") -> Store:
    (folder / name).write_bytes(tar_of(files))
    return open_source(folder)


@pytest.mark.parametrize("label", ["0", "1000", "-1", "", "acorn", "٣", "9" * 12, "\n\x1b[31m"])
@pytest.mark.parametrize("parts", [PARTS, PARTS[::-1]])
def test_a_label_that_is_not_the_names_is_refused(
    tmp_path: Path, label: str, parts: tuple[str, ...]
) -> None:
    name = f"{ACORN}_21.JPEG"
    message = refusal(one_shard(tmp_path, sample(name, b"x", parts, label)))
    assert f"train-0000.tar: the label of {ACORN}_21.jpg is " in message
    assert "n01440764" in message if label == "0" else "no class" in message
    assert f"the photo is one of {ACORN}" in message


def test_a_label_of_a_val_photo_is_compared_with_the_ground_truth(tmp_path: Path) -> None:
    name = f"{val_name(min(val_numbers()))}.JPEG"
    store = one_shard(tmp_path, sample(name, b"x", label="0"), "validation-00.tar")
    assert f"the label of {name[:-5]}.jpg is 0, which is n01440764" in refusal(store)


def test_the_content_says_the_split_and_not_the_name(tmp_path: Path) -> None:
    names = [name for name in photos() if name.startswith("val/")]
    store = one_shard(tmp_path, sample(names[0], b"x"), "train-00000-of-00014.tar")
    assert store.splits == {"val"}
    assert [photo.stem for photo in store.photos("val", SUBSET.wnids)] == [names[0][4:-5]]
    assert list(store.photos("train", SUBSET.wnids)) == []


def test_shards_may_be_in_a_folder_for_each_split(tmp_path: Path) -> None:
    for split in SPLITS:
        name = next(name for name in photos() if name.startswith(split))
        (tmp_path / split).mkdir()
        (tmp_path / split / "0000.tar").write_bytes(shard({name: b"x"}))
    store = open_source(tmp_path)
    assert store.splits == {"train", "val"}
    for split in SPLITS:
        assert len(list(store.photos(split, SUBSET.wnids))) == 1


def test_the_photos_of_one_shard_may_be_of_both_splits(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(shard(photos()))
    store = open_source(tmp_path / "a.tar")
    assert len(list(store.photos("train", SUBSET.wnids))) == 15
    assert len(list(store.photos("val", SUBSET.wnids))) == 150


def test_a_label_belongs_to_its_own_photo(tmp_path: Path) -> None:
    """That of a sample without a photo isn't the next one's."""
    files = {"alone.cls": b"0", **sample(f"{ACORN}_3.JPEG", b"x", ["jpg"])}
    files |= {"empty.json": b"{}", **sample(f"{VOLCANO}_3.JPEG", b"y", PARTS[::-1])}
    found = one_shard(tmp_path, files).photos("train", SUBSET.wnids)
    assert [photo.stem for photo in found] == [f"{ACORN}_3", f"{VOLCANO}_3"]


def test_links_in_a_shard_are_refused(tmp_path: Path) -> None:
    members = [(tarfile.TarInfo(f"{ACORN}_3.cls"), b"988"), (link_of(f"{ACORN}_3.jpg"), b"")]
    (tmp_path / "train-0.tar").write_bytes(tar_of_members(members))
    assert "is a link, not a file; pack it by tar with -h" in refusal(open_source(tmp_path))


def test_shards_and_other_tars_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ILSVRC2012_img_train.tar").write_bytes(tar_of({f"{ACORN}.tar": b""}))
    (tmp_path / "train-0.tar").write_bytes(shard({LOST: b"x"}))
    with pytest.raises(SourceError) as error:
        open_source(tmp_path)
    says = "has tars of several kinds (ILSVRC2012_img_train.tar, train-0.tar); keep each kind in"
    assert says in str(error.value)


def test_shards_of_train_and_a_tar_of_val_are_both_read(tmp_path: Path) -> None:
    (tmp_path / "ILSVRC2012_img_val.tar").write_bytes(tar_of({f"{val_name(1)}.JPEG": b"val"}))
    (tmp_path / "train-0.tar").write_bytes(shard({LOST: b"x"}))
    store = open_source(tmp_path)
    assert [photo.stem for photo in store.photos("val", SUBSET.wnids)] == [val_name(1)]
    assert len(list(store.photos("train", SUBSET.wnids))) == 1


def test_shards_with_numbers_and_a_tar_of_val_are_refused(tmp_path: Path) -> None:
    (tmp_path / "ILSVRC2012_img_val.tar").write_bytes(tar_of({f"{val_name(1)}.JPEG": b"val"}))
    (tmp_path / "train-0.tar").write_bytes(tar_of({"0000001.cls": b"0", "0000001.jpg": b"x"}))
    with pytest.raises(SourceError, match="has tars of several kinds"):
        open_source(tmp_path)


def test_a_label_may_be_the_wnid(tmp_path: Path) -> None:
    for label, fits in ((ACORN, True), (AIRLINER, False)):
        files = {f"{ACORN}_3.jpg": b"x", f"{ACORN}_3.cls": label.encode()}
        (tmp_path / "train-0.tar").write_bytes(tar_of(files))
        if fits:
            assert len(list(open_source(tmp_path).photos("train", SUBSET.wnids))) == 1
        else:
            assert f"is {AIRLINER}, but the photo is one of {ACORN}" in refusal(
                open_source(tmp_path)
            )


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "train-0000.tar").write_bytes(shard({LOST: b"x"}))
    files = sample(f"{ACORN}_3.JPEG", b"x" * 9000)
    (tmp_path / "train-0001.tar").write_bytes(tar_of(files)[:4000])
    with pytest.raises(SourceError, match=r"can't read .*train-0001\.tar: it is cut off") as error:
        list(open_source(tmp_path).photos("train", SUBSET.wnids))
    assert str(error.value).isprintable()


# Shards whose keys are numbers


def test_shards_of_numbers_are_told_by_their_first_photo(tmp_path: Path) -> None:
    files = {"0000000.cls": b"988", "0000000.jpg": b"x", "0000001.cls": b"0", "0000001.jpg": b"y"}
    store = one_shard(tmp_path, files, "imagenet-train-000000.tar")
    assert isinstance(store, NumberedShardStore)
    assert store.splits == {"train"}
    found = [(photo.stem, photo.wnid) for photo in store.photos("train", [ACORN])]
    assert found == [("0000000", wnid_of_label("988")), ("0000001", "n01440764")]


def test_the_splits_of_shards_of_numbers_are_kept_apart(tmp_path: Path) -> None:
    for split in SPLITS:
        files = {"0000000.cls": b"988", "0000000.jpg": split.encode()}
        (tmp_path / f"imagenet-{split}-000000.tar").write_bytes(tar_of(files))
    store, reader = open_source(tmp_path), open_source(tmp_path).open()
    for split in SPLITS:
        (photo,) = store.photos(split, [ACORN])
        assert reader.read(photo.location) == split.encode()
    reader.close()
