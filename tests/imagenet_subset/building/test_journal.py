"""The journal: what it keeps, and what it never believes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_subset.building import journal
from imagenet_subset.errors import ResumeMismatchError

FINGERPRINT = {"records": "3f", "provenance": {"pipeline": {"name": "pillow"}}}


def test_what_was_recorded_is_there_when_opened_again(tmp_path: Path) -> None:
    journal.create(tmp_path / "j", FINGERPRINT, 10)
    with journal.opened(tmp_path / "j", 10) as first:
        assert not first.done.any()
        first.record(range(4, 8), [7, None, 0xFFFFFFFF, 0])
    with journal.opened(tmp_path / "j", 10) as again:
        assert again.fingerprint == FINGERPRINT
        assert np.flatnonzero(again.done).tolist() == [4, 6, 7]
        assert again.crcs[[4, 6, 7]].tolist() == [7, 0xFFFFFFFF, 0]


def test_rows_that_are_no_neighbours_are_recorded_in_any_order(tmp_path: Path) -> None:
    journal.create(tmp_path / "j", FINGERPRINT, 9)
    with journal.opened(tmp_path / "j", 9) as first:
        first.record([3], [33])
        first.record([8, 1, 2, 6, 0], [80, 10, None, 60, 0xFFFFFFFF])
        in_memory = first.entries.copy()
    with journal.opened(tmp_path / "j", 9) as again:
        assert again.entries.tolist() == in_memory.tolist()
        assert np.flatnonzero(again.done).tolist() == [0, 1, 3, 6, 8]
        assert again.crcs[[0, 1, 3, 6, 8]].tolist() == [0xFFFFFFFF, 10, 33, 60, 80]


def test_a_row_can_become_pending_again(tmp_path: Path) -> None:
    journal.create(tmp_path / "j", FINGERPRINT, 2)
    with journal.opened(tmp_path / "j", 2) as opened:
        opened.record([0, 1], [5, 6])
        opened.record([1], [None])
        assert opened.done.tolist() == [True, False]


def test_how_far_a_move_came_is_there_when_opened_again(tmp_path: Path) -> None:
    journal.create(tmp_path / "j", FINGERPRINT, 2)
    with journal.opened(tmp_path / "j", 2) as opened:
        assert opened.moved == 0
        opened.record([0, 1], [5, 6])
        opened.note_moved(2)
    with journal.opened(tmp_path / "j", 2) as opened:
        assert opened.moved == 2
        assert opened.crcs.tolist() == [5, 6]


def test_a_journal_cut_short_lacks_its_last_rows_only(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal.create(path, FINGERPRINT, 10)
    with journal.opened(path, 10) as opened:
        opened.record(range(10), list(range(10)))
    path.write_bytes(path.read_bytes()[:-28])
    with journal.opened(path, 10) as opened:
        assert opened.done.tolist() == [True] * 7 + [False] * 3


@given(st.data())
def test_a_flipped_bit_in_the_header_is_refused_and_one_in_an_entry_harms_one_row(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("flip") / "j"
    journal.create(path, FINGERPRINT, 4)
    with journal.opened(path, 4) as opened:
        opened.record(range(4), [10, 20, 30, 40])
    content = bytearray(path.read_bytes())
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    if bit // 8 < len(content) - 5 * 8:
        with pytest.raises(ResumeMismatchError, match="damaged"), journal.opened(path, 4):
            pass
        return
    with journal.opened(path, 4) as opened:
        good = opened.done & (opened.crcs == [10, 20, 30, 40])
        assert good.sum() == 3 + (bit // 8 >= len(content) - 8), "or it is in the count of moves"


@pytest.mark.parametrize("content", [b"", b"imagenet", bytes(100), b"\xff" * 100])
def test_what_is_no_journal_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "j").write_bytes(content)
    with (
        pytest.raises(ResumeMismatchError, match="--overwrite") as error,
        journal.opened(tmp_path / "j", 3),
    ):
        pass
    assert "\n" not in str(error.value)


def test_differences_name_the_field_and_both_sides() -> None:
    other = {"records": "3f", "provenance": {"pipeline": {"name": "dali", "batch": 3}}}
    assert journal.differences(FINGERPRINT, other) == [
        "pipeline.batch: nothing there, 3 here",
        "--pipeline pillow there, dali here",
    ]


def test_other_photos_are_told_in_words_and_not_by_their_hashes() -> None:
    there, here = ({"records": {"train": c * 64, "val": "f" * 64}} for c in "ab")
    assert journal.differences(there, here) == [
        "train: other photos, or another order or numbering of them"
    ]


def test_a_difference_is_one_short_line_whatever_it_holds() -> None:
    nested: list[object] = []
    for _ in range(500):
        nested = [nested]
    for value in ("a\nb", ["a\nb"], nested, {"x": nested}, "x" * 1000, list(range(1000)), 10**300):
        (line,) = journal.differences({"pipe\n": value}, {})
        assert line.isprintable()
        assert len(line) < 100


def test_a_journal_that_another_build_put_in_its_place_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal.create(path, FINGERPRINT, 2)
    with journal.opened(path, 2) as opened:
        journal.create(path, {"other": 1}, 2)
        opened.remove()
    with journal.opened(path, 2) as other:
        assert other.fingerprint == {"other": 1}
        other.remove()
        other.remove()
    assert list(tmp_path.iterdir()) == []
