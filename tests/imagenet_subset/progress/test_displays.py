"""Bars, lines and nothing: what each shows, and that it leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from imagenet_subset.progress.bar import Bar
from imagenet_subset.progress.choice import FORMS, display_for, display_for_caller
from imagenet_subset.progress.display import Display, Lines, Messages
from imagenet_subset.progress.meter import Work
from tests.harness.processes import wait_for
from tests.harness.terminals import read_until, resize, terminal

OFTEN = 0.01
"""Seconds between lines."""
NEVER = 1000.0


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Each test ends with the threads that it began with."""
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) == before


class Kept(Lines):
    """Lines, and what they were."""

    def __init__(self, interval: float = OFTEN) -> None:
        super().__init__(interval)
        self.said: list[str] = []

    def tell(self, line: str) -> None:
        self.said.append(line)


def test_lines_are_said_at_the_start_while_nothing_comes_and_at_the_end() -> None:
    with Kept() as lines:
        lines.begin(Work("x", 3, "images", opening="builds 3 images"))
        assert lines.said[0] == "x: builds 3 images"
        wait_for(lambda: len(lines.said) > 3)
        lines.advance(3)
    assert "x: 0 of 3 images (0%)" in lines.said[1]
    assert "nothing new for" in lines.said[3]
    assert lines.said[-1].startswith("x: 3 of 3 images (100%) in ")


def test_a_work_without_an_opening_says_nothing_unless_it_takes_long() -> None:
    with Kept(NEVER) as lines:
        lines.begin(Work("x", 3, "images"))
        lines.advance(3)
    assert lines.said == []
    with Kept() as lines:
        lines.begin(Work("x", 3, "images"))
        wait_for(lambda: lines.said)
    assert lines.said[-1].startswith("x: 0 of 3 images (0%) in ")


def test_a_work_that_fails_has_no_last_line() -> None:
    lines = Kept(NEVER)
    with contextlib.suppress(KeyboardInterrupt), lines:
        lines.begin(Work("x", 3, "images", opening="builds"))
        raise KeyboardInterrupt
    assert lines.said == ["x: builds"]


def test_a_work_that_begins_ends_the_one_before() -> None:
    with Kept(NEVER) as lines:
        lines.begin(Work("x", opening="looks"))
        lines.begin(Work("y", 1, "images", opening="builds"))
        lines.advance(1)
    said = [line.partition(" in ")[0] for line in lines.said]
    assert said == ["x: looks", "x: done", "y: builds", "y: 1 of 1 images (100%)"]


def test_a_line_says_how_many_workers_there_are_now() -> None:
    with Kept() as lines:
        lines.note = "3 workers"
        lines.begin(Work("x", 3, "images", place="into f"))
        wait_for(lambda: lines.said)
    assert lines.said[0].endswith(", 3 workers; into f")


def test_a_standard_error_that_is_closed_disturbs_no_work(monkeypatch, tmp_path) -> None:
    with open(tmp_path / "log", "w") as closed:
        monkeypatch.setattr(sys, "stderr", closed)
    with Lines(OFTEN) as lines:
        lines.begin(Work("x", 3, "images", opening="builds"))
        lines.tell("a line")
        lines.advance(3)


