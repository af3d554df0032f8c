from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.rule import CROP, RESIZE, crop_box, crop_offset, crop_roi, resized_size

sides = st.integers(1, 65_535)


@given(sides, sides)
@example(1, 65_535)
@example(65_535, 1)
def test_the_shorter_side_becomes_256(width, height):
    assert min(resized_size(width, height)) == RESIZE


@given(sides, sides)
@example(65_535, 65_534)
def test_the_longer_side_is_what_torchvision_computes(width, height):
    """Resize truncates a quotient of floats, see ``_compute_resized_output_size``."""
    longer, shorter = max(width, height), min(width, height)
    assert max(resized_size(width, height)) == int(RESIZE * longer / shorter)


@given(sides, sides)
def test_a_turned_photo_has_turned_geometry(width, height):
    left, top, right, bottom = crop_box(width, height)
    assert resized_size(height, width) == resized_size(width, height)[::-1]
    assert crop_box(height, width) == (top, left, bottom, right)


@given(sides, sides)
def test_the_crop_lies_in_the_middle_of_the_scaled_photo(width, height):
    scaled_width, scaled_height = resized_size(width, height)
    left, top, right, bottom = crop_box(width, height)
    assert (right - left, bottom - top) == (CROP, CROP)
    assert abs(left - (scaled_width - right)) <= 1
    assert abs(top - (scaled_height - bottom)) <= 1
    assert left >= 0
    assert top >= 0


@pytest.mark.parametrize(
    ("length", "offset"),
    [(256, 16), (257, 16), (258, 17), (259, 18), (260, 18), (261, 18), (262, 19), (263, 20)],
)
def test_half_a_pixel_is_rounded_to_the_even_neighbour(length, offset):
    assert crop_offset(length) == offset


@given(sides, sides)
def test_the_roi_is_the_crop_measured_in_the_photo(width, height):
    scaled_width, scaled_height = resized_size(width, height)
    (y0, x0), (y1, x1) = crop_roi(width, height)
    measured = (
        x0 * scaled_width / width,
        y0 * scaled_height / height,
        x1 * scaled_width / width,
        y1 * scaled_height / height,
    )
    assert measured == pytest.approx(crop_box(width, height), rel=1e-12)
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height


def test_a_256x256_photo_is_cropped_as_it_is():
    assert resized_size(256, 256) == (256, 256)
    assert crop_roi(256, 256) == ((16.0, 16.0), (240.0, 240.0))
