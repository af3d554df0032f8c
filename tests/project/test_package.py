"""The package as it is installed: conda environment, wheel, public names."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import imagenet_subset
from imagenet_subset.execution import mpi, scheduler
from imagenet_subset.system.code import PACKAGES
from pipelines.packages import GPU_INSTALL, TURBO_INSTALL
from tests.harness.tiers import thorough

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def requirement(line: str) -> tuple[str, str]:
    """Name and bounds of a requirement, the name as PyPI and conda both write it."""
    match = re.match(r"\s*-?\s*([A-Za-z0-9_.-]+)\s*([<>=!~][^;]*)?", line)
    assert match is not None, line
    return match[1].lower(), (match[2] or "").strip()


def test_the_conda_environment_installs_what_pyproject_asks_for() -> None:
    text = (ROOT / "environment.yml").read_text().partition("dependencies:\n")[2]
    lines = [line.strip().removeprefix("- ") for line in text.splitlines()]
    assert "-e ." in lines
    conda = {requirement(line) for line in lines if not line.startswith(("-e", "pip"))}
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    expected = {requirement(line) for line in project["dependencies"]}
    expected |= {requirement(line) for name in ("gpu", "turbo") for line in extras[name]}
    expected.add(("python", project["requires-python"]))
    assert conda == expected


@pytest.mark.parametrize(
    ("extra", "line"),
    [
        ("turbo", TURBO_INSTALL),
        ("gpu", GPU_INSTALL[12]),
        ("gpu-cuda13", GPU_INSTALL[13]),
        ("dask", scheduler.INSTALL),
        ("mpi", mpi.INSTALL),
    ],
)
def test_the_lines_that_messages_say_to_run_install_what_the_extras_do(
    extra: str, line: str
) -> None:
    pip, install, *packages = shlex.split(line)
    assert (pip, install) == ("pip", "install")
    asked = PYPROJECT["project"]["optional-dependencies"][extra]
    on_linux = "; sys_platform == 'linux'"
    assert packages == [requirement.removesuffix(on_linux) for requirement in asked]
    assert all(requirement.endswith(on_linux) for requirement in asked) == extra.startswith("gpu")


def test_a_wheel_works_outside_the_clone(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", tmp_path, ROOT], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
        packed = set(archive.namelist())
    files = [path for name in PACKAGES for path in (ROOT / name).rglob("*.*")]
    ours = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    assert ours - packed == set()
    assert {f"imagenet_subset/viewing/page.{kind}" for kind in ("css", "html", "js")} <= packed
    facts = {f"imagenet_subset/aux_files/{path.name}" for path in (ROOT / "aux_files").iterdir()}
    assert facts - packed == set()
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "import imagenet_subset; print(imagenet_subset.__file__)\n"
        "from imagenet_subset.cli.main import main; main(['classes', 'acorn'])\n"
        "main(['subsets', 'living17', '--wnids_only'])\n"
        "from imagenet_subset.ilsvrc.classes import val_ground_truth\n"
        "from imagenet_subset.selection.subset import load_subset\n"
        "print(len(load_subset('imagenet100').classes), len(val_ground_truth()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0].startswith(str(tmp_path))
    assert "n12267677" in done.stdout
    assert "\nsnake, serpent, ophidian: n01740131 " in done.stdout
    assert lines[-1] == "100 50000"


@thorough("runs mypy on pandas' types and ours")
def test_users_type_checkers_see_the_signatures(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "user.py").write_text(
        "from imagenet_subset import build, open_subset\n"
        "images = open_subset('a.npz').X_train\n"
        "reveal_type(build('imagenet30'))\n"
        "open_subset('a.npz').dataset('test')\n"
    )
    code = (
        "import sys; sys.path.remove(''); from mypy import api\n"
        f"print(api.run(['--strict', '--cache-dir', {str(tmp_path)!r}, 'user.py'])[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert 'Revealed type is "imagenet_subset.building.run.BuildResult"' in done.stdout
    assert "\nuser.py:4: error: Argument 1" in f"\n{done.stdout}"
    assert "Found 1 error in 1 file" in done.stdout, done.stdout


def test_the_version_is_the_same_everywhere() -> None:
    assert imagenet_subset.__version__ == PYPROJECT["project"]["version"]
    assert f"## [{imagenet_subset.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_changelog_says_of_every_version_what_becomes_of_bytes_and_resume() -> None:
    _, *versions = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)
    assert versions[0].startswith("[Unreleased]")
    for version in versions:
        assert re.match(r"\[(Unreleased|[0-9]+\.[0-9]+\.[0-9]+)\]", version)
        first, *others = re.findall(r"^### (.*)$", version, flags=re.M)
        assert first == "Bytes and resume"
        assert set(others) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_public_names_are_these() -> None:
    assert set(imagenet_subset.__all__) == {
        "BuildResult", "ImagenetSubset", "ImagenetSubsetError", "VerifyReport", "build",
        "open_subset", "verify", "__version__",
    }  # fmt: skip
    for name in imagenet_subset.__all__:
        assert getattr(imagenet_subset, name) is not None
    with pytest.raises(AttributeError):
        imagenet_subset.nothing  # noqa: B018
    assert set(imagenet_subset.__all__) <= set(dir(imagenet_subset))
