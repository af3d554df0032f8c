"""How ILSVRC numbers its images: the train list, and ranks without it."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_subset.ilsvrc.classes import class_table, val_ground_truth
from imagenet_subset.ilsvrc.numbering import (
    NAMES_OF_A_CLASS,
    is_train_name,
    name_id,
    name_of_id,
    numbers_by_rank,
    val_id,
    val_ids_of,
    val_name,
)

TENCH, ACORN = "n01440764", "n12267677"
FIRST_ACORN = class_table()[ACORN].first_train_id
TENCHES = f"{TENCH}/{TENCH}_10026 1\n{TENCH}/{TENCH}_10027 2\n"


def runs_of_the_real_list() -> list[list[tuple[str, int]]]:
    """Runs of neighbouring lines of the real ``train_cls.txt``, from its first five classes."""
    runs: list[list[tuple[str, int]]] = []
    for line in (Path(__file__).parent / "train_cls_runs.txt").read_text().splitlines():
        name, number = line.split()
        if not runs or runs[-1][-1][1] != int(number) - 1:
            runs.append([])
        runs[-1].append((name.partition("/")[2], int(number)))
    return runs


def test_the_rank_in_a_class_is_the_number_that_the_real_list_gives() -> None:
    runs = runs_of_the_real_list()
    assert sum(map(len, runs)) == 400
    for run in runs:
        image_class = class_table()[run[0][0][:9]]
        first = run[0][1] - image_class.first_train_id  # photos of the class before the run
        shuffled = random.Random(1).sample([name for name, _ in run], len(run))
        numbers = numbers_by_rank(image_class, shuffled)
        assert {name: first + number for name, number in numbers.items()} == dict(run)
        assert shuffled != sorted(shuffled) != [name for name, _ in run], "plain order won't do"


def test_ranks_count_from_the_number_of_the_class_s_first_photo() -> None:
    names = [f"{ACORN}_{k}" for k in (100, 10, 11, 1, 20, 2, 3)]
    expected = {name: FIRST_ACORN + rank for rank, name in enumerate(names)}
    assert numbers_by_rank(class_table()[ACORN], sorted(names)) == expected


def test_val_names_and_numbers_are_each_others_inverse() -> None:
    for number in (1, 293, 50_000):
        assert val_id(val_name(number)) == number


@pytest.mark.parametrize(
    "stem",
    [
        "ILSVRC2012_val_00000000",
        "ILSVRC2012_val_00050001",
        "ILSVRC2012_val_1",
        "ILSVRC2012_val_000000001",
        "ILSVRC2012_val_0000000\u0661",
        "ILSVRC2012_val_00000001\n",
        "ILSVRC2012_test_00000001",
        "",
    ],
)
def test_any_other_name_is_no_val_photo(stem: str) -> None:
    assert val_id(stem) is None


def test_val_ids_follow_the_ground_truth() -> None:
    ids = val_ids_of([327, 1])
    assert set(ids) == {327, 1}
    for clsloc_id, numbers in ids.items():
        assert len(numbers) == 50
        assert numbers == sorted(numbers)
        assert {int(val_ground_truth()[n - 1]) for n in numbers} == {clsloc_id}


# Ids that are made of names

names = st.tuples(st.sampled_from(list(class_table())), st.integers(0, NAMES_OF_A_CLASS - 1))


@given(names)
def test_an_id_of_a_name_leads_back_to_it(name: tuple[str, int]) -> None:
    wnid, number = name
    image_id = name_id(class_table()[wnid], f"{wnid}_{number}")
    assert np.iinfo(np.int32).min <= image_id < 0
    assert name_of_id(image_id) == (wnid, f"{wnid}_{number}")


@given(st.integers(-(2**33), 2**33))
def test_an_id_is_that_of_one_name_or_of_none(image_id: int) -> None:
    found = name_of_id(image_id)
    assert (found is None) == (not -2_001_999_999 <= image_id <= -NAMES_OF_A_CLASS)
    if found:
        assert name_id(class_table()[found[0]], found[1]) == image_id


def test_ids_of_names_ascend_from_the_last_class_to_the_first() -> None:
    first, *_, last = class_table()
    assert name_id(class_table()[first], f"{first}_0") == -2_000_000
    assert name_id(class_table()[last], f"{last}_1999999") == -2_001_999_999


@pytest.mark.parametrize(
    ("stem", "says"),
    [
        (f"{ACORN}_2000000", "is 2,000,000 or more"),
        (f"{ACORN}_{'9' * 5000}", "is 2,000,000 or more"),
        (f"{ACORN}_007", "is no train photo's name of n12267677"),
        (f"{TENCH}_7", "is no train photo's name of n12267677"),
        (f"{ACORN}_", "is no train photo's name of n12267677"),
    ],
)
def test_a_name_without_an_id_is_refused(stem: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        name_id(class_table()[ACORN], stem)


@pytest.mark.parametrize("number", ["", "00", "01", "-1", "+1", "1 ", "\u0661", "1_0", "1.0"])
def test_a_number_in_a_name_is_written_in_one_way(number: str) -> None:
    assert not is_train_name(class_table()[ACORN], f"{ACORN}_{number}")
    assert is_train_name(class_table()[ACORN], f"{ACORN}_0")
