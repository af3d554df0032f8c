"""``imagenet-subset demo``: the main job on generated photos, nothing to download."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from imagenet_subset.cli.commands import arguments, build
from imagenet_subset.cli.showing import add_progress, display_of
from imagenet_subset.errors import OutputError
from imagenet_subset.progress.display import Display
from imagenet_subset.progress.meter import Work
from imagenet_subset.system.files import writing
from imagenet_subset.system.text import printable

HELP = "write a small ILSVRC tree of generated photos and build a subset from it"
_SUBSET = "demo5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of ``demo``."""
    parser.add_argument(
        "--out_dir",
        type=arguments.path,
        default="./demo",
        metavar="DIR",
        help="where everything goes (default: %(default)s)",
    )
    add_progress(parser)


def run(args: argparse.Namespace) -> int:
    """Write the tree, build by the command that is printed, and say what to try next."""
    from imagenet_subset.demo.tree import DEMO_WNIDS

    folder = Path(args.out_dir)
    tree, subset = folder / "ILSVRC", folder / f"{_SUBSET}.txt"
    if tree.exists() and not subset.exists():
        raise OutputError(f"{printable(tree)} exists and is no demo; choose another --out_dir")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lines = ["# every second class of the demo's ten", *DEMO_WNIDS[::2]]
        subset.write_text("\n".join(lines) + "\n")
        data_dir = _write(tree, display_of(args))
    out = folder / "out_files"
    print(
        f"wrote {printable(tree)}: generated photos of {len(DEMO_WNIDS)} classes, odd files too\n"
    )
    words = ["--subset_name", str(subset), "--data_dir", str(data_dir), "--out_dir", str(out)]
    print("$", printable(shlex.join(["imagenet-subset", *words])), flush=True)
    # --overwrite for who runs the demo again
    _build([*words, "--overwrite", "--progress", args.progress], debug=args.debug)
    npz = f"{printable(out / _SUBSET)}_cls.npz"
    print(f"\nnext: python -c \"import numpy as np; print(np.load('{npz}')['X_train'].shape)\"")
    print(f"      imagenet-subset preview {shlex.quote(npz)}")
    return 0


def _write(tree: Path, display: Display) -> Path:
    """Write the tree; its ``Data/CLS-LOC``."""
    from imagenet_subset.demo.tree import write_demo_tree

    def begins(photos: int) -> None:
        display.begin(Work(f"writes {printable(tree)}", photos, "photos", leave=False))

    with display:
        return write_demo_tree(tree, begins=begins, progress=display.advance)


def _build(words: list[str], *, debug: bool) -> None:
    """Run ``build`` with these words; an error of its is one of ours."""
    parser = argparse.ArgumentParser()
    build.add_arguments(parser)
    parser.set_defaults(debug=debug)
    build.run(parser.parse_args(words))
