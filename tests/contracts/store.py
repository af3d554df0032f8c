"""What every store of photos must do, and what the catalogue makes of each."""

from __future__ import annotations

import contextlib
import pickle
import shutil
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath

import pytest

from imagenet_subset.columns import pack
from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import ImageClass, class_table
from imagenet_subset.ilsvrc.numbering import name_of_id, numbers_by_rank, val_ids_of, val_name
from imagenet_subset.records import Record, Split
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources.base import DAMAGED, Photo, Store
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.sources.known_numbers import known_numbers
from imagenet_subset.sources.patience import read_each

VOLCANO, ACORN, AIRLINER = "n09472597", "n12267677", "n02690373"
SUBSET = Subset("three", tuple(class_table()[wnid] for wnid in (VOLCANO, ACORN, AIRLINER)))
"""In an order that is neither that of the WNIDs nor that of the ids."""


SMALLEST = min(class_table().values(), key=lambda c: c.num_train_images)


def stems_of(image_class: ImageClass) -> list[str]:
    """Names of as many photos as a class has; not in the order of the list."""
    return [f"{image_class.wnid}_{k * k + 3}" for k in range(image_class.num_train_images)]


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
    """Contents by name; a store doesn't look into them, so that they are no JPEGs here."""
    names = [f"train/{name}.JPEG" for name, _ in train_entries()]
    names += [f"val/{val_name(number)}.JPEG" for number in val_numbers()]
    return {name: name.encode() * 3 for name in names}


def name_of(record: Record) -> str:
    """Name of a record's photo in `photos`."""
    if record.split == "val":
        return f"val/{val_name(record.image_id)}.JPEG"
    names = {number: name for name, number in train_entries()}
    return f"train/{names[record.image_id]}.JPEG"


def named(image_id: int) -> str:
    """Name in `photos` that an id is made of."""
    found = name_of_id(image_id)
    assert found is not None
    return f"train/{found[0]}/{found[1]}.JPEG"


def name_of_photo(photo: Photo) -> str:
    """Name of a photo in `photos`."""
    folder = "val" if photo.stem.startswith("ILSVRC") else f"train/{photo.stem.partition('_')[0]}"
    return f"{folder}/{photo.stem}.JPEG"


