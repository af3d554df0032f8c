"""Photos in tars: ILSVRC's two, one for each class, a whole tree in one, and beside folders."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.numbering import val_name
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.sources.joined import JoinedStore
from imagenet_subset.sources.tar.store import TarStore
from tests.contracts.store import (
    ACORN,
    AIRLINER,
    SMALLEST,
    SUBSET,
    VOLCANO,
    StoreContract,
    photos,
    stems_of,
    train_entries,
    val_numbers,
)
from tests.harness.files import put
from tests.harness.tars import link_of, tar_of, tar_of_members

TRAIN_TAR, VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
BELOW = "ILSVRC/Data/CLS-LOC/"
LOST = f"train/{AIRLINER}/{AIRLINER}_21.JPEG"
"""The photo that the contract loses. It is the last one: to shorten a tar loses all from there."""
ONE = f"{ACORN}_21.JPEG"


def last(photos: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same photos, `LOST` at the end; val before train."""
    return dict(sorted(photos.items(), key=lambda item: (item[0] == LOST, item[0] < "val")))


def val_of(photos: Mapping[str, bytes]) -> dict[str, bytes]:
    return {n.removeprefix("val/"): data for n, data in photos.items() if n.startswith("val/")}


def by_class(photos: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    """Train photos of each class by name; the class of `LOST` is the last."""
    classes: dict[str, dict[str, bytes]] = {}
    for path, data in last(photos).items():
        if path.startswith("train/"):
            _, wnid, name = path.split("/")
            classes.setdefault(wnid, {})[name] = data
    return dict(sorted(classes.items(), key=lambda item: item[0] == AIRLINER))


def put_val(folder: Path, photos: Mapping[str, bytes]) -> None:
    for name, data in val_of(photos).items():
        put(folder / "val" / name, data)


def shorten(path: Path, name: str) -> None:
    """Cut a tar off in a photo, the last one."""
    assert name == LOST
    content = path.read_bytes()
    at = content.index(photos()[name])
    with path.open("r+b") as file:
        file.truncate(at + 7)


def shown(error: pytest.ExceptionInfo[SourceError]) -> str:
    """A message, which has to be one printable line."""
    message = str(error.value)
    assert message.isprintable()
    return message


# The contract


class TestOfficialTars(StoreContract):
    layout = tarfile.GNU_FORMAT

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        inner = {f"{wnid}.tar": tar_of(of, self.layout) for wnid, of in by_class(photos).items()}
        put(folder / TRAIN_TAR, tar_of(inner, self.layout))
        if val := val_of(photos):
            put(folder / VAL_TAR, tar_of(val, self.layout))
        store = open_source(folder)
        assert isinstance(store, TarStore)
        return store

    def lose(self, folder: Path, name: str) -> None:
        shorten(folder / TRAIN_TAR, name)


class TestOfficialTarsOfPax(TestOfficialTars):
    layout = tarfile.PAX_FORMAT


class TestTreeTar(StoreContract):
    above = BELOW
    layout = tarfile.GNU_FORMAT

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        files = {self.above + name: data for name, data in last(photos).items()}
        put(folder / "imagenet.tar", tar_of(files, self.layout))
        store = open_source(folder / "imagenet.tar")
        assert isinstance(store, TarStore)
        return store

    def lose(self, folder: Path, name: str) -> None:
        shorten(folder / "imagenet.tar", name)


class TestTreeTarWithLongNames(TestTreeTar):
    above = f"{'data/' * 30}imagenet/"


class TestTreeTarWithLongNamesOfPax(TestTreeTar):
    above = f"{'data/' * 70}imagenet/"
    layout = tarfile.PAX_FORMAT


class TestTreeTarWithLongNamesOfUstar(TestTreeTar):
    above = f"{'data/' * 20}imagenet/"
    layout = tarfile.USTAR_FORMAT


class TestTarsOfClasses(StoreContract):
    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        for wnid, of in by_class(photos).items():
            put(folder / f"train/{wnid}.tar", tar_of(of))
        put_val(folder, photos)
        return open_source(folder)

    def lose(self, folder: Path, name: str) -> None:
        shorten(folder / f"train/{AIRLINER}.tar", name)


class TestHalfUnpacked(StoreContract):
    """One class in a folder, the others in their tars."""

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        for wnid, of in by_class(photos).items():
            if wnid == VOLCANO:
                for name, data in of.items():
                    put(folder / f"train/{wnid}/{name}", data)
            else:
                put(folder / f"train/{wnid}.tar", tar_of(of))
        put_val(folder, photos)
        store = open_source(folder)
        assert isinstance(store, JoinedStore)
        return store

    def lose(self, folder: Path, name: str) -> None:
        shorten(folder / f"train/{AIRLINER}.tar", name)


class TestClassesUnpackedInPart(TestHalfUnpacked):
    """Each class has its tar, and a folder with some photos of it."""

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        for wnid, of in by_class(photos).items():
            put(folder / f"train/{wnid}.tar", tar_of(of))
            (folder / f"train/{wnid}").mkdir()
            for name, data in [*of.items()][: 0 if wnid == AIRLINER else 2]:
                put(folder / f"train/{wnid}/{name}", data)
        put_val(folder, photos)
        return open_source(folder)


def test_the_tar_of_a_class_that_is_unpacked_is_left_alone(tmp_path: Path) -> None:
    for stem in stems_of(SMALLEST):
        put(tmp_path / "train" / SMALLEST.wnid / f"{stem}.JPEG", b"x")
    (tmp_path / "train" / f"{SMALLEST.wnid}.tar").write_bytes(b"whatever")
    store = open_source(tmp_path)
    subset = Subset("one", (SMALLEST,))
    records = list_images(subset, ["train"], store).records["train"]
    assert len(records) == SMALLEST.num_train_images


class TestTrainInFoldersAndValInItsTar(StoreContract):
    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        for wnid, of in by_class(photos).items():
            for name, data in of.items():
                put(folder / f"train/{wnid}/{name}", data)
        if val := val_of(photos):
            put(folder / VAL_TAR, tar_of(val))
        return open_source(folder)

    def lose(self, folder: Path, name: str) -> None:
        (folder / name).unlink()


# What is in a tar


def official(folder: Path, inner: Mapping[str, bytes]) -> Store:
    put(folder / TRAIN_TAR, tar_of({f"{wnid}.tar": data for wnid, data in inner.items()}))
    return open_source(folder)


def test_the_tar_of_a_class_that_is_not_asked_for_is_passed_over(tmp_path: Path) -> None:
    store = official(tmp_path, {AIRLINER: b"damaged" * 100, ACORN: tar_of({ONE: b"x"})})
    assert [photo.stem for photo in store.photos("train", [ACORN])] == [f"{ACORN}_21"]
    with pytest.raises(SourceError) as error:
        list(store.photos("train", SUBSET.wnids))
    assert f"of '{AIRLINER}.tar' in it" in shown(error)
    assert TRAIN_TAR in shown(error)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_in_the_place_of_a_photo_is_refused(tmp_path: Path, kind: bytes) -> None:
    members = [(tarfile.TarInfo(f"{ACORN}_3.JPEG"), b"x"), (link_of(ONE, kind=kind), b"")]
    store = official(tmp_path, {ACORN: tar_of_members(members)})
    with pytest.raises(SourceError) as error:
        list(store.photos("train", [ACORN]))
    assert f"'{ONE}' in it is a link, not a file" in shown(error)
    assert shown(error).endswith("; pack it by tar with -h and --hard-dereference")


def test_a_link_in_the_place_of_a_class_is_refused(tmp_path: Path) -> None:
    members = [(tarfile.TarInfo(f"{AIRLINER}.tar"), b""), (link_of(f"{ACORN}.tar"), b"")]
    put(tmp_path / TRAIN_TAR, tar_of_members(members))
    with pytest.raises(SourceError, match="is a link"):
        list(open_source(tmp_path).photos("train", [ACORN]))


def test_an_empty_tar_of_a_class_has_no_photos(tmp_path: Path) -> None:
    store = official(tmp_path, {AIRLINER: b"", ACORN: tar_of({}), VOLCANO: tar_of({"a": b""})})
    assert list(store.photos("train", SUBSET.wnids)) == []


def test_what_a_mac_and_other_programs_add_is_no_photo(tmp_path: Path) -> None:
    files = {f"._{ONE}": b"no", f"./{ONE}": b"yes", "thumbs.db": b"no", "notes/readme": b"no"}
    store = official(tmp_path, {ACORN: tar_of(files)})
    (photo,) = store.photos("train", [ACORN])
    reader = store.open()
    assert reader.read(photo.location) == b"yes"
    reader.close()


def test_a_photo_in_the_tar_of_another_class_is_refused(tmp_path: Path) -> None:
    store = official(tmp_path, {ACORN: tar_of({f"{VOLCANO}_3.JPEG": b"x"})})
    with pytest.raises(SourceError, match=f"train/{ACORN}/ with {VOLCANO}_3.JPEG") as error:
        list_images(SUBSET, ["train"], store)
    shown(error)


def test_a_photo_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    twice = [(tarfile.TarInfo(ONE), b"x"), (tarfile.TarInfo(ONE), b"x")]
    store = official(tmp_path, {ACORN: tar_of_members(twice)})
    with pytest.raises(SourceError, match=r"_21\.JPEG is there twice; make this archive") as error:
        list_images(SUBSET, ["train"], store, on_missing="skip")
    shown(error)


@pytest.mark.parametrize("layout", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_macos_adds_to_the_tars_of_classes_is_passed_over(tmp_path: Path, layout: int) -> None:
    tars = {f"{wnid}.tar": tar_of(of) for wnid, of in by_class(photos()).items()}
    added = {f"._{name}": b"\0\5\x16\7" + bytes(160) for name in tars}
    put(tmp_path / TRAIN_TAR, tar_of({**added, **tars}, layout))
    put_val(tmp_path, photos())
    assert len(list(open_source(tmp_path).photos("train", SUBSET.wnids))) == len(train_entries())


def test_a_tree_may_begin_with_the_photos_of_test(tmp_path: Path) -> None:
    test = {f"test/ILSVRC2012_test_{k:08}.JPEG": b"" for k in range(1100)}
    put(tmp_path / "imagenet.tar", tar_of({**test, **photos()}))
    store = open_source(tmp_path)
    assert len(list(store.photos("train", SUBSET.wnids))) == len(train_entries())


def test_a_tar_of_test_is_not_looked_into(tmp_path: Path) -> None:
    put_val(tmp_path, photos())
    put(tmp_path / "ILSVRC2012_img_test_v10102019.tar", tar_of({"a.JPEG": b"x" * 9000})[:5000])
    assert len(list(open_source(tmp_path).photos("val", SUBSET.wnids))) == 150


@pytest.mark.parametrize("above", ["", "./", BELOW])
def test_a_tar_of_one_split_says_which(tmp_path: Path, above: str) -> None:
    name = f"{val_name(min(val_numbers()))}.JPEG"
    put(tmp_path / "some.tar", tar_of({f"{above}{name}": b"x"}))
    expected = {"val"} if above != BELOW else {"train", "val"}
    assert open_source(tmp_path).splits == expected


def test_the_train_list_of_a_tree_is_read(tmp_path: Path) -> None:
    lines = "".join(f"{name} {number}\n" for name, number in train_entries()).encode()
    files = {BELOW + name: data for name, data in photos().items()}
    files["ILSVRC/ImageSets/CLS-LOC/train_cls.txt"] = lines
    put(tmp_path / "imagenet.tar", tar_of(files))
    records = list_images(SUBSET, ["train"], open_source(tmp_path / "imagenet.tar")).records
    assert records["train"].ids.tolist() == sorted(number for _, number in train_entries())


def test_both_splits_are_found_in_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TestTreeTar().make(tmp_path, photos())
    looks, look = [], TarStore.look

    def counted(self: TarStore, wnids: tuple[str, ...]) -> object:
        looks.append(wnids)
        return look(self, wnids)

    monkeypatch.setattr(TarStore, "look", counted)
    list_images(SUBSET, ["train", "val"], store, on_missing="skip")
    assert len(looks) == 1
