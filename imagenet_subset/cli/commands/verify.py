"""``imagenet-subset verify``: prove that a finished NPZ is right."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_subset.cli.commands import arguments
from imagenet_subset.cli.printing import add_json, print_json
from imagenet_subset.cli.showing import add_progress, display_of
from imagenet_subset.errors import SourceError
from imagenet_subset.system.text import printable

if TYPE_CHECKING:
    from imagenet_subset.checking.file import VerifyReport

HELP = "prove that a finished NPZ is right, by itself and against its photos"
_SAMPLE = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``verify``."""
    add = parser.add_argument
    add("file", type=arguments.path, metavar="FILE", help="the .npz")
    arguments.add_workers(parser)
    add_progress(parser)
    add_json(parser)
    photos = parser.add_argument_group("against its photos")
    where = "ImageNet, in any form: decode photos again and compare the pixels"
    photos.add_argument("--data_dir", type=arguments.path, metavar="PATH", help=where)
    some = photos.add_mutually_exclusive_group()
    how_many = f"with --data_dir: how many photos, drawn at random (default: {_SAMPLE})"
    some.add_argument("--sample", type=arguments.positive, metavar="N", help=how_many)
    some.add_argument("--all", action="store_true", help="with --data_dir: all photos")
    arguments.add_train_list(photos)
    what = "where it was built by --photo_list, the same list: see whether its photos are these"
    photos.add_argument("--photo_list", type=arguments.path, metavar="FILE", help=what)


def run(args: argparse.Namespace) -> int:
    """Verify, show how far it is, and print the report."""
    from imagenet_subset.checking.whole import verify_all
    from imagenet_subset.sources import open_source

    if args.data_dir:
        # A wrong folder is reported at once, not after a long read.
        open_source(Path(args.data_dir))
    elif args.all or args.sample:
        raise SourceError(
            "--all and --sample compare with photos; say by --data_dir where they are"
        )
    with display_of(args) as display:
        report = verify_all(
            args.file,
            args.data_dir,
            args.train_list,
            args.photo_list,
            sample=None if args.all else args.sample or _SAMPLE,
            workers=arguments.cores_of(args),
            display=display,
        )
    if args.json:
        print_json(report)
    else:
        _print(report)
    return 0 if report.ok else 1


def _print(report: VerifyReport) -> None:
    for line in report.checked:
        print(f"checked  {line}")
    for line in [*report.problems, *report.source_problems]:
        print(f"PROBLEM  {line}")
    print(f"{printable(report.path)} {_verdict(report)}")


def _verdict(report: VerifyReport) -> str:
    if len(report.problems) > report.unread:
        return (
            "is NOT sound; copy it again from where it was sound, or build it again with "
            "--overwrite"
        )
    if report.unread:
        return (
            "can't be read in full, so whether it is sound is unknown; see to its disk or its "
            "network, and verify it again"
        )
    if report.source_problems:
        return "is sound as far as it could be checked; its photos could not all be read"
    return "is sound"
