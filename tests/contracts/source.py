"""What every source of images must do, however it stores them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.ilsvrc.numbering import val_ids_of, val_name
from imagenet_subset.records import Record, Split
from imagenet_subset.selection import Subset
from imagenet_subset.sources.base import Source

VOLCANO, ACORN, AIRLINER = "n09472597", "n12267677", "n02690373"
SUBSET = Subset("three", tuple(class_table()[wnid] for wnid in (VOLCANO, ACORN, AIRLINER)))
"""In an order that is neither that of the WNIDs nor that of the ids."""


def train_entries() -> list[tuple[str, int]]:
    """Lines of a train list: five photos of each class, with their ILSVRC numbers."""
    return [
        (f"{wnid}/{wnid}_{k}", class_table()[wnid].first_train_id + rank)
        for wnid in sorted(SUBSET.wnids)
        for rank, k in enumerate((1007, 100, 21, 3, 99))
    ]


def val_numbers() -> dict[int, str]:
    """ILSVRC number and WNID of every val photo of the three classes."""
    by_id = {c.clsloc_id: c.wnid for c in SUBSET.classes}
    return {n: by_id[i] for i, numbers in val_ids_of(by_id).items() for n in numbers}


def photos() -> dict[str, bytes]:
    """Contents by name; a source doesn't look into them, so that they are no JPEGs here."""
    names = [f"train/{name}.JPEG" for name, _ in train_entries()]
    names += [f"val/{val_name(number)}.JPEG" for number in val_numbers()]
    return {name: name.encode() * 3 for name in names}


def name_of(record: Record) -> str:
    """Name of a record's photo in `photos`."""
    if record.split == "val":
        return f"val/{val_name(record.image_id)}.JPEG"
    names = {number: name for name, number in train_entries()}
    return f"train/{names[record.image_id]}.JPEG"


