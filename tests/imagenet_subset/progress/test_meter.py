"""How far a work is, in a line."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_subset.progress.meter import BYTES, Meter, Work


class Watch:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_what_an_earlier_run_did_counts_as_done_but_not_in_the_rate(watch: Watch) -> None:
    meter = Meter(Work("x", 1000, "images", known=600), watch)
    meter.advance(600, earlier=600)
    meter.advance(100)
    watch.seconds = 10
    assert meter.line() == "x: 700 of 1,000 images (70%), 10 images/s, 30 s left"


def test_rows_that_an_earlier_run_has_done_take_no_time_before_they_are_counted(watch) -> None:
    meter = Meter(Work("x", 1000, "images", known=800), watch)
    meter.advance(100)
    watch.seconds = 10
    assert meter.line().endswith("10 images/s, 10 s left")


def test_without_anything_done_no_rate_and_no_time_left_is_invented(watch: Watch) -> None:
    meter = Meter(Work("x", 1000, "images"), watch)
    watch.seconds = 30
    assert meter.line() == "x: 0 of 1,000 images (0%), nothing new for 30 s"


def test_a_stall_is_said_with_its_length_until_something_comes(watch: Watch) -> None:
    meter = Meter(Work("x", 1000, "images"), watch)
    watch.seconds = 10
    meter.advance(100)
    watch.seconds = 30
    assert "nothing new" not in meter.line()
    watch.seconds = 60
    assert meter.line() == "x: 100 of 1,000 images (10%), nothing new for 50 s"
    meter.advance(1)
    watch.seconds = 90
    assert "nothing new" not in meter.line()


def test_100_percent_are_all_and_then_it_says_what_still_goes_on(watch: Watch) -> None:
    meter = Meter(Work("x", 1000, "images", ending="the file is checked", place="into f"), watch)
    watch.seconds = 1
    meter.advance(999)
    assert "(99%)" in meter.line()
    meter.advance(1)
    watch.seconds = 60
    line = "x: 1,000 of 1,000 images (100%), 17 images/s, the file is checked; into f"
    assert meter.line() == meter.line() == line
    assert meter.last_line() == "x: 1,000 of 1,000 images (100%) in 1 min, 17 images/s"


def test_bytes_are_shown_as_sizes(watch: Watch) -> None:
    meter = Meter(Work("x", 6_000_000_000, BYTES), watch)
    meter.advance(1_500_000_000)
    watch.seconds = 3
    assert meter.line() == "x: 1.50 GB of 6.00 GB (25%), 500 MB/s, 9 s left"


def test_a_time_left_that_nobody_waits_for_is_no_number_of_days(watch: Watch) -> None:
    meter = Meter(Work("x", 7_000_000_000_000, BYTES), watch)
    meter.advance(300)
    watch.seconds = 3
    assert meter.line() == ("x: 0 kB of 7000.00 GB (0%), less than 1 kB/s, more than 30 d left")


def test_a_total_that_is_unknown_and_a_work_without_number_are_shown_without(watch: Watch) -> None:
    counted, other = Meter(Work("x", unit="photos"), watch), Meter(Work("y"), watch)
    counted.advance(300)
    watch.seconds = 200
    assert counted.line() == "x: 300 photos, 1.5 photos/s"
    assert other.line() == "y: 3 min 20 s so far"
    assert other.last_line() == "y: done in 3 min 20 s"


def test_a_slow_rate_is_by_the_minute(watch: Watch) -> None:
    meter = Meter(Work("x", 10, "steps"), watch)
    meter.advance(1)
    watch.seconds = 30
    assert meter.line() == "x: 1 of 10 steps (10%), 2.0 steps/min, 4 min 30 s left"


@given(
    total=st.integers(0, 10**7),
    known=st.integers(0, 10**7),
    steps=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0, 1e6))),
)
def test_no_line_has_a_negative_number_or_more_than_all(total, known, steps) -> None:
    watch = Watch()
    meter = Meter(Work("x", total, "images", min(known, total)), watch)
    for n, earlier, seconds in steps:
        n = min(n, total - meter.done)
        meter.advance(n, min(n, earlier))
        watch.seconds += seconds
        line = meter.line()
        assert "-" not in line
        (percent,) = re.findall(r"\((\d+)%\)", line)
        assert 0 <= int(percent) <= 100
        assert (percent == "100") == (meter.done == total)