class StoreContract:
    """Subclass it, and override ``make`` and ``lose``."""

    suffix = "JPEG"
    """Of the photos' names, as the store has them."""

    def make(self, folder: Path, photos: Mapping[str, bytes]) -> Store:
        """Store the photos in an empty folder and open them as a store."""
        raise NotImplementedError

    def lose(self, folder: Path, name: str) -> None:
        """Make a stored photo unreadable, after it was listed."""
        raise NotImplementedError

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        path = tmp_path / "store"
        path.mkdir()
        return path

    @pytest.fixture
    def train_list(self, tmp_path: Path) -> Path:
        path = tmp_path / "train_cls.txt"
        path.write_text("".join(f"{name} {number}\n" for name, number in train_entries()))
        return path

    @pytest.fixture
    def store(self, folder: Path) -> Store:
        return self.make(folder, photos())

    def without(self, folder: Path, *names: str) -> Store:
        """Store that lacks these photos."""
        return self.make(folder, {n: data for n, data in photos().items() if n not in names})

    # What a store does by itself

    @pytest.mark.parametrize("split", ["train", "val"])
    def test_every_photo_of_a_split_is_there_once(self, store: Store, split: Split) -> None:
        found = list(store.photos(split, SUBSET.wnids))
        names = [name for name in photos() if name.startswith(split)]
        assert sorted(map(name_of_photo, found)) == sorted(names)
        assert len({photo.location for photo in found}) == len(found)
        numbers = val_numbers()
        for photo in found:
            of = photo.stem[:9] if split == "train" else numbers[int(photo.stem[-8:])]
            assert photo.wnid in (of, None)

    def test_its_photos_keep_their_locations_in_a_column(self, store: Store) -> None:
        locations = [photo.location for photo in store.photos("train", SUBSET.wnids)]
        column = pack(locations)
        assert list(column) == locations
        assert column[3] == locations[3]

    @pytest.mark.parametrize("split", ["train", "val"])
    def test_its_groups_hold_each_photo_once(self, store: Store, split: Split) -> None:
        locations = pack([photo.location for photo in store.photos(split, SUBSET.wnids)][::-1])
        groups = [list(group) for group in store.groups(locations)]
        assert all(groups), "none is empty"
        assert sorted(index for group in groups for index in group) == list(range(len(locations)))

    def test_a_reader_reads_in_whatever_order_and_a_photo_again(self, store: Store) -> None:
        found = [photo for split in ("val", "train") for photo in store.photos(split, SUBSET.wnids)]
        reader = store.open()
        for photo in [*found[::-7], *found[::5], *found[:2], *found[:2]]:
            assert reader.read(photo.location) == photos()[name_of_photo(photo)]
        reader.close()
        reader.close()

    def test_a_reader_may_go_from_thread_to_thread(self, store: Store) -> None:
        photo = next(iter(store.photos("val", SUBSET.wnids)))
        with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
            reader = one.submit(store.open).result()
            assert (
                other.submit(reader.read, photo.location).result() == photos()[name_of_photo(photo)]
            )
        reader.close()

    def test_several_threads_may_read_at_a_time(self, store: Store) -> None:
        found = [photo for split in ("val", "train") for photo in store.photos(split, SUBSET.wnids)]
        reader, locations = store.open(), [photo.location for photo in found]
        with ThreadPoolExecutor(8) as threads:
            for photo, data in zip(found, threads.map(reader.read, locations), strict=True):
                assert data == photos()[name_of_photo(photo)]
        reader.close()

    def test_two_readers_do_not_disturb_each_other(self, store: Store) -> None:
        found = list(store.photos("val", SUBSET.wnids))
        first, second = store.open(), store.open()
        for a, b in zip(found, found[::-1], strict=True):
            assert first.read(a.location) == photos()[name_of_photo(a)]
            assert second.read(b.location) == photos()[name_of_photo(b)]
        first.close()
        assert second.read(found[0].location) == photos()[name_of_photo(found[0])]
        second.close()

    def test_files_replaced_by_others_never_give_another_photo(
        self, store: Store, folder: Path, tmp_path: Path
    ) -> None:
        """Names have equal lengths and photos equal sizes: each is where another one was."""
        found = [photo for split in ("val", "train") for photo in store.photos(split, SUBSET.wnids)]
        other = tmp_path / "other"
        other.mkdir()
        self.make(other, dict(reversed(photos().items())))
        shutil.rmtree(folder)
        other.rename(folder)
        with contextlib.closing(store.open()) as reader:
            outcomes = list(read_each(reader, [photo.location for photo in found]))
        for photo, data in zip(found, outcomes, strict=True):
            if isinstance(data, OSError):
                assert data.errno not in DAMAGED, "the photo may be sound"
            else:
                assert data == photos()[name_of_photo(photo)]
            assert photo.stem in store.describe(photo.location, photo.stem)

    # What the catalogue makes of it

    def test_every_photo_is_listed_once_with_its_number_and_its_label(
        self, store: Store, train_list: Path
    ) -> None:
        listing = list_images(SUBSET, ["train", "val"], store, train_list)
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
        *others, note = listing.notes
        assert others == list(store.notes)
        assert "train photos of these classes" in note, "the list is no whole ILSVRC's"

    def test_rows_stand_in_ascending_id(self, store: Store, train_list: Path) -> None:
        for records in list_images(SUBSET, ["train", "val"], store, train_list).records.values():
            assert [r.row for r in records] == list(range(len(records)))
            assert [r.image_id for r in records] == sorted(r.image_id for r in records)

    @pytest.mark.parametrize("split", ["train", "val"])
    def test_only_the_split_asked_for_is_listed(
        self, store: Store, train_list: Path, split: Split
    ) -> None:
        assert list(list_images(SUBSET, [split], store, train_list).records) == [split]

    def test_one_class_of_many_is_listed_alone(self, store: Store, train_list: Path) -> None:
        acorn = Subset("acorn", (class_table()[ACORN],))
        listing = list_images(acorn, ["train", "val"], store, train_list)
        assert len(listing.records["train"]) == 5
        assert len(listing.records["val"]) == 50
        assert {r.wnid for records in listing.records.values() for r in records} == {ACORN}

    def test_a_photo_is_read_as_it_is_in_whatever_order(
        self, store: Store, train_list: Path
    ) -> None:
        listing = list_images(SUBSET, ["train", "val"], store, train_list)
        records = [*list(listing.records["val"])[::-7], *list(listing.records["train"])[::2]]
        for record, data in zip(records, self.read(store, records), strict=True):
            assert data == photos()[name_of(record)]

    def read(self, store: Store, records: Iterable[Record]) -> list[bytes | OSError]:
        """What a worker would read."""
        with contextlib.closing(store.open()) as reader:
            return list(read_each(reader, [record.location for record in records]))

    def test_a_store_travels_to_another_process(self, store: Store, train_list: Path) -> None:
        records = list_images(SUBSET, ["train"], store, train_list).records["train"]
        other, travelled = pickle.loads(pickle.dumps((store, list(records))))
        assert other.root == store.root
        assert self.read(other, travelled) == [photos()[name_of(record)] for record in records]

    def test_a_description_ends_in_the_photos_name(self, store: Store, train_list: Path) -> None:
        for records in list_images(SUBSET, ["train", "val"], store, train_list).records.values():
            for record in records:
                name = store.describe(record.location).rpartition("/")[2]
                assert name.startswith(PurePath(name_of(record)).stem), "which HF's goes beyond"
                assert name.lower().endswith((".jpeg", ".jpg"))

    def test_a_photo_is_in_the_file_that_its_description_begins_with(
        self, store: Store, train_list: Path
    ) -> None:
        for records in list_images(SUBSET, ["train", "val"], store, train_list).records.values():
            for at in records.locations:
                assert store.describe(at).startswith(store.file(at))

    def test_a_photo_that_can_not_be_read_costs_no_other(
        self, store: Store, folder: Path, train_list: Path
    ) -> None:
        records = list(list_images(SUBSET, ["train"], store, train_list).records["train"])
        self.lose(folder, name_of(records[2]))
        outcomes = self.read(store, records)
        assert isinstance(outcomes[2], OSError)
        for record, data in zip(
            records[:2] + records[3:], outcomes[:2] + outcomes[3:], strict=True
        ):
            assert data == photos()[name_of(record)]

    def test_missing_photos_are_counted_and_named(self, folder: Path, train_list: Path) -> None:
        lost = [f"train/{ACORN}/{ACORN}_21.JPEG", f"val/{val_name(min(val_numbers()))}.JPEG"]
        store = self.without(folder, *lost)
        says = r"missing in .*: 1 train photo and 1 val photo \("
        with pytest.raises(SourceError, match=says) as error:
            list_images(SUBSET, ["train", "val"], store, train_list)
        for name in lost:
            assert name in str(error.value)
        assert "\n" not in str(error.value)

    def test_missing_photos_can_be_skipped(self, folder: Path, train_list: Path) -> None:
        lost = [f"train/{ACORN}/{ACORN}_21.JPEG", f"val/{val_name(min(val_numbers()))}.JPEG"]
        store = self.without(folder, *lost)
        listing = list_images(SUBSET, ["train", "val"], store, train_list, on_missing="skip")
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
        store = self.without(folder, *lost)
        for on_missing in ("error", "skip"):
            with pytest.raises(SourceError, match="no train photo of") as error:
                list_images(SUBSET, ["train"], store, train_list, on_missing=on_missing)
            assert f"{ACORN} (acorn)" in str(error.value)
            assert str(error.value).endswith(f"take {ACORN} out of the subset file")
            assert "--missing" not in str(error.value), "which wouldn't help"
        listing = list_images(SUBSET, ["train"], store, train_list, on_missing="ignore")
        assert len(listing.records["train"]) == 10
        assert listing.missing == {"train": 5}
        listing = list_images(SUBSET, ["val"], store, train_list, on_missing="skip")
        assert len(listing.records["val"]) == 150, "of the other split no class is missing"

    def test_a_split_that_is_wholly_missing_is_no_empty_array(
        self, folder: Path, train_list: Path
    ) -> None:
        store = self.without(folder, *(n for n in photos() if n.startswith("val/")))
        for on_missing in ("error", "skip"):
            with pytest.raises(SourceError, match=r"no val photo of any class.*--splits train"):
                list_images(SUBSET, ["train", "val"], store, train_list, on_missing=on_missing)
        listing = list_images(SUBSET, ["train", "val"], store, train_list, on_missing="ignore")
        assert [len(listing.records[split]) for split in ("train", "val")] == [15, 0]

    def test_an_incomplete_class_without_a_train_list_is_never_numbered(self, folder: Path) -> None:
        store, train_list = self.make(folder, photos()), None
        for on_missing in ("error", "ignore"):
            with pytest.raises(SourceError, match=r"5 photos of 1,300.*--train_list") as error:
                list_images(SUBSET, ["train"], store, train_list, on_missing=on_missing)
            assert ("--missing skip" in str(error.value)) == (on_missing == "error")
        assert len(list_images(SUBSET, ["val"], store, train_list).records["val"]) == 150

    def test_photos_that_can_not_be_numbered_have_the_ids_of_their_names(
        self, folder: Path
    ) -> None:
        store = self.make(folder, photos())
        listing = list_images(SUBSET, ["train", "val"], store, on_missing="skip")
        ids = listing.records["train"].ids.tolist()
        assert ids == sorted(ids)
        names = [f"train/{name}.JPEG" for name, _ in train_entries()]
        assert sorted(map(named, ids)) == sorted(names)
        for record in listing.records["train"]:
            assert named(record.image_id).startswith(f"train/{record.wnid}/")
            assert self.read(store, [record]) == [photos()[named(record.image_id)]]
        assert {r.image_id for r in listing.records["val"]} == set(val_numbers())
        lacking = sum(c.num_train_images for c in SUBSET.classes) - 15
        assert listing.missing == {"train": lacking, "val": 0}
        assert any("train_id is negative" in note for note in listing.notes)

    def test_ids_of_names_are_found_again_whatever_list_there_is(
        self, folder: Path, train_list: Path
    ) -> None:
        store = self.make(folder, photos())
        built = list_images(SUBSET, ["train"], store, on_missing="skip").records["train"]
        found = list_images(
            SUBSET, ["train"], store, train_list, on_missing="ignore", by_name=True
        ).records["train"]
        assert list(found) == list(built)

    def test_the_numbers_of_its_complete_classes_are_known(self, folder: Path) -> None:
        whole = {f"train/{SMALLEST.wnid}/{stem}.JPEG": b"x" for stem in stems_of(SMALLEST)}
        known = known_numbers(self.make(folder, {**photos(), **whole}))
        assert list(known.lines) == [SMALLEST.wnid]
        numbers = numbers_by_rank(SMALLEST, stems_of(SMALLEST))
        lines = [f"{SMALLEST.wnid}/{stem} {number}\n" for stem, number in numbers.items()]
        assert known.lines[SMALLEST.wnid].decode() == "".join(lines)
        assert known.photos == 732
        incomplete = [f"train/{wnid}/ with 5 photos of 1,300" for wnid in sorted(SUBSET.wnids)]
        assert (list(known.incomplete), known.absent, known.notes) == (incomplete, 996, ())

    def test_a_photo_that_is_not_in_the_train_list_is_refused_or_left_out(
        self, folder: Path, train_list: Path
    ) -> None:
        extra = f"train/{ACORN}/{ACORN}_5.JPEG"
        store = self.make(folder, {**photos(), extra: b"x"})
        with pytest.raises(SourceError, match=rf"no ILSVRC number for 1 photo .*\b{ACORN}_5[_.]"):
            list_images(SUBSET, ["train"], store, train_list)
        listing = list_images(SUBSET, ["train"], store, train_list, on_missing="skip")
        assert len(listing.records["train"]) == 15
        assert f"{ACORN}_5" in listing.notes[len(store.notes)]
