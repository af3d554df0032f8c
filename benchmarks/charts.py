"""Bar charts of what the benchmarks measured, as PNGs beside their tables.

A benchmark makes a `Panel` for each thing that it compares, and `draw` writes them below each
other. Bars begin at zero and bear their numbers. The caption says which machine measured them, and
when the chart was made. Without matplotlib, which is in the ``bench`` extra, a line says so: the
table is there all the same.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import platform
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 8.0
"""Inches of a chart, of which each has `DOTS` pixels."""
DOTS = 120
BAR, AROUND = 0.36, 1.25
"""Inches of height that a bar takes, and that a panel takes beside its bars."""
OURS, THEIRS = "tab:blue", "tab:gray"
CAPTION = 110
"""Characters of a line of the caption."""
SPREAD: dict[str, Any] = {"color": "black", "linewidth": 1, "capsize": 3}
ROOM = 1.15
"""Length of the axis, as a multiple of what is drawn: the numbers are after the bars."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A number that was measured."""

    name: str
    value: float
    spread: tuple[float, float] | None = None
    """Smallest and largest of several runs."""
    ours: bool = True
    """Whether imagenet-subset did it: others' bars are gray."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars of one unit, the first on top."""

    title: str
    unit: str
    bars: Sequence[Bar]
    line: tuple[str, float] | None = None
    """Name and place of a line to measure the bars by: a bound, or a rate that can't be beaten."""

    @property
    def reach(self) -> float:
        """The largest number that is drawn."""
        ends = [bar.spread[1] if bar.spread else bar.value for bar in self.bars]
        return max([*ends, self.line[1] if self.line else 0])


def draw(panels: Sequence[Panel], path: Path, machine: str = "") -> str:
    """Write a chart; what to tell of it.

    Parameters
    ----------
    panels
        Those without bars are left out.
    path
        The PNG.
    machine
        What the numbers were measured on; by default this machine.

    Returns
    -------
    str
        ``chart: PATH``, or why there is none.
    """
    panels = [panel for panel in panels if panel.bars]
    if not panels:
        return "no chart: there are no numbers for one"
    try:
        figure = figure_of(panels, machine or this_machine())
    except ImportError:
        return 'no chart: matplotlib isn\'t installed; pip install -e ".[bench]"'
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS)
    return f"chart: {path}"


def figure_of(panels: Sequence[Panel], machine: str) -> Figure:
    """The chart, as matplotlib has it.

    Raises
    ------
    ImportError
        matplotlib isn't installed.
    """
    from matplotlib.figure import Figure

    heights = [AROUND + BAR * len(panel.bars) for panel in panels]
    caption = textwrap.fill(f"{machine}; {datetime.date.today():%d %B %Y}", CAPTION)
    figure = Figure(figsize=(WIDTH, sum(heights) + 0.5), layout="constrained")
    figure.get_layout_engine().set(hspace=0.05)
    below = figure.subplots(len(panels), squeeze=False, height_ratios=heights)[:, 0]
    for axes, panel in zip(below, panels, strict=True):
        _fill(axes, panel)
    figure.supxlabel(caption, fontsize="x-small", color="dimgray")
    return figure


def _fill(axes: Axes, panel: Panel) -> None:
    names, values = [bar.name for bar in panel.bars], [bar.value for bar in panel.bars]
    colors = [OURS if bar.ours else THEIRS for bar in panel.bars]
    bars = axes.barh(range(len(values)), values, tick_label=names, color=colors)
    for place, bar in enumerate(panel.bars):
        if bar.spread and bar.spread[0] < bar.spread[1]:
            low, high = bar.spread
            axes.errorbar(bar.value, place, None, [[bar.value - low], [high - bar.value]], **SPREAD)
    numbers = axes.bar_label(bars, [written(value) for value in values], padding=4)
    for number, bar in zip(numbers, panel.bars, strict=True):
        number.set_bbox({"color": "white", "pad": 0.5})  # a line behind it stays behind it
        if bar.spread:
            number.xy = (bar.spread[1], number.xy[1])
    if panel.line:
        name, place = panel.line
        axes.axvline(place, color="tab:red", linestyle="--", label=f"{name}: {written(place)}")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), frameon=False, fontsize="small")
    axes.invert_yaxis()
    axes.set_xlim(0, ROOM * panel.reach or 1)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.set_title(panel.title, loc="left")
    axes.set_xlabel(panel.unit)
    axes.spines[["top", "right"]].set_visible(False)


def written(value: float) -> str:
    """Three digits or more, as a bar bears them.

    Examples
    --------
    >>> [written(value) for value in (20143.7, 979, 1.5, 0.9876, 0)]
    ['20,144', '979', '1.5', '0.988', '0']
    """
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def this_machine() -> str:
    """Cores, processor, system and Python, for the caption."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = f"{cores} cores of {processor()}"
    return f"{name}, {platform.system()}, Python {platform.python_version()}"


def processor() -> str:
    """Name of the processor, as far as the system tells."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
