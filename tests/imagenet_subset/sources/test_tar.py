"""Stores in tars: ILSVRC's own, a tree in one, one for each class; and what is in several forms."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.sources import open_source
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.sources.joined import JoinedStore
from imagenet_subset.sources.tar.kinds import open_tar
from imagenet_subset.sources.tar.store import TarStore
from tests.contracts.store import ACORN, SUBSET, StoreContract, name_of, photos

TRAIN, VAL = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"


def tar_of(files: Iterable[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def base(name: str) -> str:
    return name.rpartition("/")[2]


def of_split(photos: Mapping[str, bytes], split: str) -> dict[str, bytes]:
    return {name: data for name, data in photos.items() if name.startswith(f"{split}/")}


def of_class(photos: Mapping[str, bytes]) -> dict[str, list[tuple[str, bytes]]]:
    """Train photos by class, without folders."""
    classes: dict[str, list[tuple[str, bytes]]] = {}
    for name, data in of_split(photos, "train").items():
        classes.setdefault(name.split("/")[1], []).append((base(name), data))
    return classes


def write_train_tar(path: Path, photos: Mapping[str, bytes]) -> None:
    inner = [(f"{wnid}.tar", tar_of(files)) for wnid, files in of_class(photos).items()]
    path.write_bytes(tar_of(inner))


def write_val_tar(path: Path, photos: Mapping[str, bytes]) -> None:
    files = [(base(name), data) for name, data in of_split(photos, "val").items()]
    path.write_bytes(tar_of(files[::-1]))


def write_folders(root: Path, photos: Mapping[str, bytes]) -> None:
    for name, data in photos.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def cut_before_end_of(path: Path, contents: bytes) -> None:
    """Shorten a tar so that a photo isn't there to its end, nor what comes after it."""
    at = path.read_bytes().rindex(contents)
    os.truncate(path, at + len(contents) - 1)


class TarContract(StoreContract):
    """What is lost in a tar is lost from there to its end."""

    def lose(self, folder: Path, name: str) -> None:
        for path in folder.rglob("*.tar"):
            if photos()[name] in path.read_bytes():
                cut_before_end_of(path, photos()[name])

    def test_a_photo_that_can_not_be_read_costs_no_other(
        self, store: Store, folder: Path, train_list: Path
    ) -> None:
        records = list(list_images(SUBSET, ["train"], store, train_list).records["train"])
        places = [record.location for record in records]
        self.lose(folder, name_of(records[2]))
        outcomes = self.read(store, records)
        assert isinstance(outcomes[2], OSError)
        assert "bytes could be read" in str(outcomes[2])
        for k, (record, data) in enumerate(zip(records, outcomes, strict=True)):
            if isinstance(data, OSError):
                assert k == 2 or self.comes_after(places[k], places[2])
            else:
                assert data == photos()[name_of(record)]

    def comes_after(self, place, lost) -> bool:
        return place > lost


class TestOfficialTars(TarContract):
    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        write_train_tar(folder / TRAIN, photos)
        if of_split(photos, "val"):
            write_val_tar(folder / VAL, photos)
        store = open_source(folder)
        assert isinstance(store, TarStore)
        return store

    def test_only_wanted_inner_tars_are_walked(self, folder: Path) -> None:
        self.make(folder, photos())
        data = bytearray((folder / TRAIN).read_bytes())
        at = data.index(f"{ACORN}_".encode())
        data[at : at + 100] = b"x" * 100  # a header in the tar of a class that isn't wanted
        (folder / TRAIN).write_bytes(data)
        store = open_source(folder)
        assert len(list(store.photos("train", [w for w in SUBSET.wnids if w != ACORN]))) == 10
        with pytest.raises(SourceError, match=f"of '{ACORN}.tar' in it, .* no header"):
            list(store.photos("train", SUBSET.wnids))


class TestTreeTar(TarContract):
    """A whole tree in one tar, as Kaggle's older archive has it."""

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        files = [(f"./ILSVRC/Data/CLS-LOC/{name}", data) for name, data in photos.items()]
        (folder / "imagenet.tar").write_bytes(tar_of(files))
        return open_source(folder / "imagenet.tar")


