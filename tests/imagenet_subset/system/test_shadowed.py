"""A stranger's ``pipelines`` on the path: told in a line, and its code not run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = shutil.which("imagenet-subset", path=str(Path(sys.executable).parent))
HIDES = "hides imagenet-subset's own package pipelines; rename it, or start Python without it"


@pytest.fixture(params=["package", "module"])
def stranger(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with a ``pipelines`` that mustn't be run."""
    name = {"package": "pipelines/__init__.py", "module": "pipelines.py"}[request.param]
    path = tmp_path / "theirs" / name
    path.parent.mkdir(parents=True)
    path.write_text("raise RuntimeError('a stranger was run')\n")
    return tmp_path / "theirs"


def run(*words: object, cwd: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(path)} if path else None
    return subprocess.run(
        list(map(str, words)), cwd=cwd, env=env, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("by", ["current folder", "PYTHONPATH"])
@pytest.mark.parametrize("command", ["classes", "verify"])
def test_python_m_tells_it_in_a_line(stranger: Path, tmp_path: Path, by: str, command: str) -> None:
    at, path = (stranger, None) if by == "current folder" else (tmp_path, stranger)
    done = run(sys.executable, "-m", "imagenet_subset", command, "x", cwd=at, path=path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"imagenet-subset: {stranger}{os.sep}pipelines")
    assert HIDES in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(SCRIPT is None, reason="not installed")
def test_the_installed_command_tells_it_in_a_line(stranger: Path, tmp_path: Path) -> None:
    done = run(SCRIPT, "--subset_name", "imagenet30", cwd=tmp_path, path=stranger)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert HIDES in done.stderr
    here = run(SCRIPT, "classes", "acorn", cwd=stranger)
    assert (here.returncode, here.stderr) == (0, ""), "the current folder isn't on its path"


@pytest.mark.parametrize("by", ["current folder", "PYTHONPATH"])
def test_main_py_takes_its_own_clone_s(stranger: Path, tmp_path: Path, by: str) -> None:
    at, path = (stranger, None) if by == "current folder" else (tmp_path, stranger)
    for flags in ([], ["-P"]):
        done = run(sys.executable, *flags, ROOT / "main.py", "classes", "acorn", cwd=at, path=path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "n12267677" in done.stdout


@pytest.mark.parametrize(
    "use", ["from imagenet_subset import build", "imagenet_subset.verify('x')"]
)
@pytest.mark.parametrize("imported", [False, True], ids=["hidden", "imported by the caller"])
def test_the_library_raises_an_import_error_of_a_line(
    stranger: Path, tmp_path: Path, use: str, imported: bool
) -> None:
    if imported:
        for file in stranger.rglob("*.py"):
            file.write_text("")
    code = "import pipelines\n" * imported + f"import imagenet_subset\n{use}"
    done = run(sys.executable, "-c", code, cwd=stranger)
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: {stranger}{os.sep}pipelines")
    assert HIDES in done.stderr


def test_to_open_a_file_nothing_is_needed_that_a_stranger_hides(
    stranger: Path, tmp_path: Path, write_subset
) -> None:
    path = write_subset([0, 1], [2])
    code = f"from imagenet_subset import open_subset; print(len(open_subset({str(path)!r})))"
    done = run(sys.executable, "-c", code, cwd=stranger)
    assert (done.stdout, done.stderr) == ("3\n", "")


def test_folders_that_are_no_packages_hide_nothing(tmp_path: Path) -> None:
    for name in ("pipelines", "imagenet_subset"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text("")
    done = run(sys.executable, "-m", "imagenet_subset", "classes", "acorn", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
