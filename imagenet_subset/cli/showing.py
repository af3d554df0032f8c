"""``--progress``, which the commands with long work have."""

from __future__ import annotations

import argparse

from imagenet_subset.cli.commands.arguments import Arguments
from imagenet_subset.progress.choice import FORMS, display_for
from imagenet_subset.progress.display import Display


def add_progress(parser: Arguments) -> None:
    """Declare ``--progress``."""
    parser.add_argument(
        "--progress",
        choices=FORMS,
        default="auto",
        help="how it shows how far it is: a bar, a line every 30 s, or not at all (default: a bar "
        "in a terminal, else lines)",
    )


def display_of(args: argparse.Namespace) -> Display:
    """Display that the flags ask for; ``--quiet``, where a command has it, is for none at all."""
    return Display() if getattr(args, "quiet", False) else display_for(args.progress)
