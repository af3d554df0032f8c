"""The proof for those who have a GPU, as far as it runs without one: on DALI's CPU backend."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.steps import STEPS
from pipelines.bounds import DALI_GPU
from pipelines.cuda import Missing, find_gpu
from pipelines.kinds import KINDS, LOADS
from tests.harness.tiers import thorough

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")
pytest.importorskip("nvidia.nvimgcodec", reason="nvImageCodec's Python module isn't installed")
if not isinstance(find_gpu(KINDS["dali", "gpu"]), Missing):
    pytest.skip("there is a GPU here, and the proof takes nine minutes", allow_module_level=True)

ROOT = Path(__file__).parents[2]


def prove(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.gpu", "--out", str(out / "out")]
    return subprocess.run(
        [*command, "--work", str(out / "work"), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_without_a_gpu_the_table_says_so_first(tmp_path: Path) -> None:
    done = prove(tmp_path, "versions", "fork")
    assert done.returncode == 0, done.stdout + done.stderr
    table = (tmp_path / "out/table.md").read_text()
    assert table in done.stdout
    assert table.splitlines()[2].startswith("**NO GPU: every step ran on DALI's CPU backend.")
    assert "| device | cpu |" in table


def test_a_step_that_takes_too_long_fails_and_the_others_run(tmp_path: Path) -> None:
    done = prove(tmp_path, "prepare", "versions", "--seconds", "5.2")
    assert done.returncode == 1
    assert "| FAILED: versions | no time left |" in done.stdout


@thorough("runs the whole proof, a minute and a half")
def test_every_step_runs_on_the_cpu_backend(tmp_path: Path) -> None:
    done = prove(tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["device"] == "cpu"
    assert report["codecs"]["CPU_ONLY fancy=1 4:4:4 baseline q96"]["largest"] == 0
    assert report["selftest"]["ok"]
    assert report["tests"]["exit"] in (0, 5)
    parity = {name: row for name, row in report["parity"].items() if name != "split repeats"}
    assert max(row["largest"] for row in parity.values()) == 1
    assert not any(row["lost"] for row in parity.values())
    assert report["parity"]["split repeats"] is True
    assert all(row["images/s"] > 0 for row in report["bare"]["rates"])
    builds = report["build"]["builds"]
    dali = [row for row in builds if row["pipeline"] == "dali" and row["processes"]]
    assert [row["processes"] for row in dali] == [1, 2]
    assert all(row["images"] == row["photos"] for row in builds)
    assert report["oom"]["memory is plenty"]["all there"]
    assert report["broken"]["pipeline"]["good lost"] == []
    assert "a marker amid the scan" in report["broken"]["pipeline"]["failures"]
    table = (tmp_path / "out/table.md").read_text()
    assert "FAILED" not in table
    assert "build of 300 photos, cpu dali, K = 2" in table


def test_the_page_names_every_step_and_the_bounds() -> None:
    page = (ROOT / "docs/gpu.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page.partition("## The proof")[2], re.M) == list(STEPS)
    bounds = f"allows {DALI_GPU.largest} of 255 for a sample and {DALI_GPU.mean} in the mean"
    assert bounds in " ".join(page.split())
    assert set(re.findall(r"`(split|engine|cuda)`", page)) == set(LOADS)
