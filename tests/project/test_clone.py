"""A clone whose program isn't installed: ``main.py`` needs the dependencies only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.harness.tiers import first_quick

ROOT = Path(__file__).parents[2]
OURS = ("imagenet_subset", "_editable", "__pycache__")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clone")
    for name in ("imagenet_subset", "pipelines", "aux_files"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "main.py", folder)
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with all that is installed here but the program itself."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=sys.platform != "win32")
    (packages,) = folder.rglob("site-packages")
    for path in map(Path, sys.path):
        for entry in path.iterdir() if path.name in ("site-packages", "dist-packages") else ():
            link = packages / entry.name
            if not (entry.name.startswith(OURS) or entry.suffix == ".pth" or link.exists()):
                link.symlink_to(entry, target_is_directory=entry.is_dir())
    (found,) = (p for p in folder.rglob("python*") if p.name in ("python", "python.exe"))
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
@pytest.mark.parametrize(
    "where", first_quick(["in the clone", "elsewhere"], "makes environments of their own")
)
@pytest.mark.parametrize("flags", [[], ["-P"]], ids=["as usual", "in the safe mode"])
def test_main_py_builds_in_a_clone_that_is_not_installed(
    clone: Path, python: Path, tree: Path, subset_file: Path, tmp_path: Path, where, flags
) -> None:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code = "import importlib.metadata as m; m.version('imagenet-subset')"
    probe = subprocess.run(
        [python, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert "PackageNotFoundError" in probe.stderr
    done = subprocess.run(
        [
            python, *flags, clone / "main.py", "--subset_name", subset_file, "--data_dir", tree,
            "--out_dir", tmp_path, "--device", "cpu", "--pipeline", "pillow", "--workers", "2",
        ],
        cwd=clone if where == "in the clone" else tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "five_cls.npz").exists()
