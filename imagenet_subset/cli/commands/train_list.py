"""``imagenet-subset train_list``: the numbers of the train photos, for those who lack the list."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_subset.cli.commands import arguments
from imagenet_subset.cli.showing import add_progress, display_of
from imagenet_subset.errors import OutputError, OutputExistsError
from imagenet_subset.progress.display import Display
from imagenet_subset.progress.meter import Work
from imagenet_subset.system.files import writing
from imagenet_subset.system.text import counted, few, printable

if TYPE_CHECKING:
    from imagenet_subset.sources.base import Store
    from imagenet_subset.sources.known_numbers import KnownNumbers

HELP = "write ILSVRC's train_cls.txt, the numbers of the train photos, for all complete classes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``train_list``."""
    add = parser.add_argument
    where = "where ImageNet is; a class that lacks photos there has no numbers"
    add("--data_dir", required=True, type=arguments.path, metavar="PATH", help=where)
    out = "the list (default: %(default)s)"
    add("--out", type=arguments.path, default="./train_cls.txt", metavar="FILE", help=out)
    add("--overwrite", action="store_true", help="replace a file that is there")
    add_progress(parser)


def run(args: argparse.Namespace) -> int:
    """Write the list, and say in a line what it has; exit code 0."""
    from imagenet_subset.sources import open_source
    from imagenet_subset.system.publishing import write_atomically

    out = Path(args.out)
    _check_out(out, overwrite=args.overwrite)
    known = _known_numbers(open_source(Path(args.data_dir)), display_of(args))
    with writing(out):
        write_atomically(out, b"".join(known.lines.values()))
    for note in known.notes:
        print(note, file=sys.stderr)
    print(f"{printable(out)}  {_summary(known)}")
    return 0


def _check_out(out: Path, *, overwrite: bool) -> None:
    """Refuse now what would be refused when all photos have been looked at."""
    with writing(out):
        if not out.parent.is_dir():
            raise FileNotFoundError
        if out.is_dir():
            raise OutputError(f"{printable(out)} is a folder; choose another --out")
        if out.exists() and not overwrite:
            raise OutputExistsError(
                f"{printable(out)} exists; pass --overwrite to replace it, or choose another --out"
            )


def _known_numbers(store: Store, display: Display) -> KnownNumbers:
    from imagenet_subset.sources.known_numbers import known_numbers

    with display:
        display.begin(Work(f"looks at {printable(store.root)}", unit="photos", leave=False))
        return known_numbers(store, display.advance)


def _summary(known: KnownNumbers) -> str:
    classes = counted(len(known.lines), "class", "classes")
    text = f"{counted(known.photos, 'photo')} of {classes}"
    if known.copied_from:
        text += f", copied from {printable(known.copied_from)}"
    left_out = []
    if known.incomplete:
        incomplete = counted(len(known.incomplete), "incomplete class", "incomplete classes")
        left_out.append(f"{incomplete} ({few(known.incomplete)})")
    if known.absent:
        left_out.append(f"{counted(known.absent, 'class', 'classes')} without a photo")
    return f"{text}; left out: {', '.join(left_out)}" if left_out else text
