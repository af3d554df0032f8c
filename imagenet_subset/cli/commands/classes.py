"""``imagenet-subset classes``: the 1,000 classes, for people who write a subset file."""

from __future__ import annotations

import argparse

from imagenet_subset.cli.printing import add_json, print_json
from imagenet_subset.errors import SubsetError
from imagenet_subset.system.text import printable

HELP = "list the classes of ILSVRC 2012 that match a pattern"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``classes``."""
    parser.add_argument(
        "pattern",
        nargs="?",
        metavar="PATTERN",
        help="parts of a name, part of a WordNet ID, or a CLS-LOC id (default: all)",
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--wnids_only",
        action="store_true",
        help="print WordNet IDs only: lines to redirect into a subset file",
    )
    add_json(how, "print them as JSON")


def run(args: argparse.Namespace) -> int:
    """Print the matching classes."""
    from imagenet_subset.ilsvrc.classes import find_classes

    found = find_classes(args.pattern)
    if not found:
        raise SubsetError(
            f"no class of ILSVRC 2012 matches '{printable(args.pattern)}'; try a part of its name"
        )
    if args.json:
        print_json(found)
        return 0
    if args.wnids_only:
        print("\n".join(c.wnid for c in found))
        return 0
    width = max(len(c.title) for c in found)
    print(f"{'WNID':9}  {'CLS-LOC id':>10}  {'class':{width}}  {'train photos':>12}")
    for c in found:
        print(f"{c.wnid}  {c.clsloc_id:10}  {c.title:{width}}  {c.num_train_images:12}")
    return 0
