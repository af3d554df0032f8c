"""The benchmark of pipelines and peers: who takes part, and whose pixels are right."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.tiers import thorough

ROOT = Path(__file__).parents[2]
TIMES = "times builds and peers"
Rows = dict[str, dict[str, str]]


def run(out: Path, only: str, *more: str) -> tuple[Rows, list[str]]:
    """Rows of the table by name, and the lines that were printed."""
    command = [sys.executable, str(ROOT / "benchmarks/run.py"), "--out", str(out)]
    command += ["--images", "30", "--rounds", "2", "--only", only, *more]
    done = subprocess.run(command, capture_output=True, text=True, cwd=out)
    assert done.returncode == 0, done.stderr
    with (out / "pipelines.csv").open() as file:
        return {row["name"]: row for row in csv.DictReader(file)}, done.stdout.splitlines()


@thorough(TIMES)
def test_rows_of_builds_and_of_exact_peers_are_the_same(tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    rows, _ = run(tmp_path, "plain loop,Pillow pool,Pillow build,turbo build")
    exact = {"plain loop", "Pillow pool", "Pillow build", "turbo build"}
    assert exact <= set(rows)
    assert {rows[name]["largest difference"] for name in exact} == {"0"}
    assert all(float(row["memory, MB (PSS)"]) > 5 for row in rows.values())
    assert all(float(row[f"round {k}, s"]) > 0 for row in rows.values() for k in (1, 2))


@thorough(TIMES)
def test_another_checkout_takes_its_turns_and_who_is_left_out_is_named(tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    more = ["--against", str(ROOT), "--out_dir", str(tmp_path), "--pillow_simd", sys.executable]
    rows, lines = run(tmp_path, "other,simd", *more)
    assert list(rows) == ["bare decode", "other turbo build", "other Pillow build"]
    why = f"{sys.executable} has Pillow, not pillow-simd"
    assert lines.count(f"left out: pillow-simd pool ({why})") == 2  # first and last
    assert {path.name for path in tmp_path.iterdir()} <= {"pipelines.csv", "pipelines.png"}


@thorough(TIMES)
def test_some_photos_of_a_tree_are_taken_evenly_from_its_classes(
    tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    pytest.importorskip("psutil")
    real = ["--data_dir", str(tree), "--subset_name", str(subset_file)]
    rows, lines = run(tmp_path, "Pillow build", *real)
    assert lines[0] == "30 photos, 2 workers"
    assert rows["Pillow build"]["largest difference"] == "0"


def test_a_name_that_nobody_has_is_refused_with_the_names(tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    command = [sys.executable, str(ROOT / "benchmarks/run.py"), "--images", "30"]
    done = subprocess.run(
        [*command, "--only", "nobody"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr.startswith("--only nobody: nobody's name has it in it: bare decode;")


@thorough(TIMES)
def test_the_start_of_builds_is_timed_in_turns_with_another_checkout(tmp_path: Path) -> None:
    pytest.importorskip("psutil")
    command = [sys.executable, str(ROOT / "benchmarks/start.py"), "--images", "100"]
    command += ["--rounds", "1", "--against", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["first"] * 3 + ["whole"] * 3
    first, whole = (float(lines[k].split(" s ")[0].split()[-1]) for k in (0, 3))
    assert 0 < first < whole
