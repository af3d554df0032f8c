"""``imagenet-subset selftest``: whether the pipeline works on this machine, and how fast."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING

from imagenet_subset.cli.commands import arguments

if TYPE_CHECKING:
    from imagenet_subset.checking.selftest import Kind, SelftestReport

HELP = "compare this machine's pipeline with Pillow, image by image, and time it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``selftest``."""
    arguments.add_pipeline(parser)
    arguments.add_workers(parser)
    parser.add_argument(
        "--data_dir",
        type=arguments.path,
        metavar="DIR",
        help="also try a few hundred JPEGs from below this folder",
    )


def run(args: argparse.Namespace) -> int:
    """Run the selftest; 1 when the pipeline isn't what it should be."""
    from pathlib import Path

    from imagenet_subset.checking.selftest import sample_files, selftest
    from imagenet_subset.errors import SourceError
    from imagenet_subset.system.text import printable
    from pipelines.choice import PipelineRequest, resolve

    request = PipelineRequest(args.device, args.pipeline, args.batch_size, args.gpu)
    config = resolve(request, args.workers)
    data_dir = Path(args.data_dir) if args.data_dir is not None else None
    if data_dir is not None and not sample_files(data_dir, 1):
        why = "no .JPEG or .jpg files below it" if data_dir.is_dir() else "there is no such folder"
        raise SourceError(f"--data_dir {printable(data_dir)}: {why}")
    print(config.why)
    report = selftest(config, data_dir)
    _print_report(report)
    return 0 if report.ok else 1


def _print_report(report: SelftestReport) -> None:
    print("".join(f"  {name:16} {version}\n" for name, version in report.versions.items()))
    print(f"{'kind':30} {'images':>6} {'largest':>8} {'mean':>7}   difference from Pillow, of 255")
    for kind in report.kinds:
        if kind.by_pillow < kind.images or report.config.kind.is_pillow:
            print(f"{kind.name:30} {kind.images:6} {kind.largest:8} {kind.mean:7.3f}")
    bounds = report.bounds
    print(f"{'allowed':30} {'':6} {bounds.largest:8} {bounds.mean:7.3f}\n")
    if not report.config.kind.is_pillow:
        print(f"{_left_to_pillow(report.kinds)}\n")
    processes = report.config.processes
    print(f"decode alone    {report.decode_rate:7.0f} images/s, from memory, pixels dropped")
    print(f"whole pipeline  {report.whole_rate:7.0f} images/s, from files to a file")
    if processes > 1:
        print(f"each for one process; a build here runs {processes}")
    print()
    for problem in report.problems:
        print(f"WRONG  {problem}")
    print("selftest failed" if report.problems else "selftest passed")


def _left_to_pillow(kinds: list[Kind]) -> str:
    names = ", ".join(kind.name for kind in kinds if kind.by_pillow == kind.images)
    text = textwrap.fill(f"left to Pillow: {_share(kinds)}: {names}", 100)
    if yours := [kind for kind in kinds if kind.name.startswith("yours: ")]:
        text += f"\nof yours: {_share(yours)}"
    return text


def _share(kinds: list[Kind]) -> str:
    images, left = sum(kind.images for kind in kinds), sum(kind.by_pillow for kind in kinds)
    return f"{left} of {images} images, {left / images:.1%}"