class SourceContract:
    """Subclass it, and override ``make`` and ``lose``."""

    def make(self, folder: Path, photos: Mapping[str, bytes], train_list: Path | None) -> Source:
        """Store the photos in an empty folder and open them as a source."""
        raise NotImplementedError

    def lose(self, folder: Path, name: str) -> None:
        """Make a stored photo unreadable, after it was listed."""
        raise NotImplementedError

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        path = tmp_path / "source"
        path.mkdir()
        return path

    @pytest.fixture
    def train_list(self, tmp_path: Path) -> Path:
        path = tmp_path / "train_cls.txt"
        path.write_text("".join(f"{name} {number}\n" for name, number in train_entries()))
        return path

    @pytest.fixture
    def source(self, folder: Path, train_list: Path) -> Source:
        return self.make(folder, photos(), train_list)

    def without(self, folder: Path, train_list: Path, *names: str) -> Source:
        """Source that lacks these photos."""
        return self.make(
            folder, {n: data for n, data in photos().items() if n not in names}, train_list
        )

    def test_every_photo_is_listed_once_with_its_number_and_its_label(self, source: Source) -> None:
        listing = source.list(SUBSET, ["train", "val"])
        labels = {wnid: label for label, wnid in enumerate(SUBSET.wnids)}
        expected: dict[Split, dict[int, str]] = {
            "train": {number: name[:9] for name, number in train_entries()},
            "val": val_numbers(),
        }
        for split, wnids in expected.items():
            records = listing.records[split]
            assert {r.image_id: r.wnid for r in records} == wnids
            assert len(records) == len(wnids)
            assert all(r.split == split and r.label == labels[r.wnid] for r in records)
        assert not any(listing.missing.values())
        (note,) = listing.notes
        assert "train photos of these classes" in note, "the list is no whole ILSVRC's"

    def test_rows_stand_in_ascending_id(self, source: Source) -> None:
        for records in source.list(SUBSET, ["train", "val"]).records.values():
            assert [r.row for r in records] == list(range(len(records)))
            assert [r.image_id for r in records] == sorted(r.image_id for r in records)

    @pytest.mark.parametrize("split", ["train", "val"])
    def test_only_the_split_asked_for_is_listed(self, source: Source, split: Split) -> None:
        assert list(source.list(SUBSET, [split]).records) == [split]

    def test_one_class_of_many_is_listed_alone(self, source: Source) -> None:
        acorn = Subset("acorn", (class_table()[ACORN],))
        listing = source.list(acorn, ["train", "val"])
        assert len(listing.records["train"]) == 5
        assert len(listing.records["val"]) == 50
        assert {r.wnid for records in listing.records.values() for r in records} == {ACORN}

    def test_a_photo_is_read_as_it_is_in_whatever_order(self, source: Source) -> None:
        listing = source.list(SUBSET, ["train", "val"])
        records = [*listing.records["val"][::-7], *listing.records["train"][::2]]
        read = list(source.read(records))
        assert [record for record, _ in read] == records
        for record, data in read:
            assert data == photos()[name_of(record)]

    def test_no_records_mean_no_photos(self, source: Source) -> None:
        assert list(source.read([])) == []

    def test_a_source_travels_to_another_process(self, source: Source) -> None:
        listing = source.list(SUBSET, ["train"])
        other, records = pickle.loads(pickle.dumps((source, listing.records["train"])))
        assert [data for _, data in other.read(records)] == [
            photos()[name_of(record)] for record in records
        ]

    def test_a_path_ends_in_the_photos_name(self, source: Source) -> None:
        for records in source.list(SUBSET, ["train", "val"]).records.values():
            for record in records:
                assert source.path(record).endswith(name_of(record).rpartition("/")[2])

    def test_a_photo_that_can_not_be_read_costs_no_other(
        self, source: Source, folder: Path
    ) -> None:
        records = source.list(SUBSET, ["train"]).records["train"]
        self.lose(folder, name_of(records[2]))
        outcomes = [data for _, data in source.read(records)]
        assert isinstance(outcomes[2], OSError)
        for record, data in zip(
            records[:2] + records[3:], outcomes[:2] + outcomes[3:], strict=True
        ):
            assert data == photos()[name_of(record)]

    def test_missing_photos_are_counted_and_named(self, folder: Path, train_list: Path) -> None:
        lost = [f"train/{ACORN}/{ACORN}_21.JPEG", f"val/{val_name(min(val_numbers()))}.JPEG"]
        source = self.without(folder, train_list, *lost)
        says = r"missing in .*: 1 train photo and 1 val photo \("
        with pytest.raises(SourceError, match=says) as error:
            source.list(SUBSET, ["train", "val"])
        for name in lost:
            assert name in str(error.value)
        assert "\n" not in str(error.value)

    def test_missing_photos_can_be_skipped(self, folder: Path, train_list: Path) -> None:
        lost = [f"train/{ACORN}/{ACORN}_21.JPEG", f"val/{val_name(min(val_numbers()))}.JPEG"]
        source = self.without(folder, train_list, *lost)
        listing = source.list(SUBSET, ["train", "val"], on_missing="skip")
        assert listing.missing == {"train": 1, "val": 1}
        assert any("building without them" in note for note in listing.notes)
        numbers = dict(train_entries())
        ids = [r.image_id for r in listing.records["train"]]
        assert ids == sorted(set(numbers.values()) - {numbers[f"{ACORN}/{ACORN}_21"]})
        assert min(r.image_id for r in listing.records["val"]) > min(val_numbers())

    def test_a_class_that_is_wholly_missing_is_counted(
        self, folder: Path, train_list: Path
    ) -> None:
        lost = [f"train/{name}.JPEG" for name, _ in train_entries() if name.startswith(ACORN)]
        source = self.without(folder, train_list, *lost)
        for on_missing in ("error", "skip"):
            with pytest.raises(SourceError, match="no train photo of") as error:
                source.list(SUBSET, ["train"], on_missing=on_missing)
            assert f"{ACORN} (acorn)" in str(error.value)
            assert str(error.value).endswith(f"take {ACORN} out of the subset file")
            assert "--missing" not in str(error.value), "which wouldn't help"
        listing = source.list(SUBSET, ["train"], on_missing="ignore")
        assert len(listing.records["train"]) == 10
        assert listing.missing == {"train": 5}
        listing = source.list(SUBSET, ["val"], on_missing="skip")
        assert len(listing.records["val"]) == 150, "of the other split no class is missing"

    def test_a_split_that_is_wholly_missing_is_no_empty_array(
        self, folder: Path, train_list: Path
    ) -> None:
        source = self.without(folder, train_list, *(n for n in photos() if n.startswith("val/")))
        for on_missing in ("error", "skip"):
            with pytest.raises(SourceError, match=r"no val photo of any class.*--splits train"):
                source.list(SUBSET, ["train", "val"], on_missing=on_missing)
        listing = source.list(SUBSET, ["train", "val"], on_missing="ignore")
        assert [len(listing.records[split]) for split in ("train", "val")] == [15, 0]

    def test_an_incomplete_class_without_a_train_list_is_never_numbered(self, folder: Path) -> None:
        source = self.make(folder, photos(), None)
        for on_missing in ("error", "skip", "ignore"):
            with pytest.raises(SourceError, match=r"5 photos of 1,300.*--train_list"):
                source.list(SUBSET, ["train"], on_missing=on_missing)
        assert len(source.list(SUBSET, ["val"]).records["val"]) == 150

    def test_a_photo_that_is_not_in_the_train_list_is_refused_or_left_out(
        self, folder: Path, train_list: Path
    ) -> None:
        extra = f"train/{ACORN}/{ACORN}_5.JPEG"
        source = self.make(folder, {**photos(), extra: b"x"}, train_list)
        with pytest.raises(SourceError, match=f"no ILSVRC number for 1 photo .*{ACORN}_5.JPEG"):
            source.list(SUBSET, ["train"])
        listing = source.list(SUBSET, ["train"], on_missing="skip")
        assert len(listing.records["train"]) == 15
        assert f"{ACORN}_5.JPEG" in listing.notes[0]
