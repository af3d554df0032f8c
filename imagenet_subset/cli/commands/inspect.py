"""``imagenet-subset inspect``: what a finished NPZ holds."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from imagenet_subset.cli.commands import arguments
from imagenet_subset.cli.printing import add_json, print_json
from imagenet_subset.cli.showing import add_progress, display_of
from imagenet_subset.errors import ReadError
from imagenet_subset.progress.display import Display
from imagenet_subset.progress.meter import Work
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.system.text import gigabytes, printable

if TYPE_CHECKING:
    from imagenet_subset.npz.labels import Label
    from imagenet_subset.npz.member import NpzMember
    from imagenet_subset.npz.provenance import Provenance
    from imagenet_subset.reading.summary import Summary

HELP = "show what an NPZ holds: arrays, provenance, classes, and the numbers for Normalize"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``inspect``."""
    parser.add_argument(
        "file", type=arguments.path, metavar="FILE", help="the NPZ; one of another program will do"
    )
    parser.add_argument(
        "--stats",
        action="store_true",
        help="mean and standard deviation of each channel and split; reads every image",
    )
    add_json(parser, "print it as JSON")
    add_progress(parser)


def run(args: argparse.Namespace) -> int:
    """Print the summary; exit code 0."""
    from imagenet_subset.reading.summary import summarize

    summary = summarize(args.file)
    if args.stats:
        if summary.not_a_subset:
            raise ReadError(summary.not_a_subset)
        summary = replace(summary, stats=_stats(args.file, display_of(args)))
    if args.json:
        print_json(summary)
    else:
        print("\n".join(_text(summary)))
    return 0


def _stats(path: str, display: Display) -> dict[Split, dict[str, list[float]] | None]:
    from imagenet_subset.reading.subset import ImagenetSubset
    from imagenet_subset.reading.summary import split_stats

    subset = ImagenetSubset(path)
    with display:
        display.begin(Work(f"reads {printable(path)}", len(subset), "images", leave=False))
        return {split: split_stats(subset, split, display.advance) for split in SPLITS}


def _text(summary: Summary) -> Iterator[str]:
    yield f"{printable(summary.path)}, {gigabytes(summary.size)}"
    yield ""
    yield from _arrays_text(summary.arrays)
    yield ""
    yield from _provenance_text(summary.provenance)
    yield ""
    if summary.not_a_subset:
        yield f"no subset: {summary.not_a_subset}"
        return
    yield from _classes_text(summary.classes)
    for split, stats in (summary.stats or {}).items():
        yield ""
        yield from _stats_text(split, stats)


def _arrays_text(arrays: Iterable[NpzMember]) -> Iterator[str]:
    rows = [
        (
            printable(array.key),
            str(array.shape),
            str(array.dtype),
            f"{array.nbytes:,}",
            _how_stored(array),
        )
        for array in arrays
    ]
    yield from _table(("array", "shape", "dtype", "bytes", "in the file"), rows, right=(3,))


def _how_stored(array: NpzMember) -> str:
    if array.compressed:
        return "compressed"
    return f"mapped from byte {array.data_offset}" if array.mappable else "pickled"


def _provenance_text(provenance: Provenance | None) -> Iterator[str]:
    if provenance is None:
        yield "no provenance: another program wrote this file"
        return
    for name, value in provenance.describe():
        yield f"{name:10}  {printable(value)}"


def _classes_text(classes: list[tuple[Label, dict[str, int]]]) -> Iterator[str]:
    totals = {split: sum(counts[split] for _, counts in classes) for split in SPLITS}
    rows = [
        (
            str(label.number),
            printable(label.wnid or "-"),
            printable(label.name or "-"),
            f"{counts['train']:,}",
            f"{counts['val']:,}",
        )
        for label, counts in classes
    ]
    total = ("", "", "all", f"{totals['train']:,}", f"{totals['val']:,}")
    yield from _table(("label", "WNID", "name", "train", "val"), [*rows, total], right=(0, 3, 4))


def _stats_text(split: str, stats: dict[str, list[float]] | None) -> Iterator[str]:
    if stats is None:
        yield f"{split}: no images, so no mean and standard deviation"
        return
    yield f"{split}, R G B on the scale 0 to 1, as Normalize takes them"
    for name, values in stats.items():
        yield f"  {name:4}  [{', '.join(f'{value:.4f}' for value in values)}]"


def _table(
    header: tuple[str, ...], rows: Sequence[tuple[str, ...]], right: tuple[int, ...]
) -> Iterator[str]:
    """Columns as wide as their widest cell; those named in ``right`` are set flush right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
