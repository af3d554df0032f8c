"""The README is short, and true: its commands run and print what it says."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.harness.tiers import thorough

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ACORNS_ONLY = """import torch
from torch.utils.data import DataLoader
model = lambda images: torch.eye(1000)[988].repeat(len(images), 1)
prepare, right = lambda images: images, 0
"""
"""A model that sees an acorn in each photo, of which the demo's val has 50."""
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.S)


def commands() -> list[str]:
    """Lines of the README's shell blocks that call the program, and can run anywhere."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.S)
    lines = [part.strip() for block in blocks for line in block.splitlines()
             for part in line.partition("#")[0].split("&&")]  # fmt: skip
    return [line for line in lines if line.startswith("imagenet-subset") and "gpu" not in line]


def test_it_is_short_enough_to_be_read() -> None:
    assert len(README.splitlines()) < 200


def test_it_has_a_command_for_the_demo_and_one_for_the_tests_and_ci_runs_them() -> None:
    ci = (ROOT / ".ci/run").read_text()
    for command in ('pip install -e ".[test]" && imagenet-subset demo', "pytest"):
        assert f"```sh\n{command}\n```" in README
        assert f"\n{command}" in ci


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    for command in commands():
        assert run(command, folder).returncode == 0
    return folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(shlex.split(command), cwd=folder, capture_output=True, text=True)


@thorough("runs what the README shows")
def test_its_shell_commands_run(demo: Path) -> None:
    assert commands() == ["imagenet-subset demo"]
    assert (demo / "demo/out_files/demo5_cls.npz").exists()


@thorough("runs what the README shows")
def test_what_it_shows_of_a_build_is_what_a_build_prints(demo: Path) -> None:
    (shown,) = [block for block in CONSOLE if "demo" in block]
    command, *expected = shown.splitlines()
    done = run(command.removeprefix("$ ") + " --overwrite", demo)
    assert done.returncode == 0, done.stderr
    assert without_speed(done.stderr + done.stdout) == without_speed("\n".join(expected) + "\n")


@thorough("runs what the README shows")
@pytest.mark.parametrize("which", ["torch", "numpy", "model"])
def test_its_python_runs(demo: Path, which: str) -> None:
    pytest.importorskip("numpy" if which == "numpy" else "torch")
    blocks = re.findall(r"```python\n(.*?)```", README, re.S)
    assert len(blocks) == 3
    fewer = {"256": "16", "num_workers=4": "num_workers=2"}  # the demo has 100 images
    torch, numpy, model = (
        re.sub("|".join(fewer), lambda match: fewer[match[0]], block) for block in blocks
    )
    opened = "from imagenet_subset import open_subset\nsubset = open_subset(FILE)\n"
    code = {
        "torch": f"{torch}        assert len(labels) in (16, 4) and images.max() <= 1\n",
        "numpy": f"{opened}{numpy}assert images.shape == (16, 224, 224, 3) and len(labels) == 16\n",
        "model": f"{opened}{ACORNS_ONLY}{model}assert right == 50\n",
    }[which]
    path = demo / "demo/out_files/demo5_cls.npz"
    code = code.replace('"out_files/imagenet30_cls.npz"', "FILE").replace("FILE", repr(str(path)))
    (demo / f"{which}_block.py").write_text(code)
    done = run(f"python {which}_block.py", demo)
    assert (done.returncode, done.stderr) == (0, "")


def without_speed(text: str) -> str:
    return re.sub(r"[0-9.]+ s, [0-9]+ images/s", "S s, N images/s", text)
