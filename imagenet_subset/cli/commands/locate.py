"""``imagenet-subset locate``: the way from a row back to its JPEG."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_subset.cli.commands import arguments
from imagenet_subset.cli.printing import add_json, print_json
from imagenet_subset.records import SPLITS
from imagenet_subset.system.files import writing
from imagenet_subset.system.text import printable

if TYPE_CHECKING:
    from imagenet_subset.reading.locate import Located
    from imagenet_subset.reading.subset import ImagenetSubset

HELP = "tell what a row of an NPZ is: its id, class and JPEG"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``locate``."""
    add = parser.add_argument
    add("file", type=arguments.path, metavar="FILE", help="the NPZ")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--row", type=int, metavar="N", help="row in X_<split>, from 0")
    which.add_argument("--id", type=int, metavar="N", help="ILSVRC number, as in <split>_id")
    add("--split", choices=SPLITS, required=True)
    where = "where ImageNet is, in any form, to find the JPEG there"
    add("--data_dir", type=arguments.path, metavar="PATH", help=where)
    arguments.add_train_list(parser)
    add("--save", type=arguments.png_path, metavar="PNG", help="write the row's image")
    add_json(parser, "print it as JSON")


def run(args: argparse.Namespace) -> int:
    """Print what the row is; exit code 0."""
    from imagenet_subset.reading.locate import locate, row_of_id
    from imagenet_subset.reading.subset import ImagenetSubset

    subset = ImagenetSubset(args.file)
    row = args.row if args.id is None else row_of_id(subset, args.split, args.id)
    found = locate(
        subset,
        args.split,
        row,
        data_dir=Path(args.data_dir) if args.data_dir else None,
        train_list=Path(args.train_list) if args.train_list else None,
    )
    if args.save:
        _save(subset, found, args.save)
        found = replace(found, saved=os.fspath(args.save))
    if args.json:
        print_json(found)
    else:
        print(_text(found, searched=args.data_dir is not None))
    return 0


def _save(subset: ImagenetSubset, found: Located, path: Path) -> None:
    from PIL import Image

    from imagenet_subset.system.publishing import write_atomically
    from imagenet_subset.viewing.sheet import png

    with writing(path):
        write_atomically(path, png(Image.fromarray(subset.images(found.split)[found.row])))


def _text(found: Located, *, searched: bool) -> str:
    photo = printable(found.photo) or "unknown"
    if not searched and photo.endswith("/"):
        photo += " (--data_dir DIR finds the file)"
    made_of_name = found.split == "train" and found.image_id < 0
    rows = {
        "split": found.split,
        "row": found.row,
        "id": f"{found.image_id} (made of the photo's name)" if made_of_name else found.image_id,
        "label": found.label,
        "WNID": printable(found.wnid) or "unknown",
        "name": printable(found.name) or "unknown",
        "photo": photo,
    }
    return "\n".join(f"{name:5}  {value}" for name, value in rows.items())
