"""The proof's chart: whole builds against the bare graph, and pixels against the bound."""

from __future__ import annotations

from pathlib import Path

from benchmarks.charts import Bar, Panel, draw
from benchmarks.gpu.setting import Numbers
from pipelines.bounds import DALI_CPU, DALI_GPU
from pipelines.kinds import LOADS


def chart(report: Numbers, path: Path) -> str:
    """Write the chart of a report as PNG; what to tell of it."""
    return draw([_builds(report), _pixels(report)], path, _machine(report))


def _machine(report: Numbers) -> str:
    """The card, or that there was none; the processor; the packages."""
    found = report.get("versions", {})
    card = report["why"] if report["device"] == "gpu" else "NO GPU: DALI's CPU backend"
    parts = [card, f"{found['cores']} cores of {found['cpu']}" if "cpu" in found else ""]
    parts += [f"{name} {text}" for name, text in found.get("versions", {}).items()]
    return ", ".join(part for part in parts if part)


def _builds(report: Numbers) -> Panel:
    """Rates without the start, since the bare graph's has none; few shards don't tell them."""
    bars = []
    for row in report.get("build", {}).get("builds", []):
        if "error" in row:
            continue
        name = f"{row['device']} {row['pipeline']}"
        if row["processes"]:
            name += f", K = {row['processes']}, {row['load']}"
        rate = row.get("steady images/s")
        name += "" if rate else ", with the start"
        bars.append(Bar(name, rate or row["images/s"], ours=row["device"] == report["device"]))
    best = report.get("bare", {}).get("best", {}).get("images/s")
    line = ("bare graph", best) if best else None
    return Panel(
        "Builds, by processes a card (K) and load", "images/s without the start", bars, line
    )


def _pixels(report: Numbers) -> Panel:
    """The largest difference of each kind of photo, whichever the load."""
    largest: dict[str, int] = {}
    for key, row in report.get("parity", {}).items():
        load, _, kind = key.partition(" ")
        if load in LOADS and isinstance(row, dict) and "largest" in row:
            largest[kind] = max(row["largest"], largest.get(kind, 0))
    bound = (DALI_GPU if report["device"] == "gpu" else DALI_CPU).largest
    bars = [Bar(kind, value) for kind, value in largest.items()]
    title = "Largest difference from Pillow, by kind of photo"
    return Panel(title, "steps of 255", bars, ("bound", bound))
