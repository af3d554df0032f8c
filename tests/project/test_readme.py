"""The README's first commands: CI runs them, and uv and pipx run them too."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.tiers import thorough

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_it_has_a_command_for_the_demo_and_one_for_the_tests_and_ci_runs_them() -> None:
    ci = (ROOT / ".ci/run").read_text()
    for extra, command in (("turbo", "imagenet-subset demo"), ("test", "pytest")):
        line = f'pip install -e ".[{extra}]" && {command}'
        assert f"```sh\n{line}\n```" in README
        assert f"\n{line} || exit\n" in ci  # else a failed installation would be passed over


WITHOUT_AN_ENVIRONMENT = {
    'uvx --from ".[turbo]" imagenet-subset demo': "",
    'pipx run --spec ".[turbo]" imagenet-subset demo': "",
    "uv run --extra test pytest": " -n 1 tests/imagenet_subset/npz/test_layout.py",
}
"""Commands by tools that make an environment by themselves, and what a test adds to them."""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh clone, and no other files than its own: environments are large."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no clone")
    for name in listed.stdout.rstrip("\0").split("\0"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    yield folder
    shutil.rmtree(folder)


def test_it_has_a_command_for_each_tool_that_makes_environments() -> None:
    assert "\n".join(["```sh", *WITHOUT_AN_ENVIRONMENT, "```"]) in README


@thorough("makes environments of their own")
@pytest.mark.parametrize("line", WITHOUT_AN_ENVIRONMENT)
def test_the_commands_by_uv_and_pipx_run_in_a_fresh_clone(clone: Path, line: str) -> None:
    tool, *_ = line.split()
    if not shutil.which(tool):
        pytest.skip(f"{tool} isn't installed; pip install -e '.[dev]'")
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTEST_", "UV_", "PIPX_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env |= {name: str(clone / ".caches" / name) for name in ("UV_CACHE_DIR", "PIPX_HOME")}
    env |= {"UV_PYTHON": sys.executable, "PIPX_DEFAULT_PYTHON": sys.executable}
    command = line + WITHOUT_AN_ENVIRONMENT[line]
    done = subprocess.run(shlex.split(command), cwd=clone, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    if line.endswith("demo"):
        assert (clone / "demo/out_files/demo5_cls.npz").exists()
        shutil.rmtree(clone / "demo")
    else:
        assert re.search(r"[0-9]+ passed", done.stdout)
