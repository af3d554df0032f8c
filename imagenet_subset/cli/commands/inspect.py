"""``imagenet-subset inspect``: what a finished NPZ holds."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from imagenet_subset.cli.commands import arguments
from imagenet_subset.errors import ReadError
from imagenet_subset.records import SPLITS
from imagenet_subset.system.text import printable

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
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the summary; exit code 0."""
    from imagenet_subset.reading.summary import summarize

    summary = summarize(args.file)
    if args.stats:
        if summary["not_a_subset"]:
            raise ReadError(summary["not_a_subset"])
        summary["stats"] = _stats(args.file)
    print(json.dumps(summary, indent=2) if args.json else "\n".join(_text(summary)))
    return 0


def _stats(path: str) -> dict[str, Any]:
    from tqdm import tqdm

    from imagenet_subset.reading.subset import ImagenetSubset
    from imagenet_subset.reading.summary import split_stats

    subset = ImagenetSubset(path)
    with tqdm(total=len(subset), unit=" images", disable=None, leave=False) as bar:
        return {split: split_stats(subset, split, bar.update) for split in SPLITS}


def _text(summary: dict[str, Any]) -> Iterator[str]:
    from imagenet_subset.system.text import gigabytes

    yield f"{printable(summary['path'])}, {gigabytes(summary['size'])}"
    yield ""
    yield from _table(
        ("array", "shape", "dtype", "bytes", "in the file"),
        [
            (
                printable(array["key"]),
                str(tuple(array["shape"])),
                array["dtype"],
                f"{array['nbytes']:,}",
                _how_stored(array),
            )
            for array in summary["arrays"]
        ],
        right=(3,),
    )
    yield ""
    yield from _provenance_text(summary["provenance"])
    yield ""
    if summary["not_a_subset"]:
        yield f"no subset: {summary['not_a_subset']}"
        return
    yield from _classes_text(summary["classes"])
    for split, stats in summary.get("stats", {}).items():
        yield ""
        yield from _stats_text(split, stats)


def _how_stored(array: dict[str, Any]) -> str:
    if array["compressed"]:
        return "compressed"
    return "pickled" if array["offset"] is None else f"mapped from byte {array['offset']}"


def _provenance_text(provenance: dict[str, Any] | None) -> Iterator[str]:
    from imagenet_subset.reading.summary import describe_provenance

    if provenance is None:
        yield "no provenance: another program wrote this file"
        return
    for name, value in describe_provenance(provenance):
        yield f"{name:10}  {printable(value)}"


def _classes_text(classes: list[dict[str, Any]]) -> Iterator[str]:
    totals = {split: sum(row[split] for row in classes) for split in SPLITS}
    rows = [
        (
            str(row["subset_label"]),
            printable(row["WNID"] or "-"),
            printable(row["human_label"] or "-"),
            f"{row['train']:,}",
            f"{row['val']:,}",
        )
        for row in classes
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
    header: tuple[str, ...], rows: list[tuple[str, ...]], right: tuple[int, ...]
) -> Iterator[str]:
    """Columns as wide as their widest cell; those named in ``right`` are set flush right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
