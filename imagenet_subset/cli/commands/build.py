"""``imagenet-subset build``: the main job."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING

from imagenet_subset.cli.commands import arguments
from imagenet_subset.cli.printing import add_json, print_json
from imagenet_subset.cli.report import print_summary
from imagenet_subset.cli.showing import add_progress, display_of
from imagenet_subset.cli.streams import reporting
from imagenet_subset.errors import ImagenetSubsetError
from imagenet_subset.execution.engines import check_engine, hush
from imagenet_subset.progress.display import Display
from imagenet_subset.progress.meter import Work
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.selection.asked import check_choice
from imagenet_subset.selection.lines import looks_like_wnids
from imagenet_subset.system.text import printable

if TYPE_CHECKING:
    from imagenet_subset.building.options import BuildOptions

HELP = "build the NPZ and the CSV of a subset (the default command)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``build``."""
    parser.epilog = (
        "The same command goes on with a build that was stopped. A photo that was replaced in "
        "between keeps its old row; verify FILE --data_dir DIR --all finds it."
    )
    _add_input(parser.add_argument_group("input"))
    _add_choice(parser.add_argument_group("which train photos (default: all)"))
    arguments.add_rule(parser.add_argument_group("pixels"))
    _add_output(parser.add_argument_group("output"))
    machine = parser.add_argument_group("machine")
    arguments.add_pipeline(machine, several=True)
    arguments.add_dali_processes(machine)
    arguments.add_workers(machine)
    arguments.add_executor(machine)
    _add_talk(parser.add_argument_group("what it prints"))


def _add_input(group: arguments.Arguments) -> None:
    """Declare the flags that say what is read."""
    add = group.add_argument
    add(
        "--subset_name",
        required=True,
        type=arguments.path,
        metavar="NAME",
        help="imagenet30, another name that imagenet-subset subsets lists, a file of ./aux_files, "
        "the path of a .txt with one WordNet ID per line, or WordNet IDs with commas between them",
    )
    add(
        "--data_dir",
        type=arguments.path,
        default="./Data/CLS-LOC",
        metavar="PATH",
        help="ImageNet as you have it: Data/CLS-LOC or a folder above, tars, Kaggle's zip, parquet "
        "or WebDataset shards; the file, or the folder of the files (default: %(default)s)",
    )
    arguments.add_train_list(group)
    add(
        "--splits",
        type=_splits,
        default=SPLITS,
        metavar="S",
        help="train, val or train,val (default); the other becomes arrays of length 0",
    )
    add(
        "--missing",
        choices=("error", "skip"),
        default="error",
        help="photos that aren't there: refuse (default), or build without them; each class keeps "
        "one at least",
    )
    add(
        "--skip_undecodable",
        action="store_true",
        help="finish without the images that can't be decoded",
    )


def _add_choice(group: arguments.Arguments) -> None:
    """Declare the flags that choose train photos."""
    add = group.add_mutually_exclusive_group().add_argument
    add(
        "--per_class",
        type=arguments.positive,
        metavar="N",
        help="take N train photos of each class; the same in every form of ImageNet, and N+1 have "
        "the N among them; one that is missing isn't replaced",
    )
    add(
        "--fraction",
        type=arguments.fraction,
        metavar="F",
        help="take this share of the train photos of each class, above 0 and up to 1; one at least",
    )
    add(
        "--photo_list",
        type=arguments.path,
        metavar="FILE",
        help="take the train photos that FILE names: a stem, a file name or a path a line, as in "
        "SimCLR's 1percent.txt",
    )
    group.add_argument(
        "--seed",
        type=arguments.natural,
        default=0,
        metavar="S",
        help="with --per_class or --fraction: a number for each other draw (default: %(default)s)",
    )


