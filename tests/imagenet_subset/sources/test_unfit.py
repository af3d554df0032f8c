"""What is said of files that may be ImageNet, and aren't read as they are."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.sources import open_source
from imagenet_subset.sources.catalogue import list_images
from tests.contracts.store import ACORN, SUBSET
from tests.harness.files import put
from tests.harness.tars import tar_of

TRAIN, VAL = f"{ACORN}_3.JPEG", "ILSVRC2012_val_00000001.JPEG"
TAR = tar_of({f"{ACORN}.tar": tar_of({TRAIN: b"x"})})
UNFIT = {
    ".tar.gz": (gzip.compress(TAR), "compressed by gzip", "unpack them by gunzip -k"),
    ".tgz": (gzip.compress(TAR), "compressed by gzip", "unpack them by gunzip -k"),
    ".tar.bz2": (bz2.compress(TAR), "compressed by bzip2", "unpack them by bunzip2 -k"),
    ".tar.xz": (lzma.compress(TAR), "compressed by xz", "unpack them by unxz -k"),
    ".tar.part": (TAR[:700], "a part of a download", "finish the download"),
    ".tar.crdownload": (TAR[:700], "a part of a download", "finish the download"),
    ".tar.aria2": (b"\0\1" + bytes(40), "a part of a download", "finish the download"),
    ".7z": (b"7z\xbc\xaf\x27\x1c\0\4" + bytes(90), "packed by 7-Zip", "unpack them by 7z x"),
    ".rar": (b"Rar!\x1a\x07\x01\0" + bytes(90), "packed by RAR", "unpack them by unrar x"),
    ".tfrecord": (bytes(900), "of TFRecord", "give the official tars"),
    ".arrow": (b"\xff\xff\xff\xff" + bytes(90), "in Arrow's format", "give the parquet files"),
}
"""Contents by suffix, and what is said of them."""


def refusal(path: Path) -> str:
    with pytest.raises(SourceError) as error:
        open_source(path)
    assert str(error.value).isprintable()
    return str(error.value)


# Beside a split that is read


@pytest.mark.parametrize("suffix", UNFIT)
def test_what_a_split_is_packed_in_is_named_where_it_is_lacking(
    tmp_path: Path, suffix: str
) -> None:
    data, what, remedy = UNFIT[suffix]
    put(tmp_path / f"val/{VAL}", b"x")
    name = put(tmp_path / f"ILSVRC2012_img_train{suffix}", data).name
    (note,) = open_source(tmp_path).notes
    assert note.startswith(f"{tmp_path} has {name}, {what}")
    assert f"; {remedy}" in note
    put(tmp_path / f"train/{ACORN}/{TRAIN}", b"x")
    assert open_source(tmp_path).notes == ()


@pytest.mark.parametrize(
    "name", ["val_images.tar.gz", "data/val_images.tar.gz", "Data/CLS-LOC/validation/all.tar.gz"]
)
def test_only_files_that_may_have_what_is_lacking_are_named(tmp_path: Path, name: str) -> None:
    put(tmp_path / f"Data/CLS-LOC/train/{ACORN}/{TRAIN}", b"x")
    for other in ("ILSVRC2012_img_train", "ILSVRC2012_devkit_t12", "ILSVRC2012_img_test"):
        put(tmp_path / f"{other}.tar.gz", gzip.compress(TAR))
    assert open_source(tmp_path).notes == ()
    put(tmp_path / name, gzip.compress(TAR))
    (note,) = open_source(tmp_path).notes
    assert note.startswith(f"{tmp_path} has {name}, compressed by gzip")


def test_what_is_beside_a_tar_that_is_given_is_named_too(tmp_path: Path) -> None:
    put(tmp_path / "ILSVRC2012_img_train.tgz", gzip.compress(TAR))
    (note,) = open_source(put(tmp_path / "val.tar", tar_of({VAL: b"x"}))).notes
    assert "has ILSVRC2012_img_train.tgz, compressed by gzip" in note


def test_the_error_for_a_split_without_photos_says_so_too(tmp_path: Path) -> None:
    put(tmp_path / "val.tar", tar_of({VAL: b"x"}))
    put(tmp_path / "ILSVRC2012_img_train.tar.part", TAR[:700])
    with pytest.raises(SourceError) as error:
        list_images(SUBSET, ["train", "val"], open_source(tmp_path))
    assert str(error.value) == (
        f"{tmp_path} has no train photo of any class of the subset: val.tar has none; "
        f"{tmp_path} has ILSVRC2012_img_train.tar.part, a part of a download that isn't "
        "finished; finish the download, and give the same folder; get the files that have them, "
        "or leave them out by --splits val"
    )


# Given for themselves


@pytest.mark.parametrize("suffix", [s for s in UNFIT if s not in (".tar.part", ".tar.crdownload")])
def test_what_is_packed_is_refused_with_what_to_do(tmp_path: Path, suffix: str) -> None:
    data, what, remedy = UNFIT[suffix]
    path = put(tmp_path / f"images{suffix}", data)
    message = refusal(path)
    assert message.startswith(f"{path} is {what}")
    assert f"; {remedy.replace('them', 'it')}" in message
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path} has images{suffix}, {what}")
    assert f"; {remedy}" in message


@pytest.mark.parametrize(
    "name",
    [
        "imagenet2012-train.tfrecord-00000-of-01024",
        "train-00000-of-01024",
        "imagenet-1k-train-00000-of-00257.arrow",
    ],
)
def test_a_cache_of_another_library_is_named_as_such(tmp_path: Path, name: str) -> None:
    put(tmp_path / name, b"ARROW1\0\0" if "arrow" in name else bytes(16))
    assert ("official tars" in refusal(tmp_path)) == ("arrow" not in name)
    assert ("parquet files of" in refusal(tmp_path / name)) == ("arrow" in name)


def test_every_kind_in_a_folder_is_named(tmp_path: Path) -> None:
    put(tmp_path / "train.7z", UNFIT[".7z"][0])
    put(tmp_path / "val.tar.gz", gzip.compress(TAR))
    message = refusal(tmp_path)
    assert "has train.7z, packed by 7-Zip" in message
    assert "has val.tar.gz, compressed by gzip" in message


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gunzip": gzip.compress,
    "bunzip2": bz2.compress,
    "unxz": lzma.compress,
}


@pytest.mark.parametrize("name", ["ILSVRC2012_img_train.tar", "it's all.TAR", "photos"])
@pytest.mark.parametrize("unpacker", COMPRESSORS)
def test_the_advice_for_a_name_without_suffix_works(
    tmp_path: Path, unpacker: str, name: str
) -> None:
    data = COMPRESSORS[unpacker](TAR)  # gzip notes the second in it
    path = put(tmp_path / name, data)
    message = refusal(path)
    command = message.partition("; unpack it by ")[2].removesuffix(", and give what comes out")
    assert command.startswith(f"{unpacker} < ")
    if path.suffix:
        assert f"unpack them by {command}, and give the same folder" in refusal(tmp_path)
    if not shutil.which(unpacker):
        pytest.skip(f"has no {unpacker}")
    subprocess.run(command, shell=True, check=True)
    assert path.read_bytes() == data
    assert (tmp_path / f"{path.stem}-unpacked.tar").read_bytes() == TAR
    assert open_source(tmp_path).splits == {"train"}
