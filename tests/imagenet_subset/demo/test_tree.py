"""The demo tree: an ILSVRC in small, the same each time, odd files and all."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from imagenet_subset.demo.photos import odd_images
from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from imagenet_subset.ilsvrc.classes import class_table, val_ground_truth
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.catalogue import list_images
from pipelines.base import DecodeError
from pipelines.pillow import decode

SUBSET = Subset("demo", tuple(class_table()[wnid] for wnid in DEMO_WNIDS))


def contents(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def small(root: Path, **options) -> Path:
    return write_demo_tree(root, wnids=DEMO_WNIDS[:1], train_per_class=4, **options)


def test_the_tree_is_complete_but_for_most_train_photos(tree: Path) -> None:
    listing = list_images(SUBSET, ["train", "val"], open_source(tree))
    assert len(listing.records["train"]) == 200
    assert len(listing.records["val"]) == 500
    (note,) = listing.notes
    assert note.endswith("has 200 of ILSVRC's 13,000 train photos of these classes")
    for record in listing.records["val"]:
        clsloc_id = class_table()[record.wnid].clsloc_id
        assert val_ground_truth()[record.image_id - 1] == clsloc_id


def test_several_processes_write_the_same_tree_as_one(tmp_path: Path) -> None:
    counts: list[int] = []
    small(tmp_path / "one")
    small(tmp_path / "two", workers=2, progress=counts.append)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert sum(counts) == 54


def test_every_photo_of_the_tree_decodes(tree: Path) -> None:
    for path in [*tree.glob("train/*/*.JPEG"), *sorted(tree.glob("val/*.JPEG"))[::25]]:
        assert decode(path.read_bytes()).shape == (224, 224, 3)


def test_every_odd_kind_of_file_that_decodes_is_among_the_photos(tree: Path) -> None:
    there = {path.read_bytes() for path in tree.glob("train/*/*.JPEG")}
    assert not [odd.name for odd in odd_images() if odd.decodable and odd.data not in there]
    assert {data[:3] for data in there} >= {b"\xff\xd8\xff", b"\x89PN", b"GIF"}


def test_the_lists_stand_where_the_download_has_them(tree: Path) -> None:
    lists = (tree / "../../ImageSets/CLS-LOC").resolve()
    lines = (lists / "train_cls.txt").read_text().splitlines()
    numbers = [int(line.split()[1]) for line in lines]
    assert numbers == sorted(numbers)
    assert len(lines) == 200
    assert all((tree / "train" / f"{line.split()[0]}.JPEG").is_file() for line in lines)
    val = dict(line.split() for line in (lists / "val.txt").read_text().splitlines())
    assert len(val) == 500
    assert all(name == f"ILSVRC2012_val_{int(number):08}" for name, number in val.items())


def test_the_train_list_has_a_short_number_after_those_that_it_begins(tree: Path) -> None:
    lines = (tree / "../../ImageSets/CLS-LOC/train_cls.txt").read_text().splitlines()
    for wnid in DEMO_WNIDS:
        of_class = [line.split()[0] for line in lines if line.startswith(wnid)]
        plain = sorted(of_class)
        for short, long in (("1009", "10095"), ("137", "1379")):
            names = [f"{wnid}/{wnid}_{number}" for number in (long, short)]
            assert [name for name in of_class if name in names] == names
            assert [name for name in plain if name in names] == names[::-1]


def test_equal_arguments_give_equal_files_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        small(tmp_path / name, seed=seed, odd=False)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    a, c = (set(contents(tmp_path / name / "Data").values()) for name in "ac")
    assert not a & c


def test_val_can_stand_in_class_folders(tmp_path: Path) -> None:
    flat, sorted_ = small(tmp_path / "a"), small(tmp_path / "b", val_folders=True)
    wnid = DEMO_WNIDS[0]
    assert contents(flat / "val") == contents(sorted_ / "val" / wnid)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_as_many_photos_as_asked_are_damaged(tmp_path: Path) -> None:
    tree = write_demo_tree(tmp_path, wnids=DEMO_WNIDS[:1], train_per_class=15, damaged=14)
    failed = 0
    for path in tree.rglob("*.JPEG"):
        try:
            decode(path.read_bytes())
        except DecodeError:
            failed += 1
    assert failed == 14
