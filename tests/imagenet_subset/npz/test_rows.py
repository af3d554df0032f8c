"""Index, row of a split and offset: three numbers of one row."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_subset.npz.layout import KEYS, Layout
from imagenet_subset.npz.rows import Rows
from imagenet_subset.records import SPLITS
from pipelines.rule import DEFAULT

counts = st.integers(0, 40)


def rows_of(n_train: int, n_val: int) -> Rows:
    return Layout.of({"train": n_train, "val": n_val}, DEFAULT.shape).rows


@given(counts, counts)
def test_an_index_and_a_place_are_the_same_row(n_train: int, n_val: int) -> None:
    rows = rows_of(n_train, n_val)
    places = [(split, row) for split in SPLITS for row in range(len(rows.indices(split)))]
    assert [rows.place(index) for index in range(len(rows))] == places
    assert [rows.index(*place) for place in places] == list(range(len(rows)))
    assert [*rows.indices("train"), *rows.indices("val")] == list(range(n_train + n_val))


@given(counts, counts)
def test_an_offset_is_where_the_array_has_the_row(n_train: int, n_val: int) -> None:
    layout = Layout.of({"train": n_train, "val": n_val}, DEFAULT.shape)
    for index in range(len(layout.rows)):
        split, row = layout.rows.place(index)
        expected = layout.members[KEYS.index(f"X_{split}")].data_offset + row * DEFAULT.nbytes
        assert layout.rows.offset(index) == layout.rows.offset_of(split, row) == expected


@given(counts, counts)
def test_rows_ascend_in_the_file_and_none_overlaps(n_train: int, n_val: int) -> None:
    rows = rows_of(n_train, n_val)
    offsets = np.array([rows.offset(index) for index in range(len(rows))], np.int64)
    assert (np.diff(offsets) >= rows.nbytes).all()


@given(counts, counts)
def test_values_by_index_are_values_of_each_split(n_train: int, n_val: int) -> None:
    values = np.arange(n_train + n_val, dtype=np.uint32)
    parts = rows_of(n_train, n_val).by_split(values)
    assert list(parts) == list(SPLITS)
    assert (parts["train"].tolist(), parts["val"].tolist()) == (
        list(range(n_train)),
        list(range(n_train, n_train + n_val)),
    )


@pytest.mark.parametrize("index", [-1, 5, 6])
def test_an_index_beyond_the_rows_is_refused(index: int) -> None:
    with pytest.raises(IndexError):
        rows_of(3, 2).place(index)


def test_it_is_a_value_that_goes_to_workers() -> None:
    rows = rows_of(3, 2)
    assert pickle.loads(pickle.dumps(rows)) == rows
    assert hash(rows) == hash(rows_of(3, 2))
