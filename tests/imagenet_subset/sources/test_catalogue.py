"""The catalogue: the same images of the same photos, whatever store has them in whatever order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from imagenet_subset.columns import Span, Spans
from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.ilsvrc.numbering import val_name
from imagenet_subset.records import SPLITS, Records
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.base import Photo, Store
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.sources.grouping import divided
from tests.contracts.store import ACORN, SUBSET, StoreContract, photos, train_entries, val_numbers
from tests.harness.stores import OneFile, Scattered, punch_hole, write_one_file
from tests.harness.tiers import thorough

WHOLE = Subset("imagenet1k", tuple(class_table().values()))


class TestOneFile(StoreContract):
    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        return write_one_file(folder / "photos", photos)

    def lose(self, folder: Path, name: str) -> None:
        punch_hole(folder / "photos", name)


@dataclass(frozen=True)
class Given(Store):
    """Photos that a test gives."""

    given: tuple[Photo, ...]
    root: str = "given"

    def photos(self, split, wnids):
        is_val = split == "val"
        return (photo for photo in self.given if photo.stem.startswith("ILSVRC") == is_val)

    def open(self):
        raise NotImplementedError

    def describe(self, at, stem=""):
        return f"given {at}"


def given(*photos: tuple[str, str | None]) -> Given:
    return Given(tuple(Photo(*photo, f"{k}") for k, photo in enumerate(photos)))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, data in photos().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    lines = [f"{name} {number}\n" for name, number in train_entries()]
    (tmp_path / "list.txt").write_text("".join(lines))
    return tmp_path


def content(records: Records) -> list[tuple[int, int, str]]:
    columns = records.ids.tolist(), records.labels.tolist(), records.stems
    return list(zip(*columns, strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_photos_and_their_store_change_nothing(tree: Path, seed: int) -> None:
    folder = open_source(tree)
    plain = list_images(SUBSET, SPLITS, folder, tree / "list.txt")
    one_file = write_one_file(tree / "photos", photos(), seed)
    for store in (Scattered(folder, seed), one_file):
        listing = list_images(SUBSET, SPLITS, store, tree / "list.txt")
        assert listing.notes == plain.notes
        for split in SPLITS:
            assert content(listing.records[split]) == content(plain.records[split])
            assert listing.records[split].stems.joined == plain.records[split].stems.joined, (
                "they are part of a build's fingerprint"
            )


def test_the_label_is_the_place_in_the_subset_and_not_the_order_of_the_wnids(tree: Path) -> None:
    records = list_images(SUBSET, ["train"], open_source(tree), tree / "list.txt").records["train"]
    for record in records:
        assert SUBSET.wnids[record.label] == record.wnid
    assert list(records)[-1] == records[-1]
    with pytest.raises(IndexError):
        records[len(records)]


def test_a_photo_that_is_there_twice_is_named_with_both_places() -> None:
    store = given((f"{ACORN}_1", ACORN), (f"{ACORN}_2", ACORN), (f"{ACORN}_1", None))
    with pytest.raises(SourceError, match=r"^given 0 and given 2 are the same train photo; remove"):
        list_images(SUBSET, ["train"], store, on_missing="ignore")


def test_a_train_photo_without_a_class_belongs_to_that_of_its_name() -> None:
    acorn = class_table()[ACORN]
    store = given(*((f"{ACORN}_{k}", None) for k in range(acorn.num_train_images)))
    records = list_images(Subset("acorn", (acorn,)), ["train"], store).records["train"]
    assert records[0].image_id == acorn.first_train_id
    assert len(records) == acorn.num_train_images


def test_a_val_photo_in_what_is_no_class_is_refused() -> None:
    store = given((val_name(min(val_numbers())), "cats"))
    with pytest.raises(SourceError, match=r"^given 0 is in the wrong class, "):
        list_images(SUBSET, ["val"], store)


def test_of_many_photos_without_a_number_a_few_are_described(tree: Path) -> None:
    class Slow(Given):
        asked = 0

        def describe(self, at, stem=""):
            Slow.asked += 1
            return super().describe(at)

    store = Slow(given(*((f"{ACORN}_{k}", ACORN) for k in range(10_000, 11_000))).given)
    listing = list_images(SUBSET, ["train"], store, tree / "list.txt", on_missing="ignore")
    assert "no ILSVRC number for 1,000 photos" in listing.notes[0]
    assert Slow.asked < 10


def test_a_val_photo_in_another_class_than_the_truth_says_is_refused() -> None:
    number = next(n for n, wnid in val_numbers().items() if wnid == ACORN)
    store = given((val_name(number), SUBSET.wnids[0]))
    with pytest.raises(SourceError, match=rf"^given 0 is in the wrong class, .* says {ACORN}"):
        list_images(SUBSET, ["val"], store)


def test_a_store_without_a_photo_says_so_before_the_other_split_is_looked_at() -> None:
    class NoVal(Given):
        def photos(self, split, wnids):
            if split == "train":
                yield Photo(f"{ACORN}_1", ACORN, "first")
                pytest.fail("the others were asked for")

    with pytest.raises(SourceError) as error:
        list_images(SUBSET, SPLITS, NoVal(()))
    assert str(error.value) == (
        "given has no val photo of any class of the subset; put the photos there, or leave them "
        "out by --splits train"
    )


# Shards


def spans(n: int) -> Spans:
    return Spans.of(Span(0, k * 37 % 101, 1) for k in range(n))


@pytest.mark.parametrize("n", [0, 1, 6, 7, 8, 100])
@pytest.mark.parametrize("size", [1, 7, 20, 64])
def test_shards_are_whole_groups_and_hold_each_row_once(n: int, size: int) -> None:
    shards = list(divided(OneFile("x"), spans(n), size))
    assert sorted(itertools.chain(*shards)) == list(range(n))
    groups = list(OneFile("x").groups(spans(n)))
    assert list(itertools.chain(*shards)) == list(itertools.chain(*groups))
    bounds = set(itertools.accumulate(map(len, groups), initial=0))
    assert bounds.issuperset(itertools.accumulate(map(len, shards)))
    assert all(len(shard) <= max(size, 7) for shard in shards)


WIDE, BELOW = [[0, 1, 3]], [[0], [-1], [1]]


@pytest.mark.parametrize("groups", [[[0, 1], [1, 2]], [[0, 2]], [[0, 1, 2], [2]], [], WIDE, BELOW])
def test_groups_that_lose_a_photo_or_have_one_twice_are_refused(groups: list[list[int]]) -> None:
    class Wrong(OneFile):
        def groups(self, locations):
            return iter(groups)

    with pytest.raises(ValueError, match=r"Wrong\.groups doesn't have each photo once"):
        list(divided(Wrong("x"), spans(3), 2))


# All of it


@thorough("lists 1.3 million photos")
@pytest.mark.parametrize("listed", [False, True])
def test_the_whole_of_ilsvrc_is_numbered(tmp_path: Path, listed: bool) -> None:
    from benchmarks.whole_plan import Names, write_list

    path = tmp_path / "train_cls.txt"
    if listed:
        write_list(path)
    records = list_images(WHOLE, SPLITS, Names(), path if listed else None).records
    assert np.array_equal(records["train"].ids, np.arange(1, 1_281_168))
    assert np.array_equal(records["val"].ids, np.arange(1, 50_001))
    sizes = [c.num_train_images for c in WHOLE.classes]
    assert np.array_equal(records["train"].labels, np.repeat(np.arange(1000), sizes))
    assert np.bincount(records["val"].labels).tolist() == [50] * 1000
