"""``imagenet-subset build``: the main job."""

from __future__ import annotations

import argparse
import sys
from dataclasses import fields
from typing import TYPE_CHECKING

from imagenet_subset.cli.commands import arguments
from imagenet_subset.cli.outlook import outlook_lines
from imagenet_subset.cli.printing import add_json, print_json
from imagenet_subset.cli.report import print_summary
from imagenet_subset.execution.engines import check_engine, hush
from imagenet_subset.execution.runner import nothing
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.selection.asked import check_choice
from imagenet_subset.selection.lines import looks_like_wnids
from imagenet_subset.system.text import counted

if TYPE_CHECKING:
    from imagenet_subset.building.plan import BuildPlan
    from imagenet_subset.building.run import BuildResult
    from imagenet_subset.building.tasks import ShardResult
    from imagenet_subset.execution.runner import Runner

HELP = "build the NPZ and the CSV of a subset (the default command)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``build``."""
    parser.epilog = (
        "The same command goes on with a build that was stopped. A photo that was replaced in "
        "between keeps its old row; verify FILE --data_dir DIR --all finds it."
    )
    add = parser.add_argument
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
    arguments.add_rule(parser)
    arguments.add_pipeline(parser, several=True)
    arguments.add_dali_processes(parser)
    arguments.add_workers(parser)
    arguments.add_executor(parser)
    arguments.add_train_list(parser)
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
    _add_choice(parser)
    add(
        "--skip_undecodable",
        action="store_true",
        help="finish without the images that can't be decoded",
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
    add(
        "--dry_run",
        action="store_true",
        help="say what the same command would do with what is there, what it makes, the space and "
        "the time that it takes; a worker decodes a few photos, nothing is written; exit code 1 if "
        "it would end in an error",
    )
    add("--quiet", action="store_true", help="no progress bar, no summary")
    add_json(parser, "print the summary, or what --dry_run finds, as JSON")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that choose train photos."""
    add = parser.add_mutually_exclusive_group().add_argument
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
    parser.add_argument(
        "--seed",
        type=arguments.natural,
        default=0,
        metavar="S",
        help="with --per_class or --fraction: a number for each other draw (default: %(default)s)",
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
    """Build, with a progress bar, and print what was made."""
    from imagenet_subset.building.options import BuildOptions
    from imagenet_subset.building.start import begun

    names = {field.name for field in fields(BuildOptions)}
    given = {name: value for name, value in vars(args).items() if name in names}
    options = BuildOptions(**given, rule=arguments.rule_of(args))
    hush(args.executor)
    tell = nothing if args.quiet else _tell
    with begun(options, args.executor, tell) as (plan, runner):
        if args.dry_run:
            return _print_outlook(plan, runner, as_json=args.json)
        for note in plan.notes:
            tell(note)
        result = _build(plan, args, runner)
    if args.json:
        print_json(result)
    elif not args.quiet:
        print_summary(result)
    return 0


def _print_outlook(plan: BuildPlan, runner: Runner, *, as_json: bool) -> int:
    """Print what the build would do; 1 if it would end in an error."""
    from imagenet_subset.building.outlook import look_ahead

    outlook = look_ahead(plan, runner)
    if as_json:
        print_json(outlook)
    else:
        print("\n".join(outlook_lines(outlook)))
    return 1 if outlook.problems else 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr)


def _build(plan: BuildPlan, args: argparse.Namespace, runner: Runner) -> BuildResult:
    from tqdm import tqdm

    from imagenet_subset.building.run import run_build

    total = sum(plan.rows.values())
    off = args.quiet or not sys.stderr.isatty()
    with tqdm(total=total, unit=" images", disable=off, smoothing=0.05) as bar:

        def progress(shard: ShardResult) -> None:
            for line in [] if args.quiet else shard.notices:
                bar.write(line, file=sys.stderr)
            for index, reason in shard.fallbacks if args.debug else []:
                path = plan.path(plan.record(index))
                bar.write(f"by Pillow: {path}: {reason}", file=sys.stderr)
            if not bar.disable:
                # What an earlier run did counts, but says nothing of this one's speed.
                bar.initial += shard.kept
                bar.last_print_n += shard.kept
                bar.n += shard.kept
            if not runner.on_this_machine and runner.workers:
                bar.set_postfix_str(counted(runner.workers, "worker"), refresh=False)
            bar.update(_come_through(shard) - shard.kept)

        return run_build(plan, runner=runner, progress=progress)


def _come_through(shard: ShardResult) -> int:
    """Rows that are done or have failed; a shard that was asked to stop has others too."""
    done = sum(crc is not None for crc in shard.crcs)
    return done + len(shard.failures) + len(shard.unreadable)


def _splits(text: str) -> tuple[Split, ...]:
    names = text.split(",")
    if set(names) - set(SPLITS):
        raise argparse.ArgumentTypeError(f"{text!r} isn't train, val or train,val")
    return tuple(split for split in SPLITS if split in names)
