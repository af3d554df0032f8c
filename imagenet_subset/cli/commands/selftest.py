"""``imagenet-subset selftest``: whether the pipeline works on this machine, and how fast."""

from __future__ import annotations

import argparse
import sys
import textwrap
from dataclasses import replace
from typing import TYPE_CHECKING

from imagenet_subset.cli.commands import arguments
from imagenet_subset.cli.printing import add_json, print_json

if TYPE_CHECKING:
    from imagenet_subset.checking.selftest import Kind, SelftestReport

_YOURS = "yours: "
HELP = "compare this machine's pipeline with Pillow, image by image, and time it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``selftest``."""
    arguments.add_pipeline(parser)
    arguments.add_rule(parser)
    arguments.add_workers(parser)
    parser.add_argument(
        "--data_dir",
        type=arguments.path,
        metavar="DIR",
        help="also try a few hundred photos of ImageNet in any form, or JPEGs below a folder",
    )
    add_json(parser)


check = arguments.wrong_with_rule


def run(args: argparse.Namespace) -> int:
    """Run the selftest; 1 when the pipeline isn't what it should be."""
    from pathlib import Path

    from imagenet_subset.checking.selftest import selftest
    from imagenet_subset.checking.yours import your_photos
    from pipelines.choice import resolve
    from pipelines.request import PipelineRequest

    rule = arguments.rule_of(args)
    request = PipelineRequest(args.device, args.pipeline, args.batch_size, args.gpu, rule)
    config = resolve(request, arguments.cores_of(args))
    data_dir = Path(args.data_dir) if args.data_dir is not None else None
    if data_dir is not None:
        your_photos(data_dir, 1)  # what is wrong with it is reported before the work
    print(config.why, file=sys.stderr if args.json else sys.stdout)
    report = selftest(config, data_dir)
    if args.json:
        print_json(report)
    else:
        _print_report(report)
    return 0 if report.ok else 1


def _print_report(report: SelftestReport) -> None:
    about = report.versions | ({"decoders": report.decoders} if report.decoders else {})
    print("".join(f"  {name:16} {value}\n" for name, value in about.items()))
    print(f"{'kind':30} {'images':>6} {'largest':>8} {'mean':>7}   difference from Pillow, of 255")
    is_pillow = report.config.kind.is_pillow
    for kind in _in_short([k for k in report.kinds if k.by_pillow < k.images or is_pillow]):
        print(f"{kind.name:30} {kind.images:6} {kind.largest:8} {kind.mean:7.3f}")
    bounds = report.bounds
    print(f"{'allowed':30} {'':6} {bounds.largest:8} {bounds.mean:7.3f}\n")
    if not is_pillow:
        print(f"{_left_to_pillow(report.kinds)}\n")
    _print_rates(report)
    for problem in report.problems:
        print(f"WRONG  {problem}")
    print("selftest failed" if report.problems else "selftest passed")


def _in_short(kinds: list[Kind]) -> list[Kind]:
    """The kinds with those of a single image as one, so that the report fits on a screen."""
    odd = [kind for kind in kinds if kind.images == 1 and not kind.name.startswith(_YOURS)]
    if not odd:
        return kinds
    largest, mean = max(kind.largest for kind in odd), max(kind.mean for kind in odd)
    summary = replace(odd[0], name="odd images", images=len(odd), largest=largest, mean=mean)
    first = kinds.index(odd[0])
    return [*kinds[:first], summary, *(kind for kind in kinds[first:] if kind not in odd)]


def _print_rates(report: SelftestReport) -> None:
    print(f"decode alone    {report.decode_rate:7.0f} images/s, from memory, pixels dropped")
    print(f"whole pipeline  {report.whole_rate:7.0f} images/s, from files to a file")
    if (processes := report.config.processes) > 1:
        print(f"each for one process; a build here runs {processes}")
    for name, rate in report.references.items():
        print(f"{name:15} {rate:7.0f} images/s, decode alone on one core; there are {report.cores}")
    print()


def _left_to_pillow(kinds: list[Kind]) -> str:
    names = ", ".join(kind.name for kind in kinds if kind.by_pillow == kind.images)
    text = textwrap.fill(f"left to Pillow: {_share(kinds)}: {names}", 100)
    if yours := [kind for kind in kinds if kind.name.startswith(_YOURS)]:
        text += f"\nof yours: {_share(yours)}"
    return text


def _share(kinds: list[Kind]) -> str:
    images, left = sum(kind.images for kind in kinds), sum(kind.by_pillow for kind in kinds)
    return f"{left} of {images} images, {left / images:.1%}"
