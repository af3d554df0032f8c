"""Pillow's pipeline against what torchvision made of the same files, see ``make_golden.py``."""

from __future__ import annotations

import functools
import json

import numpy as np
import PIL
import pytest
from PIL import features

from pipelines.pillow import decode
from pipelines.rule import PixelRule
from tests.golden.make_golden import (
    RULES,
    SIZES,
    by_other_rules,
    cases,
    decoded,
    golden_file,
    rule_name,
    sha256,
)
from tests.harness.tiers import thorough

CASES = dict(cases())


@pytest.fixture(scope="module")
def golden():
    return json.loads(golden_file().read_text())


def test_every_case_has_an_expectation(golden):
    assert golden["cases"].keys() == CASES.keys()


def is_random(name: str) -> bool:
    return name.startswith("RGB ") and int(name.rpartition("#")[2]) >= len(SIZES)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=thorough("sizes drawn at random") if is_random(name) else [])
        for name in CASES
    ],
)
def test_the_pixels_are_torchvisions(golden, name):
    data = CASES[name]()
    here = {"pillow": PIL.__version__, "libjpeg_turbo": features.version("libjpeg_turbo")}
    decoded_then, finished_then = golden["cases"][name]
    assert sha256(decoded(data)) == decoded_then, (
        f"the file decodes to other pixels before any scaling: here {here}, "
        f"torchvision ran with {golden['made_with']}"
    )
    assert sha256(decode(data)) == finished_then, (
        f"scaled or cropped otherwise: here {here}, torchvision ran with {golden['made_with']}"
    )


def test_every_other_rule_has_an_expectation_for_each_of_its_cases(golden):
    assert golden["rules"].keys() == {rule_name(*rule) for rule in RULES}
    assert all(made.keys() == by_other_rules().keys() for made in golden["rules"].values())


@functools.cache
def file_of(name):
    return CASES[name]()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_by_another_rule_pillows_pixels_are_torchvisions(golden, rule):
    made = {name: sha256(decode(file_of(name), PixelRule(*rule))) for name in by_other_rules()}
    assert made == golden["rules"][rule_name(*rule)]


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_by_another_rule_turbo_scales_as_torchvision_does(golden, rule):
    """Decoded by Pillow, since the cases are no JPEGs."""
    pytest.importorskip("llvmlite")
    from pipelines.turbo.memory import Memory
    from pipelines.turbo.scaling import scaler_of

    scaler = scaler_of(PixelRule(*rule))
    out = np.empty(PixelRule(*rule).shape, np.uint8)
    made = dict(golden["rules"][rule_name(*rule)])
    for name in by_other_rules():
        image = decoded(file_of(name))
        plan = scaler.plan(*image.size)
        if not isinstance(plan, str):
            photo, pixels = Memory(plan.photo_nbytes), np.asarray(image).reshape(-1)
            photo.array[: pixels.size] = pixels
            scaler.scale(photo, plan, out)
            made[name] = sha256(out)
    assert made == golden["rules"][rule_name(*rule)]
