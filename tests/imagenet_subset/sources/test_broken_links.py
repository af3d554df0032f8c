"""Links that lead nowhere: to a disk that isn't mounted, or to what was deleted from a cache."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.system.files import broken_link
from tests.contracts.store import ACORN, SUBSET
from tests.harness.files import put
from tests.harness.tars import tar_of

TRAIN, VAL = f"{ACORN}_3.JPEG", "ILSVRC2012_val_00000001.JPEG"
KAGGLE = "imagenet-object-localization-challenge.zip"
PARQUET = "data/train-00000-of-00294.parquet"
BLOB = "../../blobs/d2"
NOWHERE = f"a link to {BLOB}, which isn't there"


def link(path: Path, target: str = BLOB) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("no symbolic links here")
    return path


def refusal(path: Path) -> str:
    """Why no photo of both splits is found: one printable line."""
    with pytest.raises(SourceError) as error:
        list_images(SUBSET, ["train", "val"], open_source(path))
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize(
    "name", ["ILSVRC2012_img_train.tar", KAGGLE, "other.zip", PARQUET, "train.tgz", "photos"]
)
def test_one_that_is_given_is_named(tmp_path: Path, name: str) -> None:
    path = link(tmp_path / name)
    assert refusal(path) == f"{path} is {NOWHERE}; put that right"


@pytest.mark.parametrize(
    "name",
    ["ILSVRC2012_img_train.tar", KAGGLE, "other.zip", PARQUET, "train.tgz", "train", "Data"],
)
def test_one_in_a_folder_is_named(tmp_path: Path, name: str) -> None:
    path = link(tmp_path / name)
    message = refusal(tmp_path)
    assert message.startswith((f"{path} is {NOWHERE}", f"can't read {path}: it is {NOWHERE}"))


@pytest.mark.parametrize(
    "name",
    ["ILSVRC2012_img_train.tar", KAGGLE, "train.zip", PARQUET, "train.tgz", "train", "train/a.tar"],
)
@pytest.mark.parametrize("val", [f"val/{VAL}", "val.zip"])
def test_one_that_had_what_is_lacking_is_named(tmp_path: Path, name: str, val: str) -> None:
    if val.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / val, "w") as archive:
            archive.writestr(f"val/{VAL}", b"x")
    else:
        put(tmp_path / val)
    link(tmp_path / name)
    message = refusal(tmp_path)
    assert "no train photo of any class" in message
    assert name in message
    assert message.count(NOWHERE) == 1, "once only"


def test_a_snapshot_of_the_hub_whose_files_are_gone_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "refs/main", b"abc")
    for number in range(3):
        link(tmp_path / f"snapshots/abc/imagenet1k-train-{number}.tar")
    first = tmp_path / "snapshots/abc/imagenet1k-train-0.tar"
    assert refusal(tmp_path) == f"can't read {first}: it is {NOWHERE}; put that right"


def test_all_the_links_of_a_folder_are_counted(tmp_path: Path) -> None:
    paths = [link(tmp_path / f"{k}.tar.gz") for k in range(3)]
    assert refusal(tmp_path) == f"{paths[0]} is {NOWHERE} (3 such links); put that right"


@pytest.mark.parametrize("name", [f"train/{ACORN}", f"train/{ACORN}/{TRAIN}", f"train/{ACORN}.tar"])
def test_a_class_that_is_one_is_named(tmp_path: Path, name: str) -> None:
    of_acorn = tuple(c for c in SUBSET.classes if c.wnid == ACORN)
    put(tmp_path / "train/n01440764/n01440764_3.JPEG")
    link(tmp_path / name)
    with pytest.raises(SourceError, match="is a link to") as error:
        list_images(Subset("one", of_acorn), ["train"], open_source(tmp_path))
    assert NOWHERE in str(error.value)


def test_what_is_not_allowed_to_be_looked_at_is_no_broken_link(tmp_path: Path) -> None:
    loop = link(tmp_path / "loop", "loop")
    assert broken_link(loop) == broken_link(tmp_path) == broken_link(tmp_path / "no") == ""
    assert broken_link(link(tmp_path / "a", "b\nc")) == "a link to b\\nc, which isn't there"


def test_one_that_is_opened_is_named(tmp_path: Path) -> None:
    store = open_source(put(tmp_path / "val.tar", tar_of({VAL: b"x"})))
    (tmp_path / "val.tar").unlink()
    link(tmp_path / "val.tar")
    with pytest.raises(SourceError, match="it is a link to"):
        list(store.photos("val", SUBSET.wnids))
