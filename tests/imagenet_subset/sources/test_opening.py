"""What `open_source` makes of a path: the best of what is there, or a line that says what to do."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.records import Split
from imagenet_subset.sources import open_source
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.sources.folder import FolderStore
from imagenet_subset.sources.joined import JoinedStore
from imagenet_subset.sources.tar.store import TarStore
from imagenet_subset.sources.zip.store import ZipStore
from tests.conftest import Cli
from tests.contracts.store import ACORN, SUBSET
from tests.harness.files import put
from tests.harness.tars import tar_of

TRAIN_TAR, VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
TRAIN, VAL = f"{ACORN}_3.JPEG", "ILSVRC2012_val_00000001.JPEG"
DOGS = tar_of({f"n{2085620 + 10 * k:08}.tar": b"" for k in range(120)})
ANOTHER = "; to read another, give its path"
FORMS = "or a folder or file of its tars, Kaggle's zip, Hugging Face's parquet or WebDataset's"


def put_train_tar(folder: Path, data: bytes = b"tar") -> Path:
    return put(folder / TRAIN_TAR, tar_of({f"{ACORN}.tar": tar_of({TRAIN: data})}))


def put_val_tar(folder: Path, data: bytes = b"tar") -> Path:
    return put(folder / VAL_TAR, tar_of({VAL: data}))


def put_zip(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for name in (f"train/{ACORN}/{TRAIN}", f"val/{VAL}"):
            archive.writestr(f"ILSVRC/Data/CLS-LOC/{name}", b"zip")
    return folder / "photos.zip"


def cut(path: Path) -> Path:
    """The same file, of which the end hasn't come."""
    os.truncate(path, path.stat().st_size // 2)
    return path


def test_of_zips_in_a_folder_what_keeps_one_from_being_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    shutil.make_archive(str(tmp_path / "a" / "papers"), "zip", __file__.rpartition("/")[0])
    path = cut(put_zip(tmp_path / "a"))
    assert refusal(tmp_path / "a") == refusal(path)
    assert "has no directory at its end; the file was cut off" in refusal(path)
    whole = put_zip(tmp_path / "b").rename(tmp_path / "a" / "other.zip")
    assert f"{refusal(path)}; it is left out" in open_source(tmp_path / "a").notes
    whole.unlink()
    put(tmp_path / "a" / "train" / ACORN / TRAIN, b"folder")
    says = list_errors(open_source(tmp_path / "a"))
    assert "has no directory at its end; the file was cut off" in says
    assert "to be unpacked" not in says


def list_errors(store: Store) -> str:
    with pytest.raises(SourceError) as error:
        list_images(SUBSET, ["val"], store)
    return str(error.value)


def test_a_zip_with_paths_of_windows_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.txt", b"")
        info = zipfile.ZipInfo("n")
        info.filename = f"train\\{ACORN}\\{TRAIN}"
        archive.writestr(info, b"x")
    for path in (tmp_path, tmp_path / "a.zip"):
        with pytest.raises(SourceError, match=r"with backslashes where a zip has slashes; unpack"):
            open_source(path)


def put_parquet(path: Path, name: str) -> Path:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    image = pa.array([{"bytes": b"parquet", "path": name}], kind)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"image": image, "label": pa.array([988], pa.int64())}), path)
    return path


def data_of(store: Store, split: Split) -> list[bytes]:
    """Contents of the photos of a split."""
    reader = store.open()
    try:
        return [reader.read(photo.location) for photo in store.photos(split, [ACORN])]
    finally:
        reader.close()


def refusal(path: Path) -> str:
    """Why nothing is opened: one printable line that names the path."""
    with pytest.raises(SourceError) as error:
        open_source(path)
    assert str(error.value).isprintable()
    assert str(path) in str(error.value)
    return str(error.value)


# The best of what is there


def test_folders_come_before_archives(tmp_path: Path) -> None:
    put(tmp_path / f"train/{ACORN}/{TRAIN}", b"folder")
    put(tmp_path / f"val/{VAL}", b"folder")
    put_train_tar(tmp_path)
    put_val_tar(tmp_path)
    put_zip(tmp_path)
    store = open_source(tmp_path)
    assert isinstance(store, FolderStore)
    assert data_of(store, "train") == data_of(store, "val") == [b"folder"]
    names = f"{TRAIN_TAR}, {VAL_TAR}, photos.zip"
    assert store.notes == (f"reads the folders in {tmp_path}, not {names}{ANOTHER}",)


