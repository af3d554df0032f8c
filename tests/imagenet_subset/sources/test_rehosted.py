"""Copies of ImageNet by others: resized ones are refused, photos encoded anew are counted."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagenet_subset.columns import pack
from imagenet_subset.demo.photos import jpeg, photo
from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.ilsvrc.numbering import val_name
from imagenet_subset.ilsvrc.reencoded import REENCODED
from imagenet_subset.npz.provenance import Provenance
from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.rehosted import check_sizes
from tests.harness.stores import write_one_file
from tests.harness.tables import hf_parquet

CLASSES = list(class_table())
CMYK = "n01739381_1309"


def encoded(size: tuple[int, int], form: str = "JPEG", mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size).save(buffer, form)
    return buffer.getvalue()


def store_of(path: Path, files: list[bytes]) -> Store:
    names = (f"train/n01440764/n01440764_{k}.JPEG" for k in range(len(files)))
    return write_one_file(path, dict(zip(names, files, strict=True)))


def checked(path: Path, files: list[bytes]) -> None:
    store = store_of(path, files)
    check_sizes(store, pack([p.location for p in store.photos("train", ["n01440764"])]))


def sides(seed: int = 0) -> Iterator[int]:
    draw = np.random.default_rng(seed)
    return iter(lambda: int(draw.integers(257, 420)), 0)


RESIZED: dict[str, Callable[[int], tuple[int, int]]] = {
    "square 32": lambda _: (32, 32),
    "square 64": lambda _: (64, 64),
    "square 256": lambda _: (256, 256),
    "shorter side 256": lambda other: (256, other) if other % 2 else (other, 256),
    "longer side 256": lambda other: (256, other - 200) if other % 2 else (other - 200, 256),
}


@pytest.mark.parametrize("name", RESIZED)
def test_a_resized_copy_is_refused(tmp_path: Path, name: str) -> None:
    files = [encoded(RESIZED[name](other)) for other, _ in zip(sides(), range(40), strict=False)]
    with pytest.raises(SourceError, match="is a resized or re-encoded copy of ImageNet") as error:
        checked(tmp_path / "photos", files)
    message = str(error.value)
    assert "pixels" in message
    assert "ILSVRC/imagenet-1k" in message
    assert message.isprintable()


@pytest.mark.parametrize("form", ["WEBP", "PNG"])
def test_a_copy_that_is_no_jpegs_is_refused(tmp_path: Path, form: str) -> None:
    files = [encoded((500, other), form) for other, _ in zip(sides(), range(30), strict=False)]
    with pytest.raises(SourceError, match="of 30 photos 30 aren't JPEGs"):
        checked(tmp_path / "photos", files)


def test_photos_as_ilsvrc_has_them_pass(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    sizes = [(500, int(draw.integers(300, 400))) for _ in range(40)]
    sizes += [(int(draw.integers(60, 900)), int(draw.integers(60, 900))) for _ in range(20)]
    checked(tmp_path / "photos", [encoded(size) for size in sizes])
    checked(tmp_path / "alike", [encoded((500, 375))] * 64)


def test_a_few_small_photos_that_were_left_as_they_are_hide_no_copy(tmp_path: Path) -> None:
    resized = [encoded((256, side - 200)) for side, _ in zip(sides(), range(60), strict=False)]
    says = "the longer side of 60 of 63 photos has 256 pixels"
    with pytest.raises(SourceError, match=says):
        checked(tmp_path / "photos", [*resized, *[encoded((90, 70))] * 3])
    checked(tmp_path / "half", [*resized[:30], *[encoded((500, 375))] * 30])


@pytest.mark.parametrize("side", [320, 384])
def test_larger_copies_are_refused_too(tmp_path: Path, side: int) -> None:
    with pytest.raises(SourceError, match=f"the shorter side of each of 30 photos has {side}"):
        checked(tmp_path / "photos", [encoded((side, 500))] * 30)


@pytest.mark.parametrize("side", [375, 333])
def test_a_shorter_side_that_is_usual_in_ilsvrc_passes(tmp_path: Path, side: int) -> None:
    files = [encoded((500, side)), encoded((side, 500)), encoded((600, side))] * 10
    checked(tmp_path / "photos", files)


@dataclass(frozen=True)
class Tens(Store):
    """Photos by their numbers, of which ten at a time are cheap to read; it notes what is read."""

    contents: bytes
    read: list[int] = field(default_factory=list)
    root: str = "tens"

    def photos(self, split, wnids):
        raise NotImplementedError

    def describe(self, at, stem=""):
        return f"tens/{at}"

    def groups(self, locations):
        return (range(k, k + 10) for k in range(0, len(locations), 10))

    def open(self):
        return TensReader(self)


class TensReader:
    def __init__(self, store: Tens) -> None:
        self.store = store

    def read(self, location) -> bytes:
        self.store.read.append(int(location))
        return self.store.contents

    def close(self) -> None:
        pass


def test_the_sample_is_of_groups_from_anywhere_and_the_same_each_time() -> None:
    photos, numbers = encoded((500, 375)), pack([str(k) for k in range(10_000)])
    store, again = Tens(photos), Tens(photos)
    check_sizes(store, numbers)
    check_sizes(again, numbers)
    assert len(store.read) == 64
    assert again.read == store.read
    groups = [number // 10 for number in store.read]
    assert len(set(groups)) == 7
    assert min(groups) < 250
    assert max(groups) > 750


def test_a_small_split_is_looked_at_as_a_whole() -> None:
    store = Tens(encoded((256, 256)))
    with pytest.raises(SourceError, match=r"^tens is a resized .* each of 30 photos"):
        check_sizes(store, pack([str(k) for k in range(30)]))
    assert sorted(store.read) == list(range(30))


def test_of_a_few_photos_nothing_is_said(tmp_path: Path) -> None:
    checked(tmp_path / "photos", [encoded((256, 256))] * 19)


def test_what_is_no_image_says_nothing(tmp_path: Path) -> None:
    checked(tmp_path / "photos", [b"", b"x" * 99, *[encoded((256, 256))] * 19])


def test_a_folder_is_never_doubted(tree: Path) -> None:
    assert not open_source(tree).rehosted


def test_resized_parquet_is_refused_by_the_build(cli, tmp_path: Path) -> None:
    wnid = "n12267677"
    data = small_tree(tmp_path, wnid, {f"{wnid}_{k}": encoded((256, 300)) for k in range(30)})
    (tmp_path / "one.txt").write_text(f"{wnid}\n")
    (tmp_path / "hf").mkdir()
    place = hf_parquet(data, tmp_path / "hf")
    flags = [
        "--data_dir",
        place,
        "--train_list",
        data.parent.parent / "ImageSets/CLS-LOC/train_cls.txt",
    ]
    done = cli("--subset_name", "one.txt", *flags, "--device", "cpu", "--splits", "train")
    assert done.returncode == 1
    assert "the shorter side of each of 30 photos has 256 pixels" in done.stderr
    assert "Traceback" not in done.stderr


def small_tree(folder: Path, wnid: str, train: dict[str, bytes]) -> Path:
    """``Data/CLS-LOC`` of a class, its val photos, and its train list."""
    data = folder / "ILSVRC/Data/CLS-LOC"
    lists = folder / "ILSVRC/ImageSets/CLS-LOC"
    first = class_table()[wnid].first_train_id
    for path in (data / "train" / wnid, data / "val", lists):
        path.mkdir(parents=True)
    for name, contents in train.items():
        (data / "train" / wnid / f"{name}.JPEG").write_bytes(contents)
    (data / "val" / f"{val_name(1)}.JPEG").write_bytes(encoded((300, 200)))
    lines = [f"{wnid}/{name} {first + k}\n" for k, name in enumerate(train)]
    (lists / "train_cls.txt").write_text("".join(lines))
    return data


def test_there_are_23_of_known_classes() -> None:
    assert len(REENCODED) == 23
    assert {name.partition("_")[0] for name in REENCODED} <= set(CLASSES)


@pytest.mark.parametrize(("mode", "changed"), [("RGB", True), ("CMYK", False)])
def test_a_photo_that_was_encoded_anew_is_told_and_kept_in_the_provenance(
    cli, tmp_path: Path, mode: str, changed: bool
) -> None:
    wnid = CMYK.partition("_")[0]
    others = {f"{wnid}_{k}": jpeg(photo(k, 200 + k, 150)) for k in range(1, 4)}
    data = small_tree(tmp_path, wnid, {CMYK: encoded((300, 250), mode=mode), **others})
    shard = tmp_path / "wds/imagenet1k-train-0000.tar"
    shard.parent.mkdir()
    with tarfile.open(shard, "w") as tar:
        for path in sorted((data / "train" / wnid).iterdir()):
            for suffix, contents in (
                ("cls", str(CLASSES.index(wnid)).encode()),
                ("jpg", path.read_bytes()),
            ):
                info = tarfile.TarInfo(f"{path.stem}.{suffix}")
                info.size = len(contents)
                tar.addfile(info, io.BytesIO(contents))
    (tmp_path / "one.txt").write_text(f"{wnid}\n")
    train_list = data.parent.parent / "ImageSets/CLS-LOC/train_cls.txt"
    flags = ["--subset_name", "one.txt", "--train_list", train_list, "--splits", "train"]
    shas = []
    for place, out in ((data, "folder"), (shard.parent, "shards")):
        done = cli(
            *flags, "--data_dir", place, "--out_dir", out, "--device", "cpu", "--missing", "skip"
        )
        assert done.returncode == 0, done.stderr
        shas.append(hashlib.sha256((tmp_path / out / "one_cls.npz").read_bytes()).hexdigest())
    assert (f"1 train photo ({CMYK}) in " in done.stderr) == changed
    assert ("not original: 1 photo" in done.stdout) == changed
    assert (shas[0] != shas[1]) == changed
    made = ImagenetSubset(tmp_path / "shards/one_cls.npz").made
    assert isinstance(made, Provenance)
    assert made.reencoded == int(changed)
    assert ("reencoded" in made.to_dict()) == changed
    inspected = cli("inspect", tmp_path / "shards/one_cls.npz")
    assert ("1 photo was encoded anew" in inspected.stdout) == changed
    verified = cli("verify", tmp_path / "shards/one_cls.npz", "--data_dir", shard.parent,
                   "--train_list", train_list, "--all")  # fmt: skip
    assert verified.returncode == 0, verified.stderr
