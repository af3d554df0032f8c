"""``imagenet-subset preview``: see what is in a finished NPZ."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_subset.cli.commands import arguments
from imagenet_subset.cli.showing import add_progress, display_of
from imagenet_subset.errors import ReadError
from imagenet_subset.progress.display import Display
from imagenet_subset.progress.meter import Work
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.system.text import counted, printable

if TYPE_CHECKING:
    from imagenet_subset.reading.subset import ImagenetSubset

HELP = "draw a contact sheet of an NPZ, or one web page with thumbnails of every class"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``preview``."""
    add = parser.add_argument
    add("file", type=arguments.path, metavar="FILE", help="the NPZ")
    add(
        "--out",
        type=arguments.png_path,
        metavar="PNG",
        help="the sheet (default: sheet.png, unless --html is given); what has no room on it goes "
        "on further pages beside it, as sheet-2.png, and those of a former sheet are removed",
    )
    page = "one self-contained page for a browser"
    add("--html", type=arguments.html_path, metavar="PAGE", help=page)
    add(
        "--per_class",
        type=arguments.positive,
        metavar="K",
        help="images of each class, on the page of each split (default: 8, on the page fewer "
        "beyond 250 classes)",
    )
    split = "where they are taken from (default: the page has both, the sheet train, if it has any)"
    add("--split", choices=SPLITS, help=split)
    seed = "decides which (default: %(default)s)"
    add("--seed", type=arguments.natural, default=0, metavar="N", help=seed)
    size = (
        "pixels of each page of the sheet, as 1920x1080 for a slide: images are as large as fits, "
        "up to 336 pixels; beyond 1080 lines all grows with the page"
    )
    add("--size", type=arguments.page_size, metavar="WxH", help=size)
    columns = "classes side by side on the sheet (default: as many as have room)"
    add("--columns", type=arguments.positive, metavar="N", help=columns)
    font = "a .ttf or .otf file for the sheet's text, for names in other scripts than Latin"
    add("--font", type=arguments.path, metavar="FILE", help=font)
    add_progress(parser)


def check(args: argparse.Namespace) -> str:
    """Say which flags don't go together; empty if all do."""
    sheets = [f"--{name}" for name in ("size", "columns", "font") if getattr(args, name)]
    if not sheets or args.out or not args.html:
        return ""
    are = "is" if len(sheets) == 1 else "are"
    named = " and ".join(filter(None, [", ".join(sheets[:-1]), sheets[-1]]))
    return f"{named} {are} for the sheet, and --html alone draws none: add --out PNG"


def run(args: argparse.Namespace) -> int:
    """Write sheet, page or both, and print their paths; exit code 0."""
    from imagenet_subset.reading.subset import ImagenetSubset
    from imagenet_subset.reading.summary import count_classes
    from imagenet_subset.viewing.page import write_page
    from imagenet_subset.viewing.sampling import default_split, per_class_of_page

    subset = ImagenetSubset(args.file)
    split = args.split or default_split(subset)
    if args.split and not len(subset.labels(split)) and len(subset):
        raise ReadError(
            f"{printable(args.file)} has no {split} images; the others are shown by "
            f"--split {default_split(subset)}"
        )
    splits = (args.split,) if args.split else tuple(s for s in SPLITS if len(subset.labels(s)))
    out = args.out or (None if args.html else Path("sheet.png"))
    classes = len(count_classes(subset.y_train, subset.y_val, subset.named_labels))
    total = classes * (bool(out) + bool(args.html))
    written = []
    with display_of(args) as display:
        display.begin(Work(f"draws {printable(args.file)}", total, "classes", leave=False))
        if out:
            written += _write_sheets(subset, out, split, args, display)
        if args.html:
            write_page(
                subset,
                args.html,
                splits or (split,),
                per_class=args.per_class or per_class_of_page(classes, len(splits)),
                seed=args.seed,
                progress=display.advance,
            )
            written.append(args.html)
    for path in written:
        print(printable(path))
    return 0


def _write_sheets(
    subset: ImagenetSubset, out: Path, split: Split, args: argparse.Namespace, display: Display
) -> list[Path]:
    """Write the sheet's pages, and say of how many names it can't show all."""
    from imagenet_subset.viewing.sampling import PER_CLASS
    from imagenet_subset.viewing.sheet import SheetStyle, undrawable, write_sheets

    font = Path(args.font) if args.font else None
    if names := undrawable(subset, font):
        display.tell(
            f"{counted(names, 'name has', 'names have')} characters that "
            f"{printable(font) if font else 'the font of the sheet'} has no glyphs for; give "
            f"{'another' if font else 'one that has'} by --font FILE"
        )
    return write_sheets(
        subset,
        out,
        split,
        per_class=args.per_class or PER_CLASS,
        seed=args.seed,
        style=SheetStyle(args.size, args.columns, font),
        progress=display.advance,
    )