def test_tars_come_before_a_zip(tmp_path: Path) -> None:
    put_train_tar(tmp_path)
    put_val_tar(tmp_path)
    put_zip(tmp_path)
    store = open_source(tmp_path)
    assert isinstance(store, TarStore)
    assert store.notes == (f"reads the tars in {tmp_path}, not photos.zip{ANOTHER}",)


def test_a_zip_comes_before_parquet(tmp_path: Path) -> None:
    put_parquet(tmp_path / "train-0.parquet", TRAIN)
    put_zip(tmp_path)
    store = open_source(tmp_path)
    assert isinstance(store, ZipStore)
    (note,) = store.notes
    assert note.endswith(f"not train-0.parquet{ANOTHER}")


def test_each_split_is_read_from_the_best_that_has_it(tmp_path: Path) -> None:
    put(tmp_path / f"train/{ACORN}/{TRAIN}", b"folder")
    put_train_tar(tmp_path)
    put_val_tar(tmp_path)
    put_zip(tmp_path)
    store = open_source(tmp_path)
    assert data_of(store, "train") == [b"folder"]
    assert data_of(store, "val") == [b"tar"]
    assert store.notes == (
        "reads train from the folders (not from the tars) and val from the tars in "
        f"{tmp_path}, not photos.zip{ANOTHER}",
    )


def test_an_empty_folder_of_a_split_does_not_hide_its_tar(tmp_path: Path) -> None:
    put(tmp_path / f"train/{ACORN}/{TRAIN}", b"folder")
    (tmp_path / "val").mkdir()
    put_val_tar(tmp_path)
    store = open_source(tmp_path)
    assert (data_of(store, "val"), store.notes) == ([b"tar"], ())


def test_a_class_in_a_folder_comes_before_its_tar(tmp_path: Path) -> None:
    put(tmp_path / f"train/{ACORN}/{TRAIN}", b"folder")
    put(tmp_path / f"train/{ACORN}.tar", tar_of({TRAIN: b"tar"}))
    put(tmp_path / f"val/{VAL}", b"folder")
    assert data_of(open_source(tmp_path), "train") == [b"folder"]


def test_what_else_is_wrong_is_noted(tmp_path: Path) -> None:
    put_zip(tmp_path)
    put(tmp_path / "cut.tar", tar_of({TRAIN: b"x" * 9000})[:4000])
    first, _ = open_source(tmp_path).notes
    assert first.startswith(f"can't read {tmp_path / 'cut.tar'}: it is cut off or damaged")
    assert first.endswith("; get it anew; it is left out")


@pytest.mark.parametrize("name", ["ILSVRC2012_devkit_t12.tar", "ILSVRC2012_devkit_t12.tar.gz"])
def test_the_devkit_is_of_no_account(tmp_path: Path, name: str) -> None:
    put_train_tar(tmp_path)
    put_val_tar(tmp_path)
    put(tmp_path / name, tar_of({"ILSVRC2012_devkit_t12/readme.txt": b"x"}))
    put(tmp_path / "ILSVRC2012_img_test_v10102019.tar", tar_of({"test/a.JPEG": b"x"}))
    store = open_source(tmp_path)
    assert store.splits == {"train", "val"}
    assert not store.notes
    assert len(store.instead("train", ACORN).split(",")) == 2, "those two only"


# A path to a file


@pytest.mark.parametrize("given", [TRAIN_TAR, VAL_TAR])
def test_one_of_the_two_tars_takes_the_other(tmp_path: Path, given: str) -> None:
    put_train_tar(tmp_path)
    put_val_tar(tmp_path)
    store = open_source(tmp_path / given)
    assert data_of(store, "train") == data_of(store, "val") == [b"tar"]


def test_a_tar_of_val_takes_the_train_folder_beside_it(tmp_path: Path) -> None:
    put(tmp_path / f"train/{ACORN}/{TRAIN}", b"folder")
    store = open_source(put_val_tar(tmp_path))
    assert isinstance(store, JoinedStore)
    assert (data_of(store, "train"), data_of(store, "val")) == ([b"folder"], [b"tar"])


def test_a_tar_of_train_takes_the_val_folder_beside_it(tmp_path: Path) -> None:
    put(tmp_path / f"val/{VAL}", b"folder")
    store = open_source(put_train_tar(tmp_path))
    assert (data_of(store, "train"), data_of(store, "val")) == ([b"tar"], [b"folder"])


