"""The forms of ImageNet that tests build from have each photo once, with its own bytes."""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.archives import KAGGLE_ZIP, TRAIN_TAR, VAL_TAR
from tests.harness.forms import FORMS, WITH_TRAIN_LIST
from tests.harness.originals import SORTED_WNIDS, originals, small_tree
from tests.harness.tables import numbered_wds


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_tree(tmp_path_factory.mktemp("forms"))


def files_in(data_dir: Path) -> Iterator[tuple[str, bytes]]:
    """Name and contents of each file of a form, those in archives too."""
    paths = sorted(data_dir.rglob("*")) if data_dir.is_dir() else [data_dir]
    for path in paths:
        assert not path.is_symlink()
        if path.suffix == ".parquet":
            yield from rows_in(path)
        elif path.is_file():
            yield from unpacked(path.name, path.read_bytes())


def unpacked(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield from ((info.filename, archive.read(info)) for info in archive.infolist())
    elif name.endswith(".tar"):
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            for member in filter(tarfile.TarInfo.isfile, tar):
                file = tar.extractfile(member)
                assert file is not None
                yield from unpacked(member.name, file.read())
    else:
        yield name, data


def rows_in(path: Path) -> Iterator[tuple[str, bytes]]:
    parquet = pytest.importorskip("pyarrow.parquet")
    for row in parquet.read_table(path).to_pylist():
        name = row["image"]["path"]
        wnid = re.search(r"n\d{8}(?=\.JPEG)", name)
        assert row["label"] == (SORTED_WNIDS.index(wnid[0]) if wnid else -1)
        yield name, row["image"]["bytes"]


def stem_of(name: str) -> str | None:
    """Name of a photo without what a form adds to it; None for what is no train or val photo."""
    match = re.fullmatch(
        r"(?:.*/)?(n\d{8}_\d+|ILSVRC2012_val_\d{8})(?:_n\d{8})?\.(?:JPEG|jpg)", name
    )
    return match[1] if match else None


@pytest.mark.parametrize("form", FORMS)
def test_a_form_has_each_photo_once_with_its_own_bytes(form: str, tree: Path, tmp_path) -> None:
    data_dir = FORMS[form](tree, tmp_path)
    assert data_dir.is_relative_to(tmp_path)
    files = [(stem_of(name), name, data) for name, data in files_in(data_dir)]
    found = [(stem, data) for stem, _, data in files if stem]
    expected = {
        photo.stem: photo.path.read_bytes()
        for split in ("train", "val")
        for photo in originals(tree, split)
    }
    assert len(found) == len(expected) == 4 * (6 + 50)
    assert dict(found) == expected
    names = [name for stem, name, _ in files if not stem]
    assert any(name.endswith("ImageSets/CLS-LOC/train_cls.txt") for name in names) == (
        form in WITH_TRAIN_LIST
    )


def test_webdatasets_writer_puts_a_pax_header_before_each_member(tree: Path, tmp_path) -> None:
    FORMS["timm_wds"](tree, tmp_path)
    with tarfile.open(tmp_path / "imagenet1k-train-0000.tar") as tar:
        assert all("mtime" in member.pax_headers for member in tar)


def test_numbered_shards_have_the_bytes_of_all_photos(tree: Path, tmp_path: Path) -> None:
    numbered_wds(tree, tmp_path)
    found = {name: data for name, data in files_in(tmp_path) if name.endswith(".jpg")}
    first = originals(tree, "train")[0]
    photos = [photo.path for split in ("train", "val") for photo in originals(tree, split)]
    with tarfile.open(tmp_path / "imagenet-train-000000.tar") as tar:
        file = tar.extractfile("0000000.jpg")
        assert file is not None
        assert file.read() == first.path.read_bytes()
    assert len(found) == 50 * 4
    files = [data for name, data in files_in(tmp_path) if name.endswith(".jpg")]
    assert Counter(files) == Counter(path.read_bytes() for path in photos)


@pytest.mark.parametrize(
    ("form", "magic", "pax"),
    [
        ("official_tars", b"ustar  \0", False),
        ("official_tars_ustar", b"ustar\x0000", False),
        ("official_tars_posix", b"ustar\x0000", True),
        ("python_tars", b"ustar\x0000", True),
    ],
)
def test_tars_are_of_all_formats_and_val_is_in_no_order(form, magic, pax, tree, tmp_path) -> None:
    FORMS[form](tree, tmp_path)
    for name in (TRAIN_TAR, VAL_TAR):
        with open(tmp_path / name, "rb") as file:
            assert file.read(265)[257:] == magic
        with tarfile.open(tmp_path / name) as tar:
            members = tar.getmembers()
        assert all(bool(member.pax_headers) == pax for member in members)
    assert [member.name for member in members] != sorted(member.name for member in members)


@pytest.mark.parametrize(
    ("form", "methods", "version"),
    [
        ("kaggle_zip", {zipfile.ZIP_STORED}, 10),
        ("kaggle_zip_deflated", {zipfile.ZIP_DEFLATED}, 20),
        ("kaggle_zip_64", {zipfile.ZIP_STORED}, 45),
        ("kaggle_7z", {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}, 20),
    ],
)
def test_zips_are_of_all_kinds(form, methods, version, tree, tmp_path) -> None:
    FORMS[form](tree, tmp_path)
    with zipfile.ZipFile(tmp_path / KAGGLE_ZIP) as archive:
        entries = [info for info in archive.infolist() if not info.is_dir()]
        assert archive.testzip() is None
    assert all(info.filename.startswith(("ILSVRC/", "LOC_")) for info in entries)
    assert {info.compress_type for info in entries} == methods
    assert max(info.extract_version for info in entries) == version


def test_parquet_is_in_row_groups_of_several_shards(tree: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow isn't installed")
    FORMS["hf_parquet_small_groups"](tree, tmp_path)
    paths = sorted((tmp_path / "data").iterdir())
    assert [path.name.partition("-")[0] for path in paths] == [
        "test", "train", "train", "validation", "validation"
    ]  # fmt: skip
    train = parquet.ParquetFile(paths[1])
    assert [train.metadata.row_group(k).num_rows for k in range(4)] == [3] * 4
    labels = train.read(columns=["label"]).column("label").to_pylist()
    assert labels != sorted(labels)
