"""The weights and places by which strips are scaled, against Pillow's own resize."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.rule import INTERPOLATIONS, Interpolation
from pipelines.taps import FRACTION_BITS, filter_taps, nearest_samples, samples_used

BLENDING = [name for name in INTERPOLATIONS if name != "nearest"]


def row_by_pillow(row: np.ndarray, scaled: int, interpolation: Interpolation) -> np.ndarray:
    image = Image.fromarray(row[None])
    made = image.resize((scaled, 1), Image.Resampling[interpolation.upper()])
    return np.asarray(made)[0]


@settings(max_examples=400)
@given(
    st.sampled_from(BLENDING),
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.booleans(),
    st.randoms(use_true_random=False),
)
@example("lanczos", 1, 2048, False, None)
@example("bicubic", 3000, 8, True, None)
def test_the_weights_scale_a_row_as_pillow_does(
    interpolation: Interpolation, length: int, scaled: int, hard: bool, random
) -> None:
    seed = random.randint(0, 2**32) if random else 0
    row = np.random.default_rng(seed).integers(0, 256, length, np.uint8)
    row = np.where(row > 127, 255, 0).astype(np.uint8) if hard else row
    taps = filter_taps(length, scaled, 0, scaled, interpolation)
    places = np.minimum(taps.starts[:, None] + np.arange(taps.weights.shape[1]), length - 1)
    sums = (row[places].astype(np.int64) * taps.weights).sum(axis=1)
    made = (sums + (1 << (FRACTION_BITS - 1))) >> FRACTION_BITS
    assert np.abs(sums).max() + (1 << (FRACTION_BITS - 1)) < 1 << 31, "sums must fit in 32 bits"
    expected = row_by_pillow(row, scaled, interpolation)
    np.testing.assert_array_equal(made.clip(0, 255), expected)


@given(st.data(), st.integers(1, 3000), st.integers(1, 600), st.sampled_from(BLENDING))
def test_the_samples_used_are_those_of_the_weights(
    data, length: int, scaled: int, interpolation: Interpolation
) -> None:
    count = data.draw(st.integers(1, scaled))
    first = data.draw(st.integers(0, scaled - count))
    taps = filter_taps(length, scaled, first, count, interpolation)
    used = samples_used(length, scaled, first, count, interpolation)
    assert used == (taps.begin, taps.end)


@settings(max_examples=200)
@given(st.integers(1, 3000), st.integers(1, 4000), st.data())
def test_nearest_takes_the_samples_that_pillow_takes(length: int, more: int, data) -> None:
    scaled = length + more
    first = data.draw(st.integers(0, scaled - 1))
    count = data.draw(st.integers(1, scaled - first))
    taken = row_by_pillow(np.arange(length, dtype=np.int32), scaled, "nearest")
    found = nearest_samples(length, scaled, first, count)
    np.testing.assert_array_equal(found, taken[first : first + count])


@pytest.mark.parametrize(
    ("length", "scaled"), [(20_000, 30_000), (2_000_000, 3_000_000), (20_000, 5_851_428)]
)
def test_nearest_adds_up_places_as_pillow_does(length: int, scaled: int) -> None:
    """Where a photo grows by half, every third place lies on the border of two samples."""
    first = scaled // 2 - 1024
    taken = row_by_pillow(np.arange(length, dtype=np.int32), scaled, "nearest")
    taken = taken[first : first + 2048]
    np.testing.assert_array_equal(nearest_samples(length, scaled, first, 2048), taken)
    by_themselves = (np.arange(first, first + 2048) + 0.5) * (length / scaled)
    assert (by_themselves.astype(int) == taken).all() == (scaled > 2 * length)
