"""``imagenet-subset preview``: see what is in a finished NPZ."""

from __future__ import annotations

import argparse
from pathlib import Path

from imagenet_subset.cli.commands import arguments
from imagenet_subset.errors import ReadError
from imagenet_subset.records import SPLITS
from imagenet_subset.system.text import printable

HELP = "draw a contact sheet of an NPZ, or one web page with thumbnails of every class"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``preview``."""
    add = parser.add_argument
    add("file", type=arguments.path, metavar="FILE", help="the NPZ")
    add(
        "--out",
        type=arguments.png_path,
        metavar="PNG",
        help="the sheet (default: sheet.png, unless --html is given); beyond 30 lines of images "
        "further pages go beside it, as sheet-2.png",
    )
    page = "one self-contained page for a browser"
    add("--html", type=arguments.html_path, metavar="PAGE", help=page)
    per_class = "images of each class (default: %(default)s)"
    add("--per_class", type=arguments.positive, default=8, metavar="K", help=per_class)
    add("--split", choices=SPLITS, help="where they are taken from (default: train, if it has any)")
    seed = "decides which (default: %(default)s)"
    add("--seed", type=arguments.natural, default=0, metavar="N", help=seed)


def run(args: argparse.Namespace) -> int:
    """Write sheet, page or both, and print their paths; exit code 0."""
    from tqdm import tqdm

    from imagenet_subset.reading.subset import ImagenetSubset
    from imagenet_subset.reading.summary import count_classes
    from imagenet_subset.viewing.page import write_page
    from imagenet_subset.viewing.sampling import default_split
    from imagenet_subset.viewing.sheet import write_sheets

    subset = ImagenetSubset(args.file)
    split = args.split or default_split(subset)
    if args.split and not len(subset.labels(split)) and len(subset):
        raise ReadError(
            f"{printable(args.file)} has no {split} images; the others are shown by "
            f"--split {default_split(subset)}"
        )
    out = args.out or (None if args.html else Path("sheet.png"))
    written = []
    classes = len(count_classes(subset.y_train, subset.y_val, subset.named_labels))
    total = classes * (bool(out) + bool(args.html))
    with tqdm(total=total, unit=" classes", disable=None, leave=False) as bar:
        options = {"per_class": args.per_class, "seed": args.seed, "progress": bar.update}
        if out:
            written += write_sheets(subset, out, split, **options)
        if args.html:
            write_page(subset, args.html, split, **options)
            written.append(args.html)
    for path in written:
        print(printable(path))
    return 0
