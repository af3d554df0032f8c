"""CITATION.cff: valid, and the same facts as elsewhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.harness.tiers import thorough

ROOT = Path(__file__).parents[2]
CITATION = (ROOT / "CITATION.cff").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def field(name: str) -> str:
    found = re.search(rf"^{name}: (?:>-\n  )?(.*)$", CITATION, re.M)
    assert found is not None, name
    return found[1]


def test_its_facts_are_those_of_pyproject_and_the_licence() -> None:
    assert field("title") == PROJECT["name"]
    assert field("version") == PROJECT["version"]
    assert field("license") == PROJECT["license"]
    assert field("abstract") == PROJECT["description"]
    assert re.findall(r"^  - (\w+)$", CITATION, re.M) == PROJECT["keywords"]
    (author,) = re.findall(r"^  - name: (.*)$", CITATION, re.M)
    assert f"Copyright (c) 2026 {author}" in (ROOT / "LICENSE").read_text()


def test_it_cites_imagenet_as_the_readme_does() -> None:
    readme = " ".join((ROOT / "README.md").read_text().split())
    for name in ("title", "doi"):
        (value,) = re.findall(rf"^    {name}: (.*)$", CITATION, re.M)
        assert value in readme
    (pages,) = re.findall(r"^    start: (\d+)\n    end: (\d+)$", CITATION, re.M)
    assert "-".join(pages) in readme


@thorough("makes an environment for the validator, whose packages are old ones")
def test_it_is_valid() -> None:
    if not shutil.which("uvx"):
        pytest.skip("uv isn't installed; pip install -e '.[dev]'")
    done = subprocess.run(
        ["uvx", "cffconvert@2.0.0", "--validate", "--infile", ROOT / "CITATION.cff"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Citation metadata are valid according to schema version 1.2.0." in done.stdout
