"""The proof for those who have a GPU, as far as it runs without one: on DALI's CPU backend."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.gpu.steps import STEPS
from benchmarks.gpu.table import table
from pipelines.bounds import DALI_CPU_BY_FILTER, DALI_GPU
from pipelines.cuda import Missing, find_gpu
from pipelines.kinds import KINDS, LOADS
from tests.harness.pictures import bars_in
from tests.harness.processes import wait_for
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
    made = (tmp_path / "out/table.md").read_text()
    assert made in done.stdout
    assert made.splitlines()[2].startswith("**NO GPU: every step ran on DALI's CPU backend.")
    assert "| device | cpu |" in made


def test_a_step_that_takes_too_long_fails_and_the_others_run(tmp_path: Path) -> None:
    done = prove(tmp_path, "prepare", "versions", "--seconds", "5.2")
    assert done.returncode == 1
    assert "| FAILED: versions | no time left |" in done.stdout


def test_a_step_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    done = prove(tmp_path, "nonsense")
    assert done.returncode == 2
    assert "'nonsense' is no step: there are versions, prepare, " in done.stderr


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_proof_that_is_stopped_leaves_nothing_running(
    tmp_path: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--out", str(tmp_path / "out")]
    command += ["--work", str(tmp_path / "work"), "prepare", "build"]
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE, start_new_session=True
    ) as proof:
        assert proof.stdout is not None
        while "=== build" not in proof.stdout.readline():
            assert proof.poll() is None
        wait_for(lambda: len(running(tmp_path)) > 2)
        proof.send_signal(number)
        wait_for(lambda: not running(tmp_path))
        told = proof.stdout.read()
    if number != signal.SIGKILL:
        assert proof.returncode == 130
        assert "| FAILED: build | stopped |" in told


def running(folder: Path) -> list[str]:
    """Command lines of processes that work in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(path.read_bytes().decode(errors="replace"))
    return [line for line in found if str(folder) in line]


def test_a_selftest_that_came_to_no_result_has_not_passed() -> None:
    report = {"device": "cpu", "why": "", "seconds": {"selftest": 1.0}}
    text = table(report | {"selftest": {"failed": "not done after 60 s"}})
    assert "| selftest | not done |" in text
    assert "| FAILED: selftest | not done after 60 s |" in text


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
    for name, row in report["filters"].items():
        bounds = DALI_CPU_BY_FILTER[name.split()[0]]
        assert not bounds.judge((row["largest"], row["worst_mean"])), name
        assert not row["lost"], name
    assert all(row["images/s"] > 0 for row in report["bare"]["rates"])
    builds = report["build"]["builds"]
    dali = [row for row in builds if row["pipeline"] == "dali" and row["processes"]]
    assert [row["processes"] for row in dali] == [1, 2]
    assert all(row["images"] == row["photos"] for row in builds)
    assert report["oom"]["memory is plenty"]["all there"]
    assert report["broken"]["pipeline"]["good lost"] == []
    assert "a marker amid the scan" in report["broken"]["pipeline"]["failures"]
    made = (tmp_path / "out/table.md").read_text()
    assert "FAILED" not in made
    assert "build of 300 photos, cpu dali, K = 2" in made
    assert "| lanczos, largest of 255 | noise 4:4:4 2 " in made
    if importlib.util.find_spec("matplotlib"):
        rates = [row.get("steady images/s") or row["images/s"] for row in builds]
        widths = bars_in(tmp_path / "out/chart.png")[: len(rates)]
        expected = [rate / rates[0] for rate in rates]
        assert [width / widths[0] for width in widths] == pytest.approx(expected, abs=0.02)


def test_the_page_names_every_step_and_the_bounds() -> None:
    page = (ROOT / "docs/gpu.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|", page.partition("## The proof")[2], re.M) == list(STEPS)
    bounds = f"allows {DALI_GPU.largest} of 255 for a sample and {DALI_GPU.mean} in the mean"
    assert bounds in " ".join(page.split())
    assert set(re.findall(r"`(split|engine|cuda)`", page)) == set(LOADS)
