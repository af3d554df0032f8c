"""Pillow's pipeline against what torchvision made of the same files, see ``make_golden.py``."""

from __future__ import annotations

import json

import PIL
import pytest
from PIL import features

from pipelines.pillow import decode
from tests.golden.make_golden import SIZES, cases, decoded, golden_file, sha256
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
