"""Shards whose keys are places in a sorted folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from imagenet_subset.columns import Span, Texts
from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table, val_ground_truth
from imagenet_subset.ilsvrc.numbering import val_name
from imagenet_subset.ilsvrc.train_list import TrainList
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.selection.choice import PerClass
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.base import Photo
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.sources.places import named, val_names
from imagenet_subset.sources.tar.shards import NumberedShardStore
from tests.harness.tables import numbered_wds
from tests.harness.tiers import thorough

SMALLEST = min(class_table().values(), key=lambda c: c.num_train_images)
ACORN = class_table()["n12267677"]
TWO = Subset("two", (ACORN, SMALLEST))


def all_photos(split: Split) -> Iterator[Photo]:
    """Every photo of a split under its place, from the last one to the first."""
    counts = [(c.wnid, c.num_train_images if split == "train" else 50) for c in classes()]
    wnids = [wnid for wnid, count in counts for _ in range(count)]
    for place in reversed(range(len(wnids))):
        yield Photo(f"{place:07d}", wnids[place], Span(0, place, 1))


def classes():
    return list(class_table().values())


class All(NumberedShardStore):
    """All of ILSVRC in shards, without any shard."""

    rehosted = False

    def photos(self, split, wnids):
        return all_photos(split)


ALL = All("/data/shards", Texts.of([]), frozenset(SPLITS))


def whole_list() -> list[bytes]:
    """Lines of a train list of the two classes: made-up names, in ILSVRC's order."""
    names = {
        c: sorted(
            (f"{c.wnid}_{k}" for k in range(1, 3 * c.num_train_images, 3)), key=lambda n: f"{n}~"
        )
        for c in (ACORN, SMALLEST)
    }
    return [
        f"{c.wnid}/{name} {c.first_train_id + k}\n".encode()
        for c, of_class in names.items()
        for k, name in enumerate(of_class)
    ]


def test_a_val_photo_is_known_by_its_place_among_all() -> None:
    listing = list_images(TWO, ["val"], ALL)
    records = listing.records["val"]
    assert len(records) == 100
    truth = val_ground_truth()
    for image_id, label, at in zip(records.ids, records.labels, records.locations, strict=True):
        image_class = TWO.classes[label]
        assert truth[image_id - 1] == image_class.clsloc_id
        of_class = sorted(
            val_name(n) for n, i in enumerate(truth.tolist(), 1) if i == image_class.clsloc_id
        )
        place = 50 * classes().index(image_class) + of_class.index(val_name(int(image_id)))
        assert at == Span(0, place, 1)


@thorough("1.3 million photos are gone through")
def test_photos_that_are_known_by_their_places_are_chosen_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "train_cls.txt"
    path.write_bytes(b"".join(whole_list()))
    choice = PerClass(10, seed=3)
    records = list_images(TWO, ["train"], ALL, path, choice=choice).records["train"]
    numbers = [listed(path)[c.wnid] for c in TWO.classes]
    assert dict(zip(records.stems, records.ids.tolist(), strict=True)) == {
        stem: of_class[stem]
        for c, of_class in zip(TWO.classes, numbers, strict=True)
        for stem in choice.of(c.wnid, of_class)
    }


@thorough("1.3 million photos are gone through")
def test_a_train_photo_is_known_by_its_place_and_the_list(tmp_path: Path) -> None:
    path = tmp_path / "train_cls.txt"
    path.write_bytes(b"".join(whole_list()))
    records = list_images(TWO, ["train"], ALL, path).records["train"]
    assert len(records) == ACORN.num_train_images + SMALLEST.num_train_images
    numbers = {stem: k for c in TWO.classes for stem, k in listed(path)[c.wnid].items()}
    for c in TWO.classes:
        rows = (records.labels == TWO.classes.index(c)).nonzero()[0].tolist()
        by_place = sorted(rows, key=lambda row: records.locations[row])
        assert records.locations[by_place[0]] == Span(0, c.first_train_id - 1, 1)
        stems = [records.stems[row] for row in by_place]
        assert stems == sorted(stems), "torchvision's order"
        assert stems != sorted(stems, key=lambda stem: f"{stem}~"), "which is not ILSVRC's"
        assert [int(records.ids[row]) for row in by_place] == [numbers[stem] for stem in stems]


def listed(path: Path) -> dict[str, dict[str, int]]:
    train_list = TrainList.read(path, TWO.wnids)
    return {wnid: train_list.numbers(wnid) for wnid in TWO.wnids}


def test_without_a_list_train_is_refused_with_the_reason() -> None:
    with pytest.raises(SourceError, match=r"numbers for names: places in .* --train_list"):
        list_images(TWO, ["train"], ALL)


def test_a_list_that_lacks_photos_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "train_cls.txt"
    path.write_bytes(b"".join(whole_list()[:-1]))
    with pytest.raises(SourceError, match=f"of the {SMALLEST.num_train_images:,} train photos"):
        list_images(TWO, ["train"], ALL, path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda p: None if p.stem == "0000007" else p, "there are 49,999 of 50,000 val photos"),
        (lambda p: p._replace(stem="0000008") if p.stem == "0000007" else p, "0000007 is there"),
        (lambda p: p._replace(stem="0050000") if p.stem == "0000007" else p, "beyond the 50,000"),
        (lambda p: p._replace(wnid=ACORN.wnid) if p.stem == "0000007" else p,
         f"0000007 has the label of {ACORN.wnid}, not of n01440764"),
        (lambda p: p._replace(wnid=None) if p.stem == "0000007" else p, "has the label of no cl"),
    ],
)  # fmt: skip
def test_what_is_not_all_of_ilsvrc_in_order_is_refused(change, says: str) -> None:
    photos = (new for photo in all_photos("val") if (new := change(photo)))
    with pytest.raises(SourceError) as error:
        list(named("val", photos, ALL, val_names([ACORN])))
    message = str(error.value)
    assert says.replace("0000007 is there", "0000008 is there twice") in message
    assert "they say names only where all photos of ILSVRC 2012 are there" in message
    assert message.isprintable()


def test_real_shards_of_a_part_are_refused(tmp_path: Path, tree: Path) -> None:
    store = open_source(numbered_wds(tree, tmp_path))
    assert store.by_place
    assert store.splits == {"train", "val"}
    for on_missing in ("error", "skip"):
        with pytest.raises(SourceError, match=r"has numbers for names, and .* has the label of"):
            list_images(TWO, ["val"], store, on_missing=on_missing)
