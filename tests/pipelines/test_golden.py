"""Pillow's pipeline against what torchvision made of the same files, see ``make_golden.py``."""

from __future__ import annotations

import json

import PIL
import pytest
from PIL import features

from pipelines.pillow import decode
from tests.golden.make_golden import cases, decoded, golden_file, sha256

CASES = dict(cases())


@pytest.fixture(scope="module")
def golden():
    return json.loads(golden_file().read_text())


def test_every_case_has_an_expectation(golden):
    assert golden["cases"].keys() == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_the_pixels_are_torchvisions(golden, name):
    here = {"pillow": PIL.__version__, "libjpeg_turbo": features.version("libjpeg_turbo")}
    decoded_then, finished_then = golden["cases"][name]
    assert sha256(decoded(CASES[name])) == decoded_then, (
        f"the file decodes to other pixels before any scaling: here {here}, "
        f"torchvision ran with {golden['made_with']}"
    )
    assert sha256(decode(CASES[name])) == finished_then, (
        f"scaled or cropped otherwise: here {here}, torchvision ran with {golden['made_with']}"
    )
