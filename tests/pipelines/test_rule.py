from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.rule import DEFAULT, INTERPOLATIONS, Interpolation, PixelRule

sides = st.integers(1, 65_535)
rules = st.integers(8, 2048).flatmap(
    lambda crop: st.builds(
        PixelRule, st.integers(crop, 2048), st.just(crop), st.sampled_from(INTERPOLATIONS)
    )
)


def test_the_default_is_256_and_224() -> None:
    assert PixelRule() == DEFAULT == PixelRule(resize=256, crop=224, interpolation="bilinear")
    assert DEFAULT.shape == (224, 224, 3)


def test_whole_numbers_of_numpy_make_the_same_rule() -> None:
    rule = PixelRule(np.int64(72), np.int32(64))  # type: ignore[arg-type]
    assert (type(rule.resize), type(rule.crop)) == (int, int)
    assert rule == PixelRule(72, 64)


def test_the_text_of_the_default_is_that_of_all_files_so_far() -> None:
    assert DEFAULT.text == (
        "RGB without EXIF rotation; shorter side 256, longer 256*longer//shorter, bilinear with "
        "antialiasing; center crop 224, offset rounded half to even"
    )


@given(rules, sides, sides)
@example(DEFAULT, 1, 65_535)
@example(DEFAULT, 65_535, 1)
@example(DEFAULT, 65_535, 65_534)
def test_the_scaled_size_is_what_torchvision_computes(
    rule: PixelRule, width: int, height: int
) -> None:
    """Resize truncates a quotient of floats, see ``_compute_resized_output_size``."""
    longer, shorter = max(width, height), min(width, height)
    scaled = rule.resized_size(width, height)
    assert min(scaled) == rule.resize
    assert max(scaled) == int(rule.resize * longer / shorter)


@given(rules, sides, sides)
@example(DEFAULT, 500, 375)
def test_the_crop_is_what_torchvision_computes(rule: PixelRule, width: int, height: int) -> None:
    """CenterCrop: ``int(round((height - crop) / 2.0))``, with no padding."""
    left, top, right, bottom = rule.crop_box(width, height)
    scaled_width, scaled_height = rule.resized_size(width, height)
    assert left == round((scaled_width - rule.crop) / 2.0)
    assert top == round((scaled_height - rule.crop) / 2.0)
    assert 0 <= left < right <= scaled_width
    assert 0 <= top < bottom <= scaled_height
    assert (bottom - top, right - left, 3) == rule.shape


@given(rules, sides, sides)
def test_a_turned_photo_has_turned_geometry(rule: PixelRule, width: int, height: int) -> None:
    left, top, right, bottom = rule.crop_box(width, height)
    assert rule.resized_size(height, width) == rule.resized_size(width, height)[::-1]
    assert rule.crop_box(height, width) == (top, left, bottom, right)


@given(rules, sides, sides)
def test_the_crop_lies_in_the_middle_of_the_scaled_photo(
    rule: PixelRule, width: int, height: int
) -> None:
    scaled_width, scaled_height = rule.resized_size(width, height)
    left, top, right, bottom = rule.crop_box(width, height)
    assert abs(left - (scaled_width - right)) <= 1
    assert abs(top - (scaled_height - bottom)) <= 1


@pytest.mark.parametrize(
    ("length", "offset"),
    [(256, 16), (257, 16), (258, 17), (259, 18), (260, 18), (261, 18), (262, 19), (263, 20)],
)
def test_half_a_pixel_is_rounded_to_the_even_neighbour(length: int, offset: int) -> None:
    assert DEFAULT.crop_offset(length) == offset


@given(rules, sides, sides)
def test_the_roi_is_the_crop_measured_in_the_photo(
    rule: PixelRule, width: int, height: int
) -> None:
    scaled_width, scaled_height = rule.resized_size(width, height)
    (y0, x0), (y1, x1) = rule.crop_roi(width, height)
    measured = (
        x0 * scaled_width / width,
        y0 * scaled_height / height,
        x1 * scaled_width / width,
        y1 * scaled_height / height,
    )
    assert measured == pytest.approx(rule.crop_box(width, height), rel=1e-12)
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height


