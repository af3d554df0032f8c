"""docs/api.md has each public name, and is what the docstrings say."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

import imagenet_subset
from imagenet_subset import errors
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.run import BuildResult
from imagenet_subset.checking.file import VerifyReport
from imagenet_subset.reading.subset import open_subset
from tests.project.api_page import COMMAND, PAGE, page

TEXT = PAGE.read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S))


def test_it_is_what_the_docstrings_say() -> None:
    assert page() == TEXT, f"make it anew: {COMMAND}"


def test_each_public_name_is_on_it() -> None:
    for name in imagenet_subset.__all__:
        assert name in SECTIONS or f"`imagenet_subset.{name}`" in TEXT


@pytest.fixture
def things(tmp_path: Path) -> dict[str, Any]:
    """One object of each class."""
    one: dict[str, Any] = {"X_{}": np.zeros((1, 8, 8, 3), np.uint8), "y_{}": [0], "{}_id": [1]}
    arrays = {key.format(split): a for split in ("train", "val") for key, a in one.items()}
    np.savez(tmp_path / "one.npz", **arrays)
    subset = open_subset(tmp_path / "one.npz")
    return {
        "ImagenetSubset": subset,
        "SplitDataset": subset.dataset("train"),
        "VerifyReport": VerifyReport(subset.path),
        "BuildResult": BuildResult(cast(BuildPlan, SimpleNamespace())),
    }


def test_each_class_has_its_attributes_properties_and_methods(things: dict[str, Any]) -> None:
    for name, thing in things.items():
        public = [member for member in dir(thing) if not member.startswith("_")]
        assert public
        for member in public:
            found = f"`{member}`" in SECTIONS[name] or f"### {name}.{member}\n" in SECTIONS[name]
            assert found, f"{name}.{member} has no docstring on the page"


def test_each_error_is_in_the_tree() -> None:
    for name, value in vars(errors).items():
        if isinstance(value, type):
            assert re.search(rf"\b{name} ", SECTIONS["ImagenetSubsetError"])


def test_each_attribute_says_what_it_is() -> None:
    assert re.findall(r"^- `\w+`: `[^`]*`\.$", TEXT, re.M) == []


@pytest.mark.parametrize("name", ["build", "verify", "open_subset"])
def test_each_parameter_is_explained(name: str) -> None:
    import inspect

    parameters = SECTIONS[name].partition("**Parameters**")[2].partition("**Returns**")[0]
    for parameter in inspect.signature(getattr(imagenet_subset, name)).parameters:
        assert re.search(rf"^- .*`{parameter}`.*: \w", parameters, re.M) or re.search(
            rf"^- .*`{parameter}`.*: `", parameters, re.M
        )
