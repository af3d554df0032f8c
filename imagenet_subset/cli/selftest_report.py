"""What a selftest prints: ten lines or so, or all."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING

from imagenet_subset.system.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from imagenet_subset.checking.rates import Rate
    from imagenet_subset.checking.selftest import Kind, SelftestReport

_YOURS = "yours: "
_WIDTH, _NARROW = 100, 79
_NAMED = 3
"""Problems that are shown of many."""
_NOT_OF_PIXELS = ("Python", "system", "driver")
"""Versions that don't decide pixels."""


def short(report: SelftestReport) -> Iterator[str]:
    """Lines on the worst of each sort of image, on all pipelines' rates, and the verdict."""
    deciding = (f"{k} {v}" for k, v in report.versions.items() if k not in _NOT_OF_PIXELS)
    yield from textwrap.wrap(", ".join(deciding), _NARROW, break_on_hyphens=False)
    if report.decoders:
        yield report.decoders
    head = f"{'off Pillow (0 to 255)':22} {'images':>6} {'largest':>8} {'mean':>7}"
    yield f"{head}  allowed: {report.bounds.largest}, {report.bounds.mean:.3f} in the mean"
    for title, kinds in _sorts(_decoded(report)).items():
        yield _worst(title, kinds)
    if not report.config.kind.is_pillow:
        yield f"left to Pillow: {_share(report.kinds)}{_of_yours(report.kinds)} (see --all)"
    yield f"decode, images/s: {_rates(report.side_by_side)}"
    yield f"whole, images/s: {_whole(report)}"
    for problem in report.problems[:_NAMED]:
        yield f"WRONG  {problem}"
    if len(report.problems) > _NAMED:
        yield f"WRONG  {len(report.problems) - _NAMED} more, which --all shows"
    yield _verdict(report)


def full(report: SelftestReport) -> Iterator[str]:
    """Lines on each kind of image, on all rates, on each problem, and the verdict."""
    about = report.versions | ({"decoders": report.decoders} if report.decoders else {})
    yield from (f"  {name:16} {value}" for name, value in about.items())
    yield ""
    yield f"{'kind':30} {'images':>6} {'largest':>8} {'mean':>7}   difference from Pillow, of 255"
    for kind in _with_odd_as_one(_decoded(report)):
        yield f"{kind.name:30} {kind.images:6} {kind.largest:8} {kind.mean:7.3f}"
    bounds = report.bounds
    yield f"{'allowed':30} {'':6} {bounds.largest:8} {bounds.mean:7.3f}"
    yield ""
    if not report.config.kind.is_pillow:
        yield from _left_to_pillow(report.kinds)
        yield ""
    for rate in report.side_by_side:
        threads = counted(rate.threads, "core")
        title = f"{rate.device} ({rate.pipeline})"
        yield f"{title:15} {rate.images_per_second:7,.0f} images/s decode alone, {threads}"
    yield f"images/s, whole: {_whole(report)}"
    yield ""
    yield from (f"WRONG  {problem}" for problem in report.problems)
    yield _verdict(report)


def _decoded(report: SelftestReport) -> list[Kind]:
    """The kinds that the pipeline itself decodes."""
    is_pillow = report.config.kind.is_pillow
    return [kind for kind in report.kinds if kind.by_pillow < kind.images or is_pillow]


def _sorts(kinds: list[Kind]) -> dict[str, list[Kind]]:
    """The kinds by what people would call them."""
    sorts: dict[str, list[Kind]] = {}
    for kind in kinds:
        sorts.setdefault(_sort(kind), []).append(kind)
    return sorts


def _sort(kind: Kind) -> str:
    if kind.name.startswith(_YOURS):
        return "yours"
    return "photos" if kind.name.startswith("photos ") else "odd images"


def _worst(title: str, kinds: list[Kind]) -> str:
    """A row of the table; it names the worst kind, if any image is off."""
    worst = max(kinds, key=lambda kind: (kind.largest, kind.mean))
    images, mean = sum(kind.images for kind in kinds), max(kind.mean for kind in kinds)
    row = f"{title:22} {images:6} {worst.largest:8} {mean:7.3f}"
    return f"{row}  worst: {worst.name.removeprefix(_YOURS)}" if worst.largest else row


def _rates(rates: list[Rate]) -> str:
    """Rates that can be compared: of one CPU core, however many a pipeline uses, or of a GPU."""
    gpus = [
        f"{r.pipeline} {r.images_per_second:,.0f} on the GPU" for r in rates if r.device != "cpu"
    ]
    cpus = [(r.images_per_second / r.threads, r.pipeline) for r in rates if r.device == "cpu"]
    cores = ", ".join(f"{name} {rate:,.0f}" for rate, name in sorted(cpus, reverse=True))
    return "; ".join([*gpus, *([f"{cores} on each CPU core"] if cores else [])])


def _whole(report: SelftestReport) -> str:
    processes = report.config.processes
    one = f"one of a build's {processes} processes" if processes > 1 else "one process"
    return f"{report.config.name} {report.whole_rate:,.0f} from file to file in {one}"


def _verdict(report: SelftestReport) -> str:
    return "selftest failed" if report.problems else "selftest passed"


def _with_odd_as_one(kinds: list[Kind]) -> list[Kind]:
    """The kinds with those of a single image as one, so that the report fits on a screen."""
    odd = [kind for kind in kinds if kind.images == 1 and not kind.name.startswith(_YOURS)]
    if not odd:
        return kinds
    largest, mean = max(kind.largest for kind in odd), max(kind.mean for kind in odd)
    summary = replace(odd[0], name="odd images", images=len(odd), largest=largest, mean=mean)
    first = kinds.index(odd[0])
    return [*kinds[:first], summary, *(kind for kind in kinds[first:] if kind not in odd)]


def _left_to_pillow(kinds: list[Kind]) -> Iterator[str]:
    names = ", ".join(kind.name for kind in kinds if kind.by_pillow == kind.images)
    yield from textwrap.wrap(f"left to Pillow: {_share(kinds)}: {names}", _WIDTH)
    if yours := _of_yours(kinds):
        yield yours.removeprefix("; ")


def _of_yours(kinds: list[Kind]) -> str:
    yours = [kind for kind in kinds if kind.name.startswith(_YOURS)]
    return f"; of yours {_share(yours, '')}" if yours else ""


def _share(kinds: list[Kind], noun: str = " images") -> str:
    images, left = sum(kind.images for kind in kinds), sum(kind.by_pillow for kind in kinds)
    return f"{left:,} of {images:,}{noun}, {left / images:.1%}"
