"""The choice of train photos: from which photos it is made, and what becomes of those it lacks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import ImageClass, class_table
from imagenet_subset.ilsvrc.numbering import name_id, numbers_by_rank
from imagenet_subset.records import Records
from imagenet_subset.selection.choice import Choice, Names, PerClass, Share
from imagenet_subset.selection.photo_list import read_photo_list
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.catalogue import Listing, list_images
from imagenet_subset.sources.look import OnMissing

SMALL, LARGE = sorted(class_table().values(), key=lambda c: c.num_train_images)[:2]
SUBSET = Subset("two", (LARGE, SMALL))
TEN = PerClass(10, seed=3)


def stems_of(c: ImageClass) -> list[str]:
    """As many names as the class has photos, in no order."""
    return [f"{c.wnid}_{k * k % 9973 * 100 + k % 100}" for k in range(c.num_train_images)]


WHOLE = [stem for c in SUBSET.classes for stem in stems_of(c)]


def expected(c: ImageClass, count: int, seed: int, stems: Iterable[str] = ()) -> set[str]:
    """The choice, computed another way than the program does."""
    order = {hashlib.sha256(f"{seed}:{s}".encode()).hexdigest(): s for s in stems or stems_of(c)}
    return {order[digest] for digest in sorted(order)[:count]}


EXPECTED = expected(LARGE, 10, 3) | expected(SMALL, 10, 3)


class Tree:
    """A folder of train photos that have names only."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, stems: Iterable[str]) -> Tree:
        for wnid in SUBSET.wnids:
            (self.root / "train" / wnid).mkdir(parents=True, exist_ok=True)
        for stem in stems:
            self.path(stem).touch()
        return self

    def path(self, stem: str) -> Path:
        return self.root / "train" / stem.partition("_")[0] / f"{stem}.JPEG"

    def list_of(self, stems: Iterable[str]) -> Path:
        """A train list that has these photos, under the numbers that they have in whole classes."""
        some = set(stems)
        lines = [
            f"{c.wnid}/{stem} {number}\n"
            for c in SUBSET.classes
            for stem, number in numbers_by_rank(c, stems_of(c)).items()
            if stem in some
        ]
        path = self.root / "train_cls.txt"
        path.write_text("".join(lines))
        return path

    def photo_list(self, stems: Iterable[str]) -> Choice:
        path = self.root / "some.txt"
        path.write_text("".join(f"{stem}.JPEG\n" for stem in stems))
        return read_photo_list(path, SUBSET.classes)

    def listing(
        self,
        choice: Choice | None,
        train_list: Path | None = None,
        on_missing: OnMissing = "error",
    ) -> Listing:
        store = open_source(self.root)
        return list_images(
            SUBSET, ["train"], store, train_list, on_missing=on_missing, choice=choice
        )


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Both classes, whole."""
    return Tree(tmp_path).put(WHOLE)


@pytest.fixture
def empty(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def stems(listing: Listing) -> set[str]:
    return set(listing.records["train"].stems)


def numbered(records: Records) -> dict[str, int]:
    return dict(zip(records.stems, records.ids.tolist(), strict=True))


def test_complete_classes_and_their_list_give_the_same_photos_under_the_same_numbers(
    tree: Tree,
) -> None:
    by_rank = tree.listing(TEN)
    by_list = tree.listing(TEN, tree.list_of(WHOLE))
    assert stems(by_rank) == EXPECTED
    assert numbered(by_rank.records["train"]) == numbered(by_list.records["train"])
    numbers = numbers_by_rank(LARGE, stems_of(LARGE)) | numbers_by_rank(SMALL, stems_of(SMALL))
    assert numbered(by_rank.records["train"]) == {stem: numbers[stem] for stem in EXPECTED}
    for listing in (by_rank, by_list):
        assert (listing.notes, listing.missing, listing.chosen_from) == ((), {"train": 0}, None)


def test_a_share_is_one_of_each_class(tree: Tree) -> None:
    half_up = {c: int(c.num_train_images * 0.1 + 0.5) for c in SUBSET.classes}
    found = stems(tree.listing(Share(0.1, 3)))
    assert found == set().union(*(expected(c, n, 3) for c, n in half_up.items()))


def test_only_chosen_photos_have_to_be_there(empty: Tree) -> None:
    listing = empty.put(EXPECTED).listing(TEN, empty.list_of(WHOLE))
    assert stems(listing) == EXPECTED
    assert (listing.notes, listing.missing) == ((), {"train": 0})


def test_a_chosen_photo_that_is_missing_is_named_and_never_replaced(tree: Tree) -> None:
    lost = sorted(EXPECTED)[0]
    tree.path(lost).unlink()
    train_list = tree.list_of(WHOLE)
    with pytest.raises(SourceError, match=f"1 train photo .train/{lost[:9]}/{lost}.JPEG"):
        tree.listing(TEN, train_list)
    listing = tree.listing(TEN, train_list, "skip")
    assert stems(listing) == EXPECTED - {lost}
    assert listing.missing == {"train": 1}
    assert listing.chosen_from is None


def test_a_photo_that_is_missing_and_not_chosen_is_of_no_account(tree: Tree) -> None:
    tree.path(next(stem for stem in WHOLE if stem not in EXPECTED)).unlink()
    listing = tree.listing(TEN, tree.list_of(WHOLE))
    assert (stems(listing), listing.notes) == (EXPECTED, ())


def test_from_a_list_of_fewer_photos_is_chosen_among_these_and_said(empty: Tree) -> None:
    some = [stem for stem in WHOLE if int(stem[-1]) < 5]
    of_class = {c: [stem for stem in some if stem.startswith(c.wnid)] for c in SUBSET.classes}
    listing = empty.put(some).listing(TEN, empty.list_of(some))
    assert stems(listing) == {s for c in of_class for s in expected(c, 10, 3, of_class[c])}
    total = f"{SMALL.num_train_images + LARGE.num_train_images:,}"
    assert listing.notes == (
        f"train_cls.txt has {len(some):,} of ILSVRC's {total} train photos of these classes: "
        "chosen from these",
    )
    names = "".join(f"{stem}\n" for stem in sorted(some)).encode()
    assert listing.chosen_from == Names(len(some), hashlib.sha256(names).hexdigest())


def test_by_name_is_chosen_from_what_is_there_and_said(tree: Tree) -> None:
    tree.path(sorted(EXPECTED)[0]).unlink()
    there = [stem for stem in WHOLE if tree.path(stem).exists()]
    of_class = {c: [stem for stem in there if stem.startswith(c.wnid)] for c in SUBSET.classes}
    with pytest.raises(SourceError, match="1 class folder whose photos can't be numbered"):
        tree.listing(TEN)
    listing = tree.listing(TEN, None, "skip")
    chosen = {s: c for c in of_class for s in expected(c, 10, 3, of_class[c])}
    assert numbered(listing.records["train"]) == {s: name_id(c, s) for s, c in chosen.items()}
    assert listing.missing == {"train": 0}
    assert any(note.startswith("chosen from what is there: ") for note in listing.notes)
    names = "".join(f"{stem}\n" for stem in sorted(there)).encode()
    assert listing.chosen_from == Names(len(there), hashlib.sha256(names).hexdigest())


def test_classes_with_fewer_photos_than_asked_for_are_counted(tree: Tree) -> None:
    listing = tree.listing(PerClass(SMALL.num_train_images + 1))
    assert len(stems(listing)) == 2 * SMALL.num_train_images + 1
    assert listing.notes == (
        "1 class has fewer train photos than asked for: all of theirs are chosen",
    )


def test_a_class_without_any_chosen_photo_is_refused(empty: Tree) -> None:
    empty.put([*expected(LARGE, 10, 3), *(set(stems_of(SMALL)) - EXPECTED)])
    with pytest.raises(SourceError, match=f"no train photo of {SMALL.wnid}"):
        empty.listing(TEN, empty.list_of(WHOLE), "skip")


def test_of_a_list_of_photos_those_of_the_subset_are_taken(tree: Tree) -> None:
    listed = [stems_of(LARGE)[5], stems_of(SMALL)[7], "n01440764_18"]
    listing = tree.listing(tree.photo_list(listed))
    assert stems(listing) == set(listed[:2])
    assert listing.notes == (
        "some.txt has 1 photo of other classes than the subset's (n01440764_18)",
    )
    assert stems(tree.listing(tree.photo_list(listed), tree.list_of(WHOLE))) == set(listed[:2])


@pytest.mark.parametrize("by_list", [True, False])
def test_listed_photos_that_a_class_doesn_t_have_are_reported(tree: Tree, by_list: bool) -> None:
    listed = [stems_of(LARGE)[5], stems_of(SMALL)[7], f"{LARGE.wnid}_12345678"]
    train_list = tree.list_of(WHOLE) if by_list else None
    listing = tree.listing(tree.photo_list(listed), train_list)
    who = "train_cls.txt doesn't" if by_list else "their classes don't"
    assert (stems(listing), listing.missing) == (set(listed[:2]), {"train": 0})
    assert listing.notes == (f"some.txt has 1 photo that {who} have ({listed[2]}): left out",)


@pytest.mark.parametrize("by_list", [True, False])
def test_a_class_of_which_none_is_listed_has_no_photo_and_needs_none(
    empty: Tree, by_list: bool
) -> None:
    listed = stems_of(LARGE)[:3]
    empty.put(listed if by_list else stems_of(LARGE)).put(stems_of(SMALL)[:1])
    train_list = empty.list_of(WHOLE) if by_list else None
    listing = empty.listing(empty.photo_list(listed), train_list)
    assert stems(listing) == set(listed)
    assert listing.notes == (
        f"some.txt has no photo of 1 class of the subset ({SMALL.wnid} ({SMALL.title}))",
    )


def test_a_class_that_has_none_of_its_listed_photos_has_no_photo(tree: Tree) -> None:
    listed = [stems_of(LARGE)[0], f"{SMALL.wnid}_12345678"]
    listing = tree.listing(tree.photo_list(listed))
    assert stems(listing) == {listed[0]}
    assert listing.notes == (
        f"some.txt has 1 photo that their classes don't have ({listed[1]}): left out",
        f"some.txt has no photo of 1 class of the subset ({SMALL.wnid} ({SMALL.title}))",
    )


def test_a_class_whose_listed_photos_are_all_missing_is_refused(empty: Tree) -> None:
    listed = [*stems_of(LARGE)[:3], stems_of(SMALL)[0]]
    empty.put([*listed[:3], stems_of(SMALL)[1]])
    for on_missing in ("error", "skip"):
        with pytest.raises(SourceError, match=f"has no train photo of {SMALL.wnid}"):
            empty.listing(empty.photo_list(listed), empty.list_of(WHOLE), on_missing)


def test_listed_photos_that_are_missing_are_counted_where_ids_are_made_of_names(
    empty: Tree,
) -> None:
    listed = [*stems_of(LARGE)[:3], stems_of(SMALL)[0]]
    empty.put([*stems_of(LARGE)[1:9], stems_of(SMALL)[0]])
    listing = empty.listing(empty.photo_list(listed), None, "skip")
    assert stems(listing) == set(listed[1:])
    assert listing.missing == {"train": 1}


def test_a_listed_photo_without_a_number_follows_the_policy_and_others_don_t_count(
    tree: Tree,
) -> None:
    known = WHOLE[:-2]
    tree.put([f"{SMALL.wnid}_12345678"])
    assert stems(tree.listing(tree.photo_list(known), tree.list_of(known))) == set(known)
    with pytest.raises(SourceError, match="has no ILSVRC number for 1 photo"):
        tree.listing(tree.photo_list(WHOLE[:-1]), tree.list_of(known))


def test_a_list_of_which_no_photo_is_known_is_refused(tree: Tree) -> None:
    with pytest.raises(SourceError, match=r"of these classes that \S+\.txt has is known"):
        tree.listing(tree.photo_list([f"{LARGE.wnid}_12345678"]))
