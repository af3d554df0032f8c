"""``imagenet-subset verify``: prove that a finished NPZ is right."""

from __future__ import annotations

import argparse
import sys

from imagenet_subset.commands.build import available_cores, positive
from imagenet_subset.errors import printable

HELP = "prove that a finished NPZ is right, by itself and against its photos"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``verify``."""
    add = parser.add_argument
    add("file", metavar="FILE", help="the .npz")
    add("--data_dir", metavar="DIR",
        help="ImageNet's folder: decode photos again and compare the pixels")  # fmt: skip
    add("--train_list", metavar="FILE",
        help="train_cls.txt, when it isn't in ImageSets/CLS-LOC beside Data")  # fmt: skip
    some = parser.add_mutually_exclusive_group()
    some.add_argument("--sample", type=positive, default=200, metavar="N",
        help="with --data_dir: how many photos, drawn at random (default: %(default)s)")  # fmt: skip
    some.add_argument("--all", action="store_true", help="with --data_dir: all photos")
    add("--workers", type=positive, default=available_cores(), metavar="N",
        help="CPU cores to use (default: all, here %(default)s)")  # fmt: skip
    add("--json", action="store_true", help="print the report as JSON")


def run(args: argparse.Namespace) -> int:
    """Verify, with a progress bar, and print the report."""
    from pathlib import Path

    from tqdm import tqdm

    from imagenet_subset.verify import verify

    off = not sys.stderr.isatty()
    size = Path(args.file).stat().st_size if Path(args.file).is_file() else 0
    with tqdm(total=size, unit="B", unit_scale=True, desc="checksums", disable=off) as bar:
        report = verify(args.file, progress=bar.update)
        bar.update(size - bar.n)
    if args.data_dir and report.readable:
        from imagenet_subset.recheck import compare_with_photos

        with tqdm(unit=" photos", desc="pixels", disable=off) as bar:
            compare_with_photos(
                report,
                args.data_dir,
                train_list=args.train_list,
                sample=None if args.all else args.sample,
                workers=args.workers,
                progress=bar.update,
            )
    if args.json:
        print(report.to_json())
        return 0 if report.ok else 1
    for line in report.checked:
        print(f"checked  {line}")
    for line in report.problems:
        print(f"PROBLEM  {line}")
    print(f"{printable(args.file)} is {'sound' if report.ok else 'NOT sound'}")
    return 0 if report.ok else 1
