"""The table of pipelines and peers: printed, as CSV and as a chart."""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from charts import Bar, Panel, draw
from contenders import FLOOR, OURS, Contender


def report(
    field: Sequence[Contender],
    left_out: Mapping[str, str],
    photos: int,
    workers: int,
    results: Path,
) -> None:
    """Print the table; write it as CSV and as a chart.

    Parameters
    ----------
    field
        Who ran in all rounds.
    left_out
        Who didn't, and why.
    photos, workers
        Of each run.
    results
        Folder of ``pipelines.csv`` and ``pipelines.png``.
    """
    rows = [_row(contender, field, photos) for contender in field]
    widths = {key: max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]}
    print(f"\n{photos} photos, {workers} workers, medians of {len(field[0].runs)} rounds")
    for row in [dict(zip(widths, widths, strict=True)), *rows]:
        cells = [row[k].ljust(w) if k == "name" else row[k].rjust(w) for k, w in widths.items()]
        print("  ".join(cells))
    for name, why in left_out.items():
        print(f"left out: {name} ({why})")
    results.mkdir(parents=True, exist_ok=True)
    with open(results / "pipelines.csv", "w", newline="") as file:
        rounds = [f"round {k + 1}, s" for k in range(len(field[0].runs))]
        writer = csv.DictWriter(file, [*widths, *rounds])
        writer.writeheader()
        for row, contender in zip(rows, field, strict=True):
            seconds = [f"{run.seconds:.3f}" for run in contender.runs]
            writer.writerow(row | dict(zip(rounds, seconds, strict=True)))
    print(draw([panel(field, photos, workers)], results / "pipelines.png"))


def _row(contender: Contender, field: Sequence[Contender], photos: int) -> dict[str, str]:
    rates = [photos / run.seconds for run in contender.runs]
    floor = _ratio(FLOOR, contender, field)
    ours = _ratio(OURS, contender, field)
    return {
        "name": contender.name,
        "images/s": f"{statistics.median(rates):.0f}",
        "range": f"{min(rates):.0f}-{max(rates):.0f}",
        "of bare decode": f"{floor:.2f}" if floor else "-",
        "turbo is times": f"{1 / ours:.2f}" if ours else "-",
        "largest difference": "-" if contender.difference is None else f"{contender.difference}",
        "memory, MB (PSS)": f"{contender.peak_bytes / 1e6:.0f}",
    }


def _ratio(name: str, contender: Contender, field: Sequence[Contender]) -> float | None:
    """Rate of a contender, that of another 1: the median of the rounds' ratios."""
    other = next((c for c in field if c.name == name), None)
    if other is None:
        return None
    pairs = zip(other.runs, contender.runs, strict=True)
    return statistics.median(theirs.seconds / mine.seconds for theirs, mine in pairs)


def panel(field: Sequence[Contender], photos: int, workers: int) -> Panel:
    """Median images/s of all, the quickest on top."""
    bars = []
    for contender in field:
        rates = [photos / run.seconds for run in contender.runs]
        spread = min(rates), max(rates)
        bars.append(Bar(contender.name, statistics.median(rates), spread, contender.ours))
    bars.sort(key=lambda bar: -bar.value)
    title = f"{photos:,} photos into one array by {workers} workers, whole processes"
    return Panel(title, f"images/s, median and range of {len(field[0].runs)} rounds", bars)
