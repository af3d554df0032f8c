"""``imagenet-subset selftest``: whether the pipeline works on this machine, and how fast."""

from __future__ import annotations

import argparse
import sys

from imagenet_subset.cli.commands import arguments
from imagenet_subset.cli.printing import add_json, print_json
from imagenet_subset.cli.selftest_report import full, short
from imagenet_subset.cli.showing import add_progress, display_of
from imagenet_subset.progress.meter import Work

HELP = "compare this machine's pipeline with Pillow, image by image, and time it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``selftest``."""
    parser.add_argument("--all", action="store_true", help="print each kind of image")
    add_json(parser)
    add_progress(parser)
    machine = parser.add_argument_group("machine")
    arguments.add_pipeline(machine)
    arguments.add_workers(machine)
    arguments.add_rule(parser.add_argument_group("pixels"))
    parser.add_argument(
        "--data_dir",
        type=arguments.path,
        metavar="DIR",
        help="also try a few hundred photos of ImageNet in any form, or JPEGs below a folder",
    )


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
    print(config.why, file=sys.stderr if args.json else sys.stdout, flush=True)
    with display_of(args) as display:
        report = selftest(
            config,
            data_dir,
            begins=lambda step: display.begin(Work(f"selftest, {step}", leave=False)),
        )
    if args.json:
        print_json(report)
    else:
        print("\n".join(full(report) if args.all else short(report)))
    return 0 if report.ok else 1
