"""What a build shows of its course: in a terminal, in a log, and to Python."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.builds import Build
from tests.harness.processes import wait_for, workers
from tests.harness.terminals import drawn

BY_LINES = """
import sys
from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.shown import build_shown, looking
from imagenet_subset.building.start import begun
from imagenet_subset.progress.display import Lines

if __name__ == "__main__":
    subset, data, out = sys.argv[1:]
    options = BuildOptions(subset, data, out, device="cpu", pipeline="pillow", workers=2)
    with Lines(0.05) as display:
        display.begin(looking(options))
        with begun(options) as (plan, runner):
            build_shown(plan, runner, display)
"""
"""A build that says a line twenty times a second."""

FROM_PYTHON = """
import sys, threading
from imagenet_subset import build, verify

if __name__ == "__main__":
    subset, data, out = sys.argv[1:]
    before = threading.active_count()
    options = dict(device="cpu", pipeline="pillow", workers=2)
    made = build(subset, data, out, progress=PROGRESS, **options)
    assert verify(made.npz, data, progress=PROGRESS, workers=2).ok
    assert threading.active_count() == before, threading.enumerate()
"""


def arguments(photos: Path, out: Path) -> list[str]:
    return [str(photos / "two.txt"), str(photos), str(out)]


def python(code: str, photos: Path, out: Path) -> list[str]:
    script = out.parent / "script.py"
    script.write_text(code)
    return [sys.executable, "-W", "error", str(script), *arguments(photos, out)]


def test_a_log_has_a_line_at_the_start_and_one_at_the_end(photos, tmp_path) -> None:
    build = Build(photos, tmp_path / "out").loud()
    done = build.run()
    assert "\r" not in done.stderr
    start, *_, end = [line for line in done.stderr.splitlines() if line.startswith("two: ")]
    assert start == (
        f"two: builds 200 images of 2 classes into {build.npz}, 30 MB; cpu (pillow), 2 processes"
    )
    assert re.fullmatch(r"two: 200 of 200 images \(100%\) in .*, [0-9.]+ images/(s|min)", end)


@pytest.mark.parametrize(
    ("flags", "says"),
    [(["--progress", "none"], ["cpu (pillow): as asked"]), (["--quiet"], [])],
    ids=["none", "quiet"],
)
def test_a_build_can_be_told_to_show_nothing(photos, tmp_path, flags, says) -> None:
    build = Build(photos, tmp_path / "out", *flags)
    done = build.run() if "--quiet" in flags else build.loud().run()
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if "train_cls" not in line] == says


def test_a_build_that_is_complete_says_no_line_of_progress(whole) -> None:
    again = Build(whole.data, whole.out).loud().run()
    assert again.returncode == 0, again.stderr
    assert "two: " not in again.stderr


def test_a_terminal_has_a_bar(photos, tmp_path) -> None:
    build = Build(photos, tmp_path / "out").loud()
    code, output, shown = drawn(build.command)
    assert code == 0
    assert "two: 100%" in shown
    assert "200/200" in shown
    assert "builds" not in shown
    assert "\r" not in output


def test_a_terminal_has_lines_and_a_log_a_bar_if_they_are_asked_for(photos, tmp_path) -> None:
    lines = Build(photos, tmp_path / "lines", "--progress", "lines").loud()
    _, _, shown = drawn(lines.command)
    assert "two: builds 200 images" in shown
    assert "\r" not in shown.replace("\r\n", "\n")
    bar = Build(photos, tmp_path / "bar", "--progress", "bar").loud()
    assert "two: 100%" in bar.run().stderr


@pytest.mark.processes
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="watches processes by /proc")
def test_a_build_that_stalls_goes_on_saying_lines(photos, tmp_path) -> None:
    log = tmp_path / "log"
    command = python(BY_LINES, photos, tmp_path / "out")
    with (
        open(log, "w") as stderr,
        subprocess.Popen(command, stderr=stderr, start_new_session=True) as process,
    ):
        wait_for(lambda: "two: builds" in log.read_text() and workers(process.pid))
        halted = workers(process.pid)
        for worker in halted:
            os.kill(worker, signal.SIGSTOP)
        before = log.read_text().count("nothing new for")
        wait_for(lambda: log.read_text().count("nothing new for") >= before + 3)
        for worker in halted:
            os.kill(worker, signal.SIGCONT)
        assert process.wait(300) == 0
    text = log.read_text()
    assert re.search(r"two: \d+ of 200 images \(\d+%\), .*nothing new for .* s; into /", text)
    assert text.splitlines()[-1].startswith("two: 200 of 200 images (100%) in ")


def test_a_build_that_goes_on_says_what_was_done_already(photos, tmp_path) -> None:
    build = Build(photos, tmp_path / "out").loud()
    code = (
        "from imagenet_subset import build\n"
        "def stop(shard):\n    if shard.crcs: raise KeyboardInterrupt\n"
        "build(*__import__('sys').argv[1:], device='cpu', pipeline='pillow', progress=stop)\n"
    )
    stopped = subprocess.run(python(code, photos, build.out), capture_output=True, timeout=300)
    assert b"KeyboardInterrupt" in stopped.stderr
    done = build.run()
    assert done.returncode == 0, done.stderr
    start = next(line for line in done.stderr.splitlines() if line.startswith("two: builds"))
    (kept,) = re.findall(r"classes, (\d+) of them done already, into", start)
    assert f"{kept} were done already" in done.stdout
    assert "two: 200 of 200 images (100%)" in done.stderr


@pytest.mark.parametrize("progress", [True, False, None])
def test_python_sees_lines_in_a_log_if_it_asks_and_nothing_is_left(
    photos, tmp_path, progress
) -> None:
    code = FROM_PYTHON.replace("PROGRESS", repr(progress))
    done = subprocess.run(
        python(code, photos, tmp_path / "out"), capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    shown = [line for line in done.stderr.splitlines() if line.startswith("two: ")]
    assert len(shown) >= 2 if progress else done.stderr == ""


def test_python_sees_bars_in_a_terminal_and_nothing_is_left(photos, tmp_path) -> None:
    code = FROM_PYTHON.replace("PROGRESS", "True")
    status, output, shown = drawn(python(code, photos, tmp_path / "out"))
    assert (status, output) == (0, ""), shown
    for title in ("two", "checksums", "pixels"):
        assert f"{title}: 100%" in shown
    assert "200/200" in shown
