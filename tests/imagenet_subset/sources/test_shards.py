"""WebDataset's shards whose keys are the photos' names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table, wnid_of_val
from imagenet_subset.sources import open_source
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.tar.shards import ShardStore
from tests.contracts.store import ACORN, SUBSET, photos
from tests.imagenet_subset.sources.test_tar import TarContract, base, of_split, tar_of

WNIDS = list(class_table())


def sample(name: str, data: bytes, order: str = "cls jpg json") -> list[tuple[str, bytes]]:
    """A photo as timm's shards have it."""
    stem = base(name).removesuffix(".JPEG")
    wnid = name.split("/")[1] if name.startswith("train/") else wnid_of_val(int(stem[-8:]))
    parts = {"cls": str(WNIDS.index(wnid or "")).encode(), "jpg": data, "json": b"{}"}
    return [(f"{stem}.{suffix}", parts[suffix]) for suffix in order.split()]


class TestShardStore(TarContract):
    order = "cls jpg json"

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        for split, pattern in (
            ("train", "imagenet1k-train-{}"),
            ("val", "imagenet1k-validation-{}"),
        ):
            files = sorted(of_split(photos, split).items())
            for k in range(3 if files else 0):
                samples = [part for file in files[k::3] for part in sample(*file, self.order)]
                (folder / f"{pattern.format(k)}.tar").write_bytes(tar_of(samples))
        store = open_source(folder)
        assert isinstance(store, ShardStore)
        return store

    def comes_after(self, place, lost) -> bool:
        return place.file == lost.file and place.offset > lost.offset


class TestLabelsAfterPhotos(TestShardStore):
    order = "jpg json cls"


class TestNoLabelsForSome(TestShardStore):
    """Only the first photo of a shard has a label."""

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        store = super().make(folder, photos)
        for split in ("train", "val"):
            if files := sorted(of_split(photos, split).items()):
                samples = [*sample(*files[0]), *(p for f in files[1:] for p in sample(*f, "jpg"))]
                for path in folder.glob(f"*-{split}*.tar"):
                    path.unlink()
                (folder / f"imagenet1k-{split}-0.tar").write_bytes(tar_of(samples))
        del store
        return open_source(folder)

    def lose(self, folder: Path, name: str) -> None:
        (path,) = folder.glob("*-train-0.tar")
        data = path.read_bytes()
        os.truncate(path, data.rindex(photos()[name]) + 5)


@pytest.mark.parametrize("label", [b"3", b"1000", b"acorn", b"-1", b""])
def test_a_label_that_is_not_that_of_the_name_is_refused(tmp_path: Path, label: bytes) -> None:
    files = [(f"{ACORN}_1.cls", label), (f"{ACORN}_1.jpg", b"x")]
    (tmp_path / "imagenet1k-train-0.tar").write_bytes(tar_of(files))
    store = open_source(tmp_path)
    with pytest.raises(SourceError, match=f"the label of {ACORN}_1.jpg is .*one of {ACORN}"):
        list(store.photos("train", SUBSET.wnids))


def test_shards_and_other_tars_are_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "imagenet1k-train-0.tar").write_bytes(
        tar_of([(f"{ACORN}_1.cls", b"1"), (f"{ACORN}_1.jpg", b"x")])
    )
    (tmp_path / "ILSVRC2012_img_val.tar").write_bytes(
        tar_of([("ILSVRC2012_val_00000001.JPEG", b"x")])
    )
    with pytest.raises(SourceError, match="has tars of several kinds"):
        open_source(tmp_path)