@pytest.mark.parametrize("interpolation", ["bicubic", "lanczos", "box"])
def test_another_filters_text_has_its_name(interpolation: Interpolation) -> None:
    text = PixelRule(interpolation=interpolation).text
    assert text == DEFAULT.text.replace("bilinear", interpolation)


def test_nearest_is_not_said_to_be_antialiased() -> None:
    text = PixelRule(interpolation="nearest").text
    assert text == DEFAULT.text.replace("bilinear with antialiasing", "nearest")


def test_a_256x256_photo_is_cropped_as_it_is() -> None:
    assert DEFAULT.resized_size(256, 256) == (256, 256)
    assert DEFAULT.crop_roi(256, 256) == ((16.0, 16.0), (240.0, 240.0))


@given(rules)
@example(DEFAULT)
def test_a_rule_is_found_again_by_its_text_and_by_pickle(rule: PixelRule) -> None:
    assert PixelRule.from_text(rule.text) == rule
    assert pickle.loads(pickle.dumps(rule)) == rule
    assert "\n" not in rule.text


@given(rules, rules)
def test_two_rules_have_two_texts(one: PixelRule, other: PixelRule) -> None:
    assert (one.text == other.text) == (one == other)


@given(rules)
def test_a_rules_size_in_bytes_is_that_of_its_shape(rule: PixelRule) -> None:
    height, width, channels = rule.shape
    assert rule.nbytes == height * width * channels


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shorter side 256, center crop 224",
        DEFAULT.text + " ",
        DEFAULT.text.replace("bilinear", "trilinear"),
        DEFAULT.text.replace("bilinear", "nearest"),
        DEFAULT.text.replace("bilinear with", "bilinear without"),
        DEFAULT.text.replace(" with antialiasing", ""),
        PixelRule(interpolation="nearest").text.replace("nearest", "nearest with antialiasing"),
        DEFAULT.text.replace("256*", "257*"),
        DEFAULT.text.replace("224", "0224"),
        DEFAULT.text.replace("224", "0"),
        DEFAULT.text.replace("224", "257"),
        DEFAULT.text.replace("224", "-224"),
        DEFAULT.text.replace("224", "\N{ARABIC-INDIC DIGIT TWO}"),
        DEFAULT.text.replace("256", "2049"),
        DEFAULT.text.replace("256", "9" * 30),
        DEFAULT.text.replace("256", "9" * 10_000),
    ],
)
def test_another_text_is_no_rules(text: str) -> None:
    assert PixelRule.from_text(text) is None


@given(st.text())
def test_any_text_is_a_rules_or_none(text: str) -> None:
    found = PixelRule.from_text(text)
    assert found is None or found.text == text


@pytest.mark.parametrize(
    ("resize", "crop", "interpolation", "message"),
    [
        (256, 7, "bilinear", r"^crop is 8 or more, not 7$"),
        (256, -1, "bilinear", r"^crop is 8 or more, not -1$"),
        (223, 224, "bilinear", r"^crop is at most the shorter side, and 224 is more than a resize"),
        (64, 224, "bilinear", r"a resize of 64: give both$"),
        (0, 8, "bilinear", r"^crop is at most the shorter side, and 8 is more than a resize of 0"),
        (2049, 224, "bilinear", r"^resize is at most 2048, not 2049$"),
        (10**30, 10**29, "bilinear", r"^resize is at most 2048, not 10{30}$"),
        (True, 224, "bilinear", r"^resize and crop are whole numbers, not True, 224$"),
        (256.0, "224", "bilinear", r"^resize and crop are whole numbers, not 256.0, '224'$"),
        (
            *(256, 224, "hamming"),
            r"^interpolation is bilinear, bicubic, lanczos, box or nearest, not 'hamming'$",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(
    resize: int, crop: int, interpolation: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        PixelRule(resize, crop, interpolation)  # type: ignore[arg-type]
