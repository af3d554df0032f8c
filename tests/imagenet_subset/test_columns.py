"""Columns of names and places: what comes out is what went in, in whatever order."""

from __future__ import annotations

import os
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_subset.columns import BLOCK, Span, Spans, Texts, TextsBuilder, pack

NAMES = ["", "n01440764_1.JPEG", "a\nb", "\n", "eñe-日本", "\x1b[31m"]
if sys.platform != "win32":
    NAMES.append(os.fsdecode(b"n12267677_\xff\xfe"))
names = st.one_of(st.sampled_from(NAMES), st.text(st.characters(exclude_categories=["Cs"])))


@given(st.lists(names, max_size=12), st.data())
def test_names_come_out_as_they_went_in(texts: list[str], data: st.DataObject) -> None:
    column = Texts.of(texts)
    assert len(column) == len(texts)
    assert list(column) == texts
    assert [column[k] for k in range(len(texts))] == texts
    first, end = sorted(data.draw(st.tuples(*[st.integers(0, len(texts))] * 2)))
    assert column.between(first, end) == texts[first:end]
    chosen = data.draw(st.lists(st.integers(0, len(texts) - 1), max_size=9)) if texts else []
    assert list(column.take(np.array(chosen, np.intp))) == [texts[k] for k in chosen]
    assert column.at(chosen) == [texts[k] for k in chosen]
    assert column.at(range(first, end)) == texts[first:end]
    assert list(pickle.loads(pickle.dumps(column))) == texts


@given(st.lists(st.lists(names, max_size=4), max_size=5))
def test_blocks_make_one_column(blocks: list[list[str]]) -> None:
    builder = TextsBuilder()
    for block in blocks:
        builder.add(block)
    expected = Texts.of([text for block in blocks for text in block])
    assert list(builder.column()) == list(expected)
    assert builder.column().joined == expected.joined


def test_more_values_than_a_block_keep_their_order() -> None:
    texts = [f"name {k * k}" for k in range(2 * BLOCK + 3)]
    backwards = Texts.of(texts).take(np.arange(len(texts))[::-1])
    assert list(backwards) == texts[::-1]


@given(st.lists(st.tuples(*[st.integers(0, 2**50)] * 4), min_size=1, max_size=9))
def test_spans_come_out_as_they_went_in(numbers: list[tuple[int, int, int, int]]) -> None:
    spans = [Span(*four) for four in numbers]
    column = pack(spans)
    assert isinstance(column, Spans)
    assert list(column) == spans
    assert [type(n) for n in column[0]] == [int] * 4
    assert list(column.take(np.arange(len(spans))[::-1])) == spans[::-1]
    assert column.at(range(len(spans))[::-1]) == spans[::-1]


def test_a_column_is_of_one_kind() -> None:
    with pytest.raises(ValueError, match="all strings, or all spans"):
        pack(["train/x.JPEG", Span(0, 0, 1)])
    assert list(pack([])) == []