def _add_output(group: arguments.Arguments) -> None:
    """Declare the flags that say what is written."""
    add = group.add_argument
    add(
        "--out_dir",
        type=arguments.path,
        default="./out_files",
        metavar="DIR",
        help="where the NPZ and the CSV go (default: %(default)s)",
    )
    add(
        "--out_name",
        metavar="NAME",
        help="what they are named after: NAME_cls.npz (default: the subset's name)",
    )
    add(
        "--overwrite",
        action="store_true",
        help="replace a finished file, or an unfinished one of another build",
    )
    add(
        "--full_check",
        action="store_true",
        help="read the whole file back before it gets its name; by default its size, the last row "
        "of each array and one row in 64",
    )


def _add_talk(group: arguments.Arguments) -> None:
    """Declare the flags that say what is printed."""
    add = group.add_argument
    add(
        "--dry_run",
        action="store_true",
        help="say what the same command would do with what is there, what it makes, the space and "
        "the time that it takes; the workers decode a few photos, and nothing is written but "
        "the machine code that turbo keeps; exit code 1 if it would end in an error",
    )
    add_progress(group)
    add(
        "--quiet",
        action="store_true",
        help="no progress, no summary; what --dry_run finds is printed all the same",
    )
    add_json(
        group,
        "print the summary, or what --dry_run finds, as JSON; of a "
        "build that can't be planned --dry_run has ok and problems alone",
    )


def check(args: argparse.Namespace) -> str:
    """Say which values of the flags don't go together; empty if all do."""
    if looks_like_wnids(args.subset_name) and args.out_name is None:
        return "WordNet IDs have no name together; name the output by --out_name"
    try:
        arguments.rule_of(args)
        check_choice(args.per_class, args.fraction, args.photo_list, args.seed, args.splits)
        check_engine(args.executor, workers=args.workers, gpus=args.gpu)
    except ValueError as error:
        return str(error)
    return ""


def run(args: argparse.Namespace) -> int:
    """Build, show how far it is, and print what was made."""
    from imagenet_subset.building.options import BuildOptions
    from imagenet_subset.building.shown import build_shown, looking
    from imagenet_subset.building.start import begun

    names = {field.name for field in fields(BuildOptions)}
    given = {name: value for name, value in vars(args).items() if name in names}
    options = BuildOptions(**given, rule=arguments.rule_of(args))
    hush(args.executor)
    with display_of(args) as display:
        display.begin(looking(options))
        if args.dry_run:
            return _dry_run(args, options, display)
        with begun(options, args.executor, display.tell, args.workers_begun) as (plan, runner):
            result = build_shown(plan, runner, display, name_fallbacks=args.debug)
    with reporting(f"{printable(result.plan.output.npz)} is complete"):
        if args.json:
            print_json(result)
        elif not args.quiet:
            print_summary(result)
    return 0


def _dry_run(args: argparse.Namespace, options: BuildOptions, display: Display) -> int:
    """Print what the build would do; 1 if it would end in an error.

    As JSON also an error that leaves nothing else to report: a program asks for ``ok`` alone.
    """
    from imagenet_subset.building.outlook import NoOutlook, look_ahead
    from imagenet_subset.building.start import begun
    from imagenet_subset.cli.outlook import outlook_lines
    from pipelines.base import PipelineUnavailableError

    try:
        with begun(options, args.executor, display.tell, args.workers_begun) as (plan, runner):
            display.begin(Work("tries a few photos", leave=False))
            outlook = look_ahead(plan, runner)
            display.done()
    except (ImagenetSubsetError, PipelineUnavailableError) as error:
        if not args.json or args.debug:
            raise
        display.stop()
        print_json(NoOutlook(str(error)))
        return 1
    if args.json:
        print_json(outlook)
    else:
        print("\n".join(outlook_lines(outlook)))
    return 1 if outlook.problems else 0


def _splits(text: str) -> tuple[Split, ...]:
    names = text.split(",")
    if set(names) - set(SPLITS):
        raise argparse.ArgumentTypeError(f"{text!r} isn't train, val or train,val")
    return tuple(split for split in SPLITS if split in names)
