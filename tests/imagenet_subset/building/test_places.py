"""Places that can't take the output: a dry run refuses them in the words of the build."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_subset.errors import OutputError
from imagenet_subset.system.folders import check_lengths, nearest_folder

PROGRAM = [sys.executable, "-m", "imagenet_subset", "build"]


def said(tree: Path, subset: Path, here: Path, *more: str, before: list[str] | None = None) -> str:
    """The line of a build that is refused, which a dry run has as its one problem."""
    words = ["--subset_name", subset, "--data_dir", tree, "--device", "cpu", "--quiet", *more]
    command = [*(before or []), *PROGRAM, *map(str, words), "--pipeline", "pillow"]
    dry = subprocess.run(
        [*command, "--dry_run", "--json"], cwd=here, capture_output=True, text=True
    )
    assert dry.stderr == ""
    done = subprocess.run(command, cwd=here, capture_output=True, text=True)
    report = json.loads(dry.stdout)
    assert (dry.returncode, done.returncode, done.stdout, report["ok"]) == (1, 1, "", False)
    (problem,) = report["problems"]
    assert done.stderr == f"imagenet-subset: {problem}\n"
    return str(problem)


@pytest.mark.parametrize("length", [250, 236])
def test_a_name_too_long_for_any_of_the_files_is_refused_at_once(
    tree: Path, subset_file: Path, tmp_path: Path, length: int
) -> None:
    line = said(tree, subset_file, tmp_path, "--out_name", "n" * length)
    most = os.pathconf(tmp_path, "PC_NAME_MAX")
    assert f"takes names of {most} bytes at most" in line
    assert line.endswith("choose a shorter --out_dir or --out_name")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_to_be_made_has_no_name_too_long(
    tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    line = said(tree, subset_file, tmp_path, "--out_dir", f"out/{'n' * 300}")
    assert "has 300; choose a shorter" in line
    deep = said(tree, subset_file, tmp_path, "--out_dir", "/".join(["n" * 200] * 30))
    assert "File name too long" in deep


def test_the_longest_name_that_is_taken_is_built(
    cli, tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    name = "n" * (os.pathconf(tmp_path, "PC_NAME_MAX") - len("_cls_metadata.csv.tmp"))
    words = ["--subset_name", subset_file, "--data_dir", tree, "--splits", "val"]
    done = cli(*words, "--device", "cpu", "--pipeline", "pillow", "--out_name", name, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


def test_without_a_word_of_the_system_names_have_255_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pathconf", raising=False)
    check_lengths(tmp_path, ["n", "n" * 255])
    with pytest.raises(OutputError, match=r"255 bytes at most, and .* has 256"):
        check_lengths(tmp_path, ["n", "é" * 128])


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
@pytest.mark.parametrize("folder", ["/proc/x", "/proc"])
def test_a_file_system_without_space_is_named(
    tree: Path, subset_file: Path, tmp_path: Path, folder: str
) -> None:
    line = said(tree, subset_file, tmp_path, "--out_dir", folder)
    assert line.startswith("/proc is on a file system (proc) that has no space for files")


def test_something_else_than_a_folder_is_named_wherever_it_is_on_the_way(
    tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "note").write_text("")
    for folder, named in (
        ("note", "note is a file"),
        ("note/a/b", "note is a file"),
        (f"{os.devnull}/x", f"{os.devnull} is a device"),
    ):
        line = said(tree, subset_file, tmp_path, "--out_dir", folder)
        assert f"{named}, not a folder; choose another --out_dir" in line
    with pytest.raises(NotADirectoryError):
        nearest_folder(tmp_path / "note/file")


@pytest.mark.parametrize("ending", [".npz.partial", ".npz.journal", "_failures.csv"])
def test_a_folder_with_the_name_of_any_of_the_files_is_refused(
    tree: Path, subset_file: Path, tmp_path: Path, ending: str
) -> None:
    (tmp_path / f"x_cls{ending}").mkdir()
    line = said(tree, subset_file, tmp_path, "--out_name", "x", "--out_dir", ".")
    assert line == f"x_cls{ending} is a folder; remove it, or choose another --out_dir"


def without_privileges() -> list[str]:
    """Begin of a command line whose program can't write wherever it likes."""
    if os.getuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root reads everything, and there is no setpriv")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.mark.parametrize("mode", [0o000, 0o555])
@pytest.mark.parametrize("folder", ["closed", "closed/sub"])
def test_a_folder_that_is_closed_to_the_user_is_refused_and_reported(
    tree: Path, subset_file: Path, tmp_path: Path, mode: int, folder: str
) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(mode)
    before = without_privileges()
    line = said(tree, subset_file, tmp_path, "--out_dir", folder, before=before)
    assert line.startswith(f"can't write {folder}")
    assert "Permission denied" in line
    (tmp_path / "closed").chmod(0o755)
