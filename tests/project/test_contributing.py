"""The recipe for a source in CONTRIBUTING.md, followed to the letter in a copy of the program."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.harness.tiers import thorough

ROOT = Path(__file__).parents[2]
MODULE = "imagenet_subset/sources/pickled.py"
TEST = "tests/imagenet_subset/sources/test_pickled.py"
FORMS = "imagenet_subset/sources/__init__.py"


def blocks() -> dict[str, list[str]]:
    """Code of the section, by language."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = re.search(r"^## Add a source\n(.*?)^## ", text, re.DOTALL | re.MULTILINE)
    assert section is not None
    found: dict[str, list[str]] = {}
    for language, code in re.findall(r"^   ```(\w+)\n(.*?)^   ```$", section[1], re.DOTALL | re.M):
        found.setdefault(language, []).append(textwrap.dedent(code))
    return found


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository with the recipe's two files and its row in the table."""
    for name in ("imagenet_subset", "pipelines", "tests", "aux_files", "pyproject.toml", "main.py"):
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, tmp_path / name)
    module, test = blocks()["python"]
    (tmp_path / MODULE).write_text(module)
    (tmp_path / TEST).write_text(test)
    forms = (tmp_path / FORMS).read_text()
    row = '_form("open_pickle", ".pickled")'
    assert f"`{row}`" in (ROOT / "CONTRIBUTING.md").read_text()
    after = forms.replace("    open_folder,\n", f"    {row},\n    open_folder,\n")
    assert after.count("open_pickle") == 1
    (tmp_path / FORMS).write_text(after)
    return tmp_path


def run(copy: Path, *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_store_of_the_recipe_has_less_than_sixty_lines_with_its_test() -> None:
    lines = [line for code in blocks()["python"] for line in code.splitlines() if line.strip()]
    assert len(lines) < 60


def test_the_store_of_the_recipe_passes_the_suite(copy: Path) -> None:
    told = run(copy, sys.executable, "-m", "pytest", "-n", "0", "-q", TEST)
    passed = re.search(r"^(\d+) passed", told, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 20, "the whole suite"
    assert "skipped" not in told


@thorough("builds the demo twice")
@pytest.mark.skipif(sys.platform == "win32", reason="the recipe's last step is for a POSIX shell")
def test_a_build_from_the_store_of_the_recipe_has_the_same_bytes(copy: Path) -> None:
    (script,) = blocks()["sh"]
    program = f"imagenet-subset() {{ '{sys.executable}' -m imagenet_subset \"$@\"; }}\n"
    python = f"python() {{ '{sys.executable}' \"$@\"; }}\n"
    run(copy, "bash", "-ec", f"{program}{python}{script}")
    assert (copy / "demo/of_photos/demo5_cls.npz").exists()
