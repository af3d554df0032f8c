"""Archives of a split each, and a repository in the cache of Hugging Face's hub."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from imagenet_subset.sources import open_source
from tests.contracts.store import ACORN
from tests.harness.tars import tar_of

TRAIN, VAL = f"{ACORN}_3.JPEG", "ILSVRC2012_val_00000001.JPEG"


def counts(path: Path) -> list[int]:
    store = open_source(path)
    return [len(list(store.photos(split, [ACORN]))) for split in ("train", "val")]


def test_two_zips_of_a_split_each_are_read_together(tmp_path: Path) -> None:
    for split, name in (("train", f"{ACORN}/{TRAIN}"), ("val", VAL)):
        with zipfile.ZipFile(tmp_path / f"{split}.zip", "w") as archive:
            archive.writestr(f"{split}/{name}", b"x")
    for place in (tmp_path, tmp_path / "train.zip", tmp_path / "val.zip"):
        assert counts(place) == [1, 1]


def test_a_repository_in_the_cache_of_hugging_faces_hub_is_opened(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots/abc"
    for folder in (blobs, snapshot, tmp_path / "refs", tmp_path / "snapshots/old"):
        folder.mkdir(parents=True)
    (tmp_path / "refs/main").write_text("abc")
    for number, name in (("1", TRAIN), ("2", VAL)):
        (blobs / number).write_bytes(tar_of({name: b"x"}))
        (snapshot / f"{number}.tar").symlink_to(f"../../blobs/{number}")
    assert counts(tmp_path) == counts(snapshot) == [1, 1]


@pytest.mark.parametrize("suffix", [".tar", ".TAR", ".Tar"])
def test_the_suffix_of_a_tar_may_be_in_capitals(tmp_path: Path, suffix: str) -> None:
    of_class = tar_of({TRAIN: b"x"})
    (tmp_path / "official").mkdir()
    (tmp_path / f"official/train{suffix}").write_bytes(tar_of({f"{ACORN}{suffix}": of_class}))
    (tmp_path / f"official/val{suffix}").write_bytes(tar_of({VAL: b"x"}))
    assert counts(tmp_path / "official") == [1, 1]
    assert open_source(tmp_path / "official").notes == ()
    (tmp_path / "classes").mkdir()
    for wnid in (ACORN, "n01440764"):
        (tmp_path / f"classes/{wnid}{suffix}").write_bytes(tar_of({f"{wnid}_3.JPEG": b"x"}))
    store = open_source(tmp_path / "classes")
    assert [photo.wnid for photo in store.photos("train", [ACORN])] == [ACORN], "and no other"