def test_a_program_without_a_console_has_no_bar_and_no_error(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with display_for("auto") as lines:
        assert type(lines) is Lines
        lines.begin(Work("x", 3, "images", opening="builds"))


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_taken_and_a_line_for_the_user_is_shown_by_all(form, capsys) -> None:
    with display_for(form) as display:
        display.begin(Work("x", 3, "images"))
        display.tell("something odd")
        display.advance(2, 1)
    assert "something odd\n" in capsys.readouterr().err


def test_elsewhere_than_in_a_terminal_there_are_lines() -> None:
    assert type(display_for("auto")) is Lines
    assert type(display_for("none")) is Messages


def test_a_caller_sees_nothing_unless_it_asks(capsys) -> None:
    for progress in (None, False):
        assert type(display_for_caller(progress)) is Display
        with display_for_caller(progress) as display:
            display.begin(Work("x", 3, "images", opening="builds"))
            display.tell("something odd")
            display.advance(3)
    assert capsys.readouterr() == ("", "")
    assert type(display_for_caller(True)) is Lines


def test_a_bar_shows_what_an_earlier_run_did_but_not_in_its_rate(capsys) -> None:
    with Bar() as bar:
        bar.note = "2 workers"
        bar.begin(Work("x", 1000, "images"))
        bar.advance(990, earlier=990)
        bar.advance(10)
        assert bar._bar.format_dict["n"] - bar._bar.format_dict["initial"] == 10
    drawn = capsys.readouterr().err
    assert "x: 100%" in drawn
    assert "1,000/1,000" in drawn
    assert "2 workers" in drawn


def test_a_bar_of_a_work_that_cannot_be_counted_flashes_up_only_if_it_takes_long(capsys) -> None:
    with Bar() as bar:
        bar.begin(Work("looks", leave=False))
    assert capsys.readouterr().err == ""
    with Bar() as bar:
        bar.begin(Work("looks", leave=False))
        bar._redraw()
        assert "looks 00:0" in capsys.readouterr().err
    assert capsys.readouterr().err.endswith("\r"), "it is wiped away"


RESIZED = """
import sys
from imagenet_subset.progress.bar import Bar
from imagenet_subset.progress.meter import Work
with Bar() as bar:
    bar.begin(Work("x", 1000, "images"))
    for _ in range(3):
        bar.advance(1)
        bar._redraw()
    print("\\nnarrower", file=sys.stderr)
    input()
    for _ in range(3):
        bar.advance(1)
        bar._redraw()
    print("\\nend", file=sys.stderr)
"""


def test_a_bar_follows_a_terminal_that_gets_narrower() -> None:
    with terminal() as (ours, theirs):
        process = subprocess.Popen(
            [sys.executable, "-c", RESIZED], stdin=subprocess.PIPE, stderr=theirs
        )
        shown = read_until(ours, "narrower")
        assert max(map(len, re.split("[\r\n]+", shown))) > 60
        resize(theirs, 24, 50)
        process.send_signal(signal.SIGWINCH)
        process.communicate(b"\n", timeout=60)
        os.close(theirs)
        drawn = re.split("[\r\n]+", read_until(ours, "end"))
    bars = [line.rstrip() for line in drawn if "x:" in line]
    assert len(bars) >= 3
    assert max(map(len, bars)) <= 50
    assert all(len(line) <= 50 for line in drawn[3:]), "what is wiped away is no wider either"


def test_a_bar_leaves_no_thread_and_changes_no_lock_of_tqdm_s() -> None:
    code = (
        "import threading, tqdm\n"
        "from imagenet_subset.progress.bar import Bar\n"
        "from imagenet_subset.progress.meter import Work\n"
        "with Bar() as bar:\n"
        "    bar.begin(Work('x', 3, 'images')); bar.advance(3)\n"
        "assert threading.active_count() == 1, threading.enumerate()\n"
        "assert not hasattr(tqdm.tqdm, '_lock') and tqdm.tqdm.monitor is None\n"
        "assert tqdm.tqdm.monitor_interval == 10\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="of Linux's limits")
def test_without_a_thread_a_work_is_still_shown(capsys) -> None:
    usual = threading.stack_size(1 << 46)  # more than there are addresses for
    try:
        with pytest.raises(RuntimeError, match="can't start new thread"):
            threading.Thread(target=print).start()
        with Lines() as display:
            display.begin(Work("five", 5, "images", opening="builds 5 images"))
            display.advance(5)
    finally:
        threading.stack_size(usual)
    first, last = capsys.readouterr().err.splitlines()
    assert first == "five: builds 5 images"
    assert last.startswith("five: 5 of 5 images (100%) in ")
