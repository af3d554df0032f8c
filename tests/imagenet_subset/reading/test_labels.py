"""Labels by the names that the ecosystem has for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from imagenet_subset.errors import ReadError
from imagenet_subset.ilsvrc.classes import MEANINGS, class_table
from imagenet_subset.npz.class_csv import ClassRow
from imagenet_subset.npz.labels import labels_of
from imagenet_subset.reading.subset import open_subset

Write = Callable[..., Path]
HEAD = "subset_label,original_id,WNID,human_label\n"


def names(*rows: tuple[int, str, str], given: tuple[str | None, ...] = ()) -> list[str]:
    class_rows = [ClassRow(label, 1, wnid, name) for label, wnid, name in rows]
    return [label.name for label in labels_of(class_rows, given)]


def test_a_dataset_has_names_and_labels_as_pytorchs_have(write_subset: Write) -> None:
    dataset = open_subset(write_subset([2, 0, 1], [1])).dataset("train")
    assert dataset.classes == ["acorn", "airliner", "volcano"]
    assert dataset.class_to_idx == {"acorn": 0, "airliner": 1, "volcano": 2}
    assert dataset.targets == [2, 0, 1]
    assert all(type(label) is int for label in dataset.targets)
    assert [label for _, label in dataset] == dataset.targets


def test_torchvisions_labels_are_the_places_of_the_sorted_wnids(write_subset: Write) -> None:
    subset = open_subset(write_subset([2, 0, 1], [1]))
    by_label = subset.torchvision_labels
    assert by_label.dtype == np.int64
    assert by_label.tolist() == [988, 404, 980]
    assert by_label[subset.y_train].tolist() == [980, 988, 404]


def test_all_1000_classes_have_different_names() -> None:
    rows = [
        ClassRow(k, c.clsloc_id, c.wnid, c.human_label)
        for k, c in enumerate(class_table().values())
    ]
    found = [label.name for label in labels_of(rows)]
    assert len(set(found)) == 1000
    assert found == [c.title for c in class_table().values()]
    plain = [c.human_label for c in class_table().values()]
    assert sum(a != b for a, b in zip(found, plain, strict=True)) == len(MEANINGS)


def test_a_name_depends_on_its_class_alone() -> None:
    assert names((0, "n02012849", "crane")) == ["crane (bird)"]


def test_names_of_a_foreign_csv_are_made_distinct() -> None:
    assert names((0, "a", "x"), (1, "b", "x"), (2, "c", "y")) == ["x (a)", "x (b)", "y"]
    assert names((0, "", ""), (1, "n1", "")) == ["class 0", "n1"]
    assert names((0, "a", "x"), (1, "a", "x")) == ["x (a) (0)", "x (a) (1)"]


def test_a_superclass_has_the_files_name() -> None:
    rows = (0, "a", "x"), (0, "b", "y"), (1, "c", "z")
    assert names(*rows, given=("both", None)) == ["both", "z"]
    assert names(*rows) == ["x or y", "z"]


def test_where_nothing_says_the_classes_they_are_numbered(write_subset: Write) -> None:
    subset = open_subset(write_subset([0, 3], [1], csv=None, foreign=True))
    assert subset.dataset("val").classes == ["class 0", "class 1", "class 2", "class 3"]
    with pytest.raises(
        ReadError, match=r"nothing says its classes; put three_cls_metadata\.csv beside it"
    ):
        _ = subset.torchvision_labels


def test_labels_beyond_the_csv_are_numbered(write_subset: Write) -> None:
    subset = open_subset(write_subset([0, 3], [1], csv=f"{HEAD}0,1,a,x\n", foreign=True))
    assert subset.dataset("val").classes == ["x", "class 1", "class 2", "class 3"]


def test_a_superclass_has_no_index_of_torchvisions(write_subset: Write) -> None:
    csv = f"{HEAD}0,327,n12267677,acorn\n0,230,n02690373,airliner\n"
    subset = open_subset(write_subset([0], [0], csv=csv, foreign=True))
    assert subset.class_names == ["acorn or airliner"]
    with pytest.raises(ReadError, match="its labels are superclasses: each of"):
        _ = subset.torchvision_labels


def test_a_stranger_in_the_csv_has_no_index_of_torchvisions(write_subset: Write) -> None:
    csv = f"{HEAD}0,1,n00000001,thing\n"
    subset = open_subset(write_subset([0], [0], csv=csv, foreign=True))
    with pytest.raises(ReadError, match="n00000001 is no class of ILSVRC 2012"):
        _ = subset.torchvision_labels


@pytest.mark.parametrize("labels", [(1, 2), (0, 2), (0, 0, 2), (1, 0)])
def test_labels_of_a_csv_ascend_without_a_gap(write_subset: Write, labels: tuple[int, ...]) -> None:
    csv = HEAD + "".join(f"{label},1,n0000000{k},x\n" for k, label in enumerate(labels))
    subset = open_subset(write_subset([0], [0], csv=csv, foreign=True))
    with pytest.raises(ReadError, match="subset_label isn't 0, 1, 2"):
        _ = subset.class_rows
