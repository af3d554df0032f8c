"""So many photos of a class, or a share of them: the same ones everywhere."""

from __future__ import annotations

import hashlib
import random
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from imagenet_subset.selection.asked import check_choice, drawn_choice
from imagenet_subset.selection.choice import PerClass, Share

NOTHING = {
    **{"per_class": None, "fraction": None, "photo_list": None, "seed": 0},
    "splits": ["train", "val"],
}
NAMES = [f"n01440764_{k}" for k in range(500)]


@pytest.mark.parametrize("seed", [0, 3, 12345678901234567890])
def test_photos_are_drawn_in_the_order_of_the_sha256_of_seed_and_stem(seed: int) -> None:
    expected = sorted(
        NAMES,
        key=lambda stem: hashlib.sha256(str(seed).encode() + b":" + stem.encode()).hexdigest(),
    )
    for count in (1, 2, 10, 499):
        assert PerClass(count, seed).of("n01440764", NAMES) == expected[:count]


def test_the_first_photos_of_seed_3_are_these() -> None:
    assert PerClass(3, 3).of("n01440764", NAMES) == [
        "n01440764_423",
        "n01440764_272",
        "n01440764_220",
    ]


def test_the_order_in_which_the_photos_are_found_changes_nothing() -> None:
    shuffled = random.Random(1).sample(NAMES, len(NAMES))
    assert PerClass(7).of("n01440764", shuffled) == PerClass(7).of("n01440764", NAMES)


def test_one_more_photo_of_each_class_is_one_more_and_no_other() -> None:
    for count in range(1, 30):
        smaller, larger = (PerClass(n, 5).of("n01440764", NAMES) for n in (count, count + 1))
        assert larger[:-1] == smaller


def test_a_share_has_all_photos_of_a_smaller_one() -> None:
    assert set(Share(0.01, 2).of("a", NAMES)) < set(Share(0.1, 2).of("a", NAMES))


def test_another_seed_draws_others() -> None:
    assert PerClass(10, 0).of("a", NAMES) != PerClass(10, 1).of("a", NAMES)


def test_a_class_that_has_fewer_gives_all() -> None:
    assert sorted(PerClass(1000).of("a", NAMES)) == sorted(NAMES)
    assert PerClass(3).of("a", []) == Share(0.5).of("a", []) == []


@pytest.mark.parametrize("text", ["0.01", "0.1", "0.035", "0.001", "0.5", "0.7", "1", "1e-05"])
def test_a_share_is_rounded_half_up_in_exact_arithmetic_and_one_at_least(text: str) -> None:
    share = drawn_choice(None, float(text), 0)
    assert share is not None
    for n in (1, 3, 29, 50, 150, 500):
        exact = (Decimal(text) * n).quantize(Decimal(1), ROUND_HALF_UP)
        assert len(share.of("a", NAMES[:n])) == max(1, int(exact))


def test_a_share_of_half_a_photo_is_rounded_up_where_floats_would_round_down() -> None:
    assert 0.145 * 100 < 14.5
    assert len(Share(0.145).of("a", NAMES[:100])) == 15


@pytest.mark.parametrize(
    "asked",
    [
        {"per_class": 0},
        {"per_class": 1.5},
        {"per_class": True},
        {"fraction": 0},
        {"fraction": 1.01},
        {"fraction": float("nan")},
        {"fraction": "0.1"},
        {"fraction": True},
        {"per_class": 1, "seed": -1},
        {"per_class": 1, "seed": 0.5},
        {"per_class": 1, "seed": 0.0},
        {"per_class": 1, "seed": False},
        {"per_class": 1, "seed": ""},
        {"seed": 1},
        {"photo_list": "a.txt", "seed": 1},
        {"fraction": 0.1, "photo_list": "a.txt"},
        {"splits": ["val"], "per_class": 1},
    ],
)
def test_what_makes_no_sense_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=list(asked)[-1]):
        check_choice(**{**NOTHING, **asked})
