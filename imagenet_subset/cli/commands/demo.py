"""``imagenet-subset demo``: the main job on generated photos, nothing to download."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_subset.cli.commands import arguments, build
from imagenet_subset.cli.showing import add_progress, display_of
from imagenet_subset.errors import OutputError, ReadError
from imagenet_subset.npz.class_csv import metadata_text
from imagenet_subset.npz.names import NpzFiles
from imagenet_subset.progress.display import Display
from imagenet_subset.progress.meter import Work
from imagenet_subset.system.cores import available_cores
from imagenet_subset.system.files import regular, writing
from imagenet_subset.system.text import printable

if TYPE_CHECKING:
    from imagenet_subset.reading.subset import ImagenetSubset

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
    folder = Path(args.out_dir)
    tree, subset, out = folder / "ILSVRC", folder / f"{_SUBSET}.txt", folder / "out_files"
    text = "\n".join(["# every second class of the demo's ten", *_wnids()]) + "\n"
    with writing(folder):
        _refuse_foreign(tree, subset, text)
        made_before = _made_before(NpzFiles.of_subset(out, _SUBSET))
        folder.mkdir(parents=True, exist_ok=True)
        subset.write_text(text, newline="\n")
        data_dir = _write(tree, display_of(args))
    print(f"wrote {printable(tree)}: generated photos of ten classes, odd files too\n")
    words = ["--subset_name", str(subset), "--data_dir", str(data_dir), "--out_dir", str(out)]
    print("$", printable(shlex.join(["imagenet-subset", *words])), flush=True)
    words += ["--overwrite"] if made_before else []
    _build([*words, "--progress", args.progress], args)
    npz = f"{printable(out / _SUBSET)}_cls.npz"
    print(f"\nnext: python -c \"import numpy as np; print(np.load('{npz}')['X_train'].shape)\"")
    print(f"      imagenet-subset preview {shlex.quote(npz)}")
    return 0


def _wnids() -> Sequence[str]:
    from imagenet_subset.demo.tree import DEMO_WNIDS

    return DEMO_WNIDS[::2]


def _refuse_foreign(tree: Path, subset: Path, text: str) -> None:
    """Refuse to write where something is that isn't a demo's."""
    from imagenet_subset.demo.tree import foreign_files

    if subset.exists() and not text.encode().startswith(_bytes_of(subset)):
        raise _foreign(subset)
    if tree.exists() and (not tree.is_dir() or not subset.exists()):
        raise _foreign(tree)
    for path in foreign_files(tree):
        raise _foreign(path)


def _made_before(files: NpzFiles) -> bool:
    """Whether there is a finished file, which a demo has made; that of anybody else is refused."""
    from imagenet_subset.reading.subset import ImagenetSubset
    from imagenet_subset.selection.subset import load_subset

    subset = load_subset(",".join(_wnids()), _SUBSET)
    if files.csv.exists() and _bytes_of(files.csv) != metadata_text(subset).encode():
        raise _foreign(files.csv)
    if not files.npz.exists():
        return False
    try:
        ours = _is_of_demo_photos(ImagenetSubset(files.npz))
    except ReadError as error:
        raise _foreign(files.npz) from error
    if not ours:
        raise _foreign(files.npz)
    return True


def _is_of_demo_photos(subset: ImagenetSubset) -> bool:
    """Whether a file has just the classes and the train photos of a demo's.

    The numbers of these photos are drawn at random, so that no other file has them.
    """
    from imagenet_subset.demo.tree import demo_names

    numbers = {n for name, n in demo_names().train if name.partition("/")[0] in _wnids()}
    made = subset.made
    return made is not None and made.wnids == _wnids() and numbers == set(subset.train_id.tolist())


def _bytes_of(path: Path) -> bytes:
    """Start of a file, longer than any that the demo writes beside its photos."""
    with open(path, "rb", opener=regular) as file:
        return file.read(1 << 16)


def _foreign(path: Path) -> OutputError:
    return OutputError(
        f"{printable(path)} exists and isn't what the demo writes there; choose another --out_dir, "
        "or move it away"
    )


def _write(tree: Path, display: Display) -> Path:
    """Write the tree; its ``Data/CLS-LOC``."""
    from imagenet_subset.demo.tree import write_demo_tree

    def begins(photos: int) -> None:
        display.begin(Work(f"writes {printable(tree)}", photos, "photos", leave=False))

    with display:
        return write_demo_tree(
            tree, workers=available_cores(), begins=begins, progress=display.advance
        )


def _build(words: list[str], ours: argparse.Namespace) -> None:
    """Run ``build`` with these words; an error of its is one of ours."""
    parser = argparse.ArgumentParser()
    build.add_arguments(parser)
    parser.set_defaults(debug=ours.debug, workers_begun=ours.workers_begun)
    build.run(parser.parse_args(words))