def test_a_tar_alone_has_its_split(tmp_path: Path) -> None:
    assert open_source(put_val_tar(tmp_path / "val_only")).splits == {"val"}
    assert open_source(put_train_tar(tmp_path / "train_only")).splits == {"train"}


def test_a_tar_is_known_by_its_content(tmp_path: Path) -> None:
    assert isinstance(open_source(put(tmp_path / "photos", tar_of({VAL: b"x"}))), TarStore)


# What is refused


@pytest.mark.parametrize("name", ["ILSVRC2012_img_train_t3.tar", "dogs.tar", TRAIN_TAR])
@pytest.mark.parametrize("as_folder", [True, False])
def test_the_tar_of_task_3_is_refused(tmp_path: Path, name: str, as_folder: bool) -> None:
    path = put(tmp_path / name, DOGS)
    message = refusal(tmp_path if as_folder else path)
    assert message == (
        f"{path} is of ILSVRC's task 3, photos of dogs only; get the tar of tasks 1 and 2, "
        "ILSVRC2012_img_train.tar, of 147,897,477,120 bytes"
    )


def test_the_tar_of_task_3_beside_others_is_noted_if_train_is_lacking(tmp_path: Path) -> None:
    put(tmp_path / "ILSVRC2012_img_train_t3.tar", DOGS)
    put_val_tar(tmp_path)
    (note,) = open_source(tmp_path).notes
    assert "task 3, photos of dogs only; get" in note
    put_train_tar(tmp_path)
    assert open_source(tmp_path).notes == ()


@pytest.mark.parametrize(
    ("compress", "suffix", "by", "command"),
    [
        (gzip.compress, "gz", "gzip", "gunzip -k"),
        (bz2.compress, "bz2", "bzip2", "bunzip2 -k"),
        (lzma.compress, "xz", "xz", "unxz -k"),
    ],
)
def test_a_compressed_tar_is_refused(
    tmp_path: Path, compress, suffix: str, by: str, command: str
) -> None:
    path = put(tmp_path / f"val_images.tar.{suffix}", compress(tar_of({VAL: b"x"})))
    message = refusal(path)
    assert f"is compressed by {by}, so that a photo in it can't be found" in message
    assert message.endswith(f"unpack it by {command}, and give what comes out")
    message = refusal(tmp_path)
    assert f"has val_images.tar.{suffix}, compressed by {by}" in message
    assert message.endswith(f"unpack them by {command}, and give the same folder")


@pytest.mark.parametrize("below", ["", "data/"])
def test_hugging_faces_first_archives_are_refused_and_read_when_unpacked(
    tmp_path: Path, below: str
) -> None:
    tars = {"train_images_0": TRAIN, "train_images_1": TRAIN, "val_images": VAL}
    for stem, name in tars.items():
        put(tmp_path / f"{below}{stem}.tar.gz", gzip.compress(tar_of({name: b"x"})))
    message = refusal(tmp_path)
    assert f"has {below}train_images_0.tar.gz, {below}train_images_1.tar.gz, " in message
    for stem in tars:
        data = gzip.decompress((tmp_path / f"{below}{stem}.tar.gz").read_bytes())
        put(tmp_path / f"{below}{stem}.tar", data)
    assert open_source(tmp_path).splits == {"train", "val"}


def test_a_compressed_tar_that_is_named_as_a_tar_is_refused(tmp_path: Path) -> None:
    put(tmp_path / VAL_TAR, gzip.compress(tar_of({VAL: b"x"})))
    assert "is compressed by gzip" in refusal(tmp_path / VAL_TAR)
    assert f"has {VAL_TAR}, compressed by gzip" in refusal(tmp_path)