class TestFlatTars(TarContract):
    """Hugging Face's of 2022, unpacked by gunzip: several for a split, names with the class."""

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        (folder / "data").mkdir(exist_ok=True)
        train = [
            (base(name).replace(".", f"_{name.split('/')[1]}."), data)
            for name, data in of_split(photos, "train").items()
        ]
        for k in range(2):
            (folder / f"data/train_images_{k}.tar").write_bytes(tar_of(train[k::2]))
        if of_split(photos, "val"):
            write_val_tar(folder / "data/val_images.tar", photos)
        return open_source(folder)


class TestTarsOfClasses(TarContract):
    """The train tar unpacked once; val in a folder."""

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        (folder / "train").mkdir(exist_ok=True)
        for wnid, files in of_class(photos).items():
            (folder / f"train/{wnid}.tar").write_bytes(tar_of(files))
        write_folders(folder, of_split(photos, "val"))
        return open_source(folder)

    def comes_after(self, place, lost) -> bool:
        return True


class TestHalfUnpacked(TestTarsOfClasses):
    """Some classes in folders, others still in tars."""

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        classes = of_class(photos)
        first = min(classes)
        write_folders(folder, {f"train/{first}/{n}": d for n, d in classes.pop(first)})
        for wnid, files in classes.items():
            (folder / f"train/{wnid}.tar").write_bytes(tar_of(files))
        write_folders(folder, of_split(photos, "val"))
        store = open_source(folder)
        assert isinstance(store, JoinedStore)
        return store

    def lose(self, folder: Path, name: str) -> None:
        (folder / name).unlink(missing_ok=True)
        super().lose(folder, name)

    def test_a_photo_that_can_not_be_read_costs_no_other(
        self, store: Store, folder: Path, train_list: Path
    ) -> None:
        records = list(list_images(SUBSET, ["train"], store, train_list).records["train"])
        for k in (0, len(records) - 1):
            self.lose(folder, name_of(records[k]))
        outcomes = self.read(store, records)
        assert isinstance(outcomes[0], OSError)
        assert isinstance(outcomes[-1], OSError)
        assert sum(isinstance(data, bytes) for data in outcomes) >= 5


class TestFoldersAndTar(TestHalfUnpacked):
    """Train in folders, val in its tar."""

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        write_folders(folder, of_split(photos, "train"))
        if of_split(photos, "val"):
            write_val_tar(folder / VAL, photos)
        return open_source(folder)


def test_a_class_that_is_unpacked_is_not_read_from_its_tar(tmp_path: Path) -> None:
    write_folders(tmp_path, photos())
    for wnid, files in of_class(photos()).items():
        (tmp_path / f"train/{wnid}.tar").write_bytes(tar_of(files))
    store = open_source(tmp_path)
    assert len(list(store.photos("train", SUBSET.wnids))) == 15


@pytest.mark.parametrize(
    ("kind", "name"),
    [(tarfile.SYMTYPE, f"train/{ACORN}/{ACORN}_1.JPEG"), (tarfile.LNKTYPE, f"{ACORN}.tar")],
)
def test_a_link_in_place_of_a_photo_is_refused(tmp_path: Path, kind: bytes, name: str) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    store = open_tar(tmp_path / "x.tar")
    assert store is not None
    with pytest.raises(SourceError, match=r"can't read .*x\.tar: .* is a link, not a file"):
        list(store.photos("train", SUBSET.wnids))


def test_a_tar_that_is_cut_off_says_so(tmp_path: Path) -> None:
    write_train_tar(tmp_path / TRAIN, photos())
    os.truncate(tmp_path / TRAIN, os.path.getsize(tmp_path / TRAIN) // 2)
    with pytest.raises(SourceError, match=r"is cut off or damaged: .*; get it anew$"):
        open_source(tmp_path / TRAIN)


def test_a_name_that_leads_out_of_the_tar_is_refused(cli, tmp_path: Path, subset_file) -> None:
    files = [("n01440764_1.JPEG", b"x"), ("../../evil_n01440764_2.JPEG", b"x")]
    (tmp_path / "x.tar").write_bytes(tar_of(files))
    before = sorted(tmp_path.iterdir())
    done = cli("--subset_name", subset_file, "--data_dir", "x.tar", "--device", "cpu")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "a name that leads out of its folder" in done.stderr
    assert sorted(tmp_path.iterdir()) == before
    assert not (tmp_path.parent / "evil_n01440764_2.JPEG").exists()
