"""Which images of a class are shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from imagenet_subset.reading.subset import open_subset
from imagenet_subset.viewing.sampling import default_split, per_class_of_page, sample_classes

Write = Callable[..., Path]


def test_a_sample_is_the_same_for_the_same_seed_and_differs_for_another(
    write_subset: Write,
) -> None:
    subset = open_subset(write_subset([0] * 60 + [1] * 60, []))
    rows = [sample.rows["train"] for sample in sample_classes(subset, ["train"], 8, seed=5)]
    assert rows == [s.rows["train"] for s in sample_classes(subset, ["train"], 8, seed=5)]
    assert rows != [s.rows["train"] for s in sample_classes(subset, ["train"], 8, seed=6)]


def test_a_sample_holds_rows_of_its_own_class_once_each(write_subset: Write) -> None:
    y = [0, 1, 0, 2, 1, 0, 0]
    subset = open_subset(write_subset(y, []))
    samples = sample_classes(subset, ["train"], 3, seed=0)
    assert [len(sample.rows["train"]) for sample in samples] == [3, 2, 1]
    for label, sample in enumerate(samples):
        assert {y[row] for row in sample.rows["train"]} == {label}
        assert sample.rows["train"] == sorted(set(sample.rows["train"]))


def test_the_draw_from_a_split_does_not_depend_on_the_other(write_subset: Write) -> None:
    subset = open_subset(write_subset([0] * 60, [0] * 50))
    both, *_ = sample_classes(subset, ["train", "val"], 8, seed=5)
    val, *_ = sample_classes(subset, ["val"], 8, seed=5)
    assert both.rows["val"] == val.rows["val"]
    assert len(both.rows["train"]) == 8


def test_the_split_shown_is_train_unless_it_is_empty(write_subset: Write) -> None:
    assert default_split(open_subset(write_subset([0], [0]))) == "train"
    assert default_split(open_subset(write_subset([], [0]))) == "val"
    assert default_split(open_subset(write_subset([], []))) == "train"


def test_a_page_of_many_classes_has_fewer_images_of_each() -> None:
    assert [per_class_of_page(n, 2) for n in (0, 1, 250, 251, 1000, 10_000)] == [8, 8, 8, 7, 2, 1]
    assert per_class_of_page(1000, 1) == 4