@pytest.mark.parametrize(
    "name", ["ILSVRC2012_img_test_v10102019.tar", "ILSVRC2012_devkit_t12.tar", "other.tar"]
)
def test_a_tar_of_other_files_is_refused(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / name, tar_of({"test/ILSVRC2012_test_00000001.JPEG": b"x"}))
    message = refusal(path)
    assert "without photos named as ILSVRC's train and val photos; give the tar" in message
    assert "neither train/ nor val/" in refusal(tmp_path)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert f"{tmp_path / 'nope'} doesn't exist; --data_dir is " in refusal(tmp_path / "nope")
    assert FORMS in refusal(tmp_path / "nope")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    assert "nor an archive of ImageNet: it is empty; --data_dir is " in refusal(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("name", ["pipe", "pipe.tar"])
def test_a_pipe_is_refused_and_never_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    assert "is a pipe or a device" in refusal(tmp_path / name)
    message = refusal(tmp_path)
    assert "it is a named pipe, not a file" in message if "." in name else "has 1 file" in message


@pytest.mark.parametrize("data", [b"no tar", b"no tar\n" * 300, tar_of({VAL: b"x"})[:300]])
def test_a_file_that_is_named_as_a_tar_only_is_refused(tmp_path: Path, data: bytes) -> None:
    path = put(tmp_path / "a.tar", data)
    assert "is a file, and no archive of a kind that is read; --data_dir is " in refusal(path)
    assert "it has no photo of ImageNet in a.tar; --data_dir is " in refusal(tmp_path)


def test_a_tar_that_begins_with_zeros_is_an_unfinished_download(tmp_path: Path) -> None:
    path = put(tmp_path / "a.tar", b"\0" * 20480)
    expected = f"{path} begins with zeros, as a download that isn't finished; get it anew"
    assert refusal(path) == refusal(tmp_path) == expected
    put(tmp_path / "b.tar", tar_of({VAL: b"x"}))
    assert expected in open_source(tmp_path).notes


@pytest.mark.parametrize("name", ["a.tar", "a.zip", "a.parquet", "photos"])
def test_an_empty_file_is_refused_as_such(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / name, b"")
    assert refusal(path) == f"{path} is empty; get it anew"


@pytest.mark.parametrize("val", [f"val/{VAL}", f"val/{ACORN}/{VAL}", f"validation/{ACORN}/{VAL}"])
def test_the_folder_of_a_split_or_a_class_is_refused_with_the_one_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, val: str
) -> None:
    put(tmp_path / f"train/{ACORN}/{TRAIN}", b"x")
    put(tmp_path / val, b"x")
    above = f"; give the one above {{}}/, {tmp_path}"
    for path in (tmp_path / "train", (tmp_path / val).parents[val.count("/") - 1]):
        split = path.name.removesuffix("idation")
        assert refusal(path) == f"{path} is only the folder of {split}{above.format(path.name)}"
    path = tmp_path / "train" / ACORN
    expected = f"is only the folder of a class{above.format('train')}"
    assert refusal(path) == f"{path} {expected}"
    monkeypatch.chdir(path)
    with pytest.raises(SourceError) as error:
        open_source(Path("."))
    assert str(error.value) == f". {expected}"
    assert open_source(tmp_path).splits == {"train", "val"}


@pytest.mark.parametrize("photo", [f"{ACORN}/{TRAIN}", TRAIN, f"{ACORN}/{VAL}", VAL])
def test_a_split_in_a_folder_of_another_name_is_refused_with_what_to_do(
    tmp_path: Path, photo: str
) -> None:
    folder = tmp_path / "photos"
    put(folder / photo, b"x")
    message = refusal(folder)
    assert message.startswith(f"{folder} has photos, but {folder} isn't called train or val; ")
    assert message.endswith(f"give the folder above it, {tmp_path}")


def test_a_link_that_leads_nowhere_is_named(tmp_path: Path) -> None:
    try:
        (tmp_path / VAL_TAR).symlink_to("nowhere")
    except OSError:
        pytest.skip("no symbolic links here")
    put_train_tar(tmp_path)
    message = refusal(tmp_path)
    why = "it is a link to nowhere, which isn't there"
    assert message == f"can't read {tmp_path / VAL_TAR}: {why}; put that right"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no POSIX permissions here")
@pytest.mark.parametrize("as_folder", [True, False])
def test_a_tar_without_permission_is_named(cli: Cli, tmp_path: Path, as_folder: bool) -> None:
    as_others: list[str] = []
    if os.getuid() == 0:  # root without the powers that let it read everything
        if not shutil.which("setpriv"):
            pytest.skip("root reads everything, and there is no setpriv")
        as_others = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    path = put_val_tar(tmp_path / "given")
    (tmp_path / "acorn.txt").write_text(f"{ACORN}\n")
    path.chmod(0)
    try:
        done = cli(
            "--subset_name", tmp_path / "acorn.txt", "--workers", 1, "--device", "cpu",
            "--data_dir", path.parent if as_folder else path, under=as_others,
        )  # fmt: skip
    finally:
        path.chmod(0o644)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"{path}: Permission denied" in done.stderr


def test_a_folder_whose_name_has_two_lines_is_named_in_one(tmp_path: Path) -> None:
    folder = tmp_path / "line\nbreak"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("no such names here")
    with pytest.raises(SourceError) as error:
        open_source(folder)
    assert str(error.value).isprintable()
