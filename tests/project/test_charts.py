"""Charts of the benchmarks: real ones, from numbers that were measured."""

from __future__ import annotations

import csv
import datetime
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.charts import DOTS, WIDTH, Bar, Panel, draw, figure_of
from tests.harness.pictures import bars_in, margin_is_empty
from tests.harness.tiers import thorough

ROOT = Path(__file__).parents[2]
DRAWS = "draws with matplotlib, which the test extra lacks"
PANELS = [
    Panel(
        "Rates", "images/s", [Bar("ours", 900, (850, 1000)), Bar("a peer with a long name", 300)]
    ),
    Panel("Differences", "of 255", [Bar("gray", 3), Bar("4:2:0", 1.5, ours=False)], ("bound", 6)),
]


def test_without_matplotlib_a_line_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from pathlib import Path; from benchmarks.charts import Bar, Panel, draw\n"
        "print(draw([Panel('a', 's', [Bar('b', 1)])], Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "a.png"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stderr == ""
    assert done.stdout == 'no chart: matplotlib isn\'t installed; pip install -e ".[bench]"\n'
    assert list(tmp_path.iterdir()) == []


def test_without_numbers_there_is_no_chart(tmp_path: Path) -> None:
    said = draw([Panel("nothing", "s", [])], tmp_path / "a.png")
    assert said == "no chart: there are no numbers for one"


@thorough(DRAWS)
def test_bars_begin_at_zero_and_are_as_long_as_their_numbers(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    png = tmp_path / "new" / "chart.png"
    assert draw(PANELS, png, "a machine") == f"chart: {png}"
    with Image.open(png) as image:
        assert image.width == WIDTH * DOTS
    ours, peer, gray, subsampled = bars_in(png)
    assert peer / ours == pytest.approx(1 / 3, abs=0.01)
    assert subsampled / gray == pytest.approx(1 / 2, abs=0.01)
    axes = figure_of(PANELS, "a machine").axes[0]
    assert axes.get_xlim()[0] == 0


@thorough(DRAWS)
def test_nothing_is_cut_off_and_units_machine_and_date_are_there(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    machine = "a machine with a name of many words, " * 8
    draw(PANELS, tmp_path / "chart.png", machine)
    assert margin_is_empty(tmp_path / "chart.png")
    texts = [getattr(part, "get_text", str)() for part in figure_of(PANELS, machine).findobj()]
    words = " ".join(" ".join(texts).split())
    today = f"{datetime.date.today():%d %B %Y}"
    for expected in ("Rates", "images/s", "of 255", "900", "1.5", "bound: 6", machine, today):
        assert expected in words


@thorough("times builds and peers")
def test_the_chart_of_pipelines_and_peers_shows_the_table_s_rates(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("psutil")
    command = [sys.executable, str(ROOT / "benchmarks/run.py"), "--out", str(tmp_path)]
    done = subprocess.run(
        [*command, "--images", "60", "--rounds", "1", "--only", "pillow"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"chart: {tmp_path}/pipelines.png\n")
    with (tmp_path / "pipelines.csv").open() as file:
        rates = sorted((float(row["images/s"]) for row in csv.DictReader(file)), reverse=True)
    widths = bars_in(tmp_path / "pipelines.png")
    assert len(widths) == len(rates) >= 1
    assert [w / widths[0] for w in widths] == pytest.approx([r / rates[0] for r in rates], abs=0.02)
