"""A small ILSVRC tree of generated photos: for a first try, and for the tests."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imagenet_subset.demo.photos import jpeg, odd_images, photo
from imagenet_subset.execution.local import LocalPool
from imagenet_subset.ilsvrc.classes import ImageClass, class_table
from imagenet_subset.ilsvrc.numbering import rank_key, val_ids_of, val_name

DEMO_WNIDS = (
    "n12267677",  # acorn
    "n02690373",  # airliner
    "n02701002",  # ambulance
    "n01491361",  # tiger_shark
    "n02793495",  # barn
    "n02815834",  # beaker
    "n02098286",  # West_Highland_white_terrier
    "n04243546",  # slot
    "n04310018",  # steam_locomotive
    "n09472597",  # volcano
)
"""Ten classes of imagenet30."""
_SIZES = ((500, 375), (375, 500), (500, 333), (640, 480), (400, 400), (250, 190), (800, 600))
_SMALL_SIZES = ((200, 150), (150, 200), (128, 128), (180, 96), (90, 181))
"""Val has 50 photos of each class, so that small ones keep the demo quick."""
_TELLING = (1009, 10095, 137, 1379, 13801)
"""Numbers in the names of each class's first photos: the train list doesn't have them in plain
lexicographic order."""

_UNFINISHED = ".partial"
"""Ends the name of a photo while it is written."""

_AT_ONCE = 10
"""Photos that a process writes before it is given others."""

Progress = Callable[[int], object]
_Unwritten = tuple[Path, Callable[[], bytes]]
"""Where a photo will be, and what makes it."""


@dataclass(frozen=True, slots=True)
class DemoNames:
    """What a demo tree has, without the photos' contents."""

    train: list[tuple[str, int]]
    """``wnid/wnid_k`` and ILSVRC's number of each train photo."""
    val: list[str]
    """``[wnid/]ILSVRC2012_val_00000001`` of each val photo."""

    @property
    def photos(self) -> list[str]:
        """Their paths below ``Data/CLS-LOC``, train first."""
        train = [f"train/{name}.JPEG" for name, _ in self.train]
        return train + [f"val/{name}.JPEG" for name in self.val]

    @property
    def lists(self) -> dict[str, str]:
        """Texts of the files below ``ImageSets/CLS-LOC``."""
        val = sorted((name.rpartition("/")[2], int(name[-8:])) for name in self.val)
        return {
            f"{list_name}.txt": "".join(f"{name} {number}\n" for name, number in entries)
            for list_name, entries in (("train_cls", self.train), ("val", val))
        }


def demo_names(
    rng: np.random.Generator | None = None,
    wnids: Sequence[str] = DEMO_WNIDS,
    train_per_class: int = 20,
    *,
    val_folders: bool = False,
) -> DemoNames:
    """Names and numbers of a tree that `write_demo_tree` makes, by default of the usual one."""
    rng = rng or np.random.default_rng(0)
    classes = [class_table()[wnid] for wnid in sorted(wnids)]
    train = [entry for c in classes for entry in _train_names(c, train_per_class, rng)]
    return DemoNames(train, _val_names(classes, folders=val_folders))


def foreign_files(root: Path) -> Iterator[Path]:
    """Files in a folder that the usual demo tree doesn't have, or has with another content.

    Of photos only the names are looked at, since `write_demo_tree` replaces none. Hidden files,
    which file managers leave, don't count.
    """
    names = demo_names()
    data, lists = root / "Data" / "CLS-LOC", root / "ImageSets" / "CLS-LOC"
    photos = {data / name for name in names.photos}
    texts = {lists / name: text.encode() for name, text in names.lists.items()}
    for folder, _, files in os.walk(root):
        for path in (Path(folder, file) for file in files if not file.startswith(".")):
            known = path.with_name(path.name.removesuffix(_UNFINISHED))
            if known in texts:
                # A list that was cut short by an interruption is a beginning of it.
                if not texts[known].startswith(path.read_bytes()):
                    yield path
            elif known not in photos:
                yield path


def write_demo_tree(
    root: Path,
    *,
    wnids: Sequence[str] = DEMO_WNIDS,
    train_per_class: int = 20,
    val_folders: bool = False,
    odd: bool = True,
    damaged: int = 0,
    seed: int = 0,
    workers: int = 1,
    begins: Progress = lambda _: None,
    progress: Progress = lambda _: None,
) -> Path:
    """Write ``Data/CLS-LOC`` and ``ImageSets/CLS-LOC`` with numbers as ILSVRC has them.

    A photo that is there stays as it is, so that a rerun writes what an interrupted one left.

    Parameters
    ----------
    root
        The tree's ``ILSVRC`` folder; is made.
    wnids
        Its classes; each has all of its 50 val photos.
    val_folders
        Sort val into class folders, as torchvision wants it.
    odd
        Put the odd files that decode (gray, CMYK, a PNG named .JPEG, ...) among the photos.
    damaged
        How many train photos are replaced by files that don't decode.
    seed
        Decides everything: equal arguments give equal files.
    workers
        How many processes paint the photos; a single one is this one.
    begins, progress
        Called with the number of photos that will be written, and with numbers of photos that are.

    Returns
    -------
    Path
        The tree's ``Data/CLS-LOC``.
    """
    rng = np.random.default_rng(seed)
    data, lists = root / "Data" / "CLS-LOC", root / "ImageSets" / "CLS-LOC"
    lists.mkdir(parents=True, exist_ok=True)
    names = demo_names(rng, wnids, train_per_class, val_folders=val_folders)
    contents = itertools.chain(
        _photos(len(names.train), _SIZES, 100_000 * seed, odd=odd),
        _photos(len(names.val), _SMALL_SIZES, 100_000 * seed + 50_000, odd=False),
    )
    begins(len(names.photos))
    _write_each(
        zip((data / name for name in names.photos), contents, strict=True), workers, progress
    )
    bad = [image.data for image in odd_images() if not image.decodable] if damaged else []
    for k, place in enumerate(rng.permutation(len(names.train))[:damaged].tolist()):
        (data / names.photos[place]).write_bytes(bad[k % len(bad)])
    for name, text in names.lists.items():
        (lists / name).write_text(text, newline="\n")
    return data


def _write_each(photos: Iterator[_Unwritten], workers: int, progress: Progress) -> None:
    if workers == 1:
        for path, content in photos:
            _write_once(path, content)
            progress(1)
        return
    parts = iter(lambda: [*itertools.islice(photos, _AT_ONCE)], [])
    tasks = ((len(part), functools.partial(_write_some, part)) for part in parts)

    def take(count: int, _: None) -> None:
        progress(count)

    with LocalPool(workers) as pool:
        pool.warm_up([__name__])
        pool.run(tasks, take)


def _write_some(photos: Sequence[_Unwritten]) -> None:
    for path, content in photos:
        _write_once(path, content)


def _write_once(path: Path, content: Callable[[], bytes]) -> None:
    """Write a file that isn't there yet; what has its name is whole, whenever this is stopped."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + _UNFINISHED)
    unfinished.write_bytes(content())
    os.replace(unfinished, path)


def _train_names(c: ImageClass, n: int, rng: np.random.Generator) -> list[tuple[str, int]]:
    """``wnid/wnid_k`` and ILSVRC number of ``n`` photos, in the order of the train list."""
    drawn = rng.choice(np.setdiff1d(np.arange(30_000), _TELLING), n, replace=False).tolist()
    numbers = [*_TELLING, *drawn][:n]
    names = sorted((f"{c.wnid}/{c.wnid}_{k}" for k in numbers), key=rank_key)
    ranks = np.sort(rng.choice(c.num_train_images, n, replace=False))
    return [
        (name, c.first_train_id + rank) for name, rank in zip(names, ranks.tolist(), strict=True)
    ]


def _val_names(classes: list[ImageClass], *, folders: bool) -> list[str]:
    """``[wnid/]ILSVRC2012_val_00000001`` of all photos of each class."""
    ids = val_ids_of([c.clsloc_id for c in classes])
    return [
        f"{c.wnid}/{val_name(number)}" if folders else val_name(number)
        for c in classes
        for number in ids[c.clsloc_id]
    ]


def _photos(
    n: int, sizes: Sequence[tuple[int, int]], seed: int, *, odd: bool
) -> Iterator[Callable[[], bytes]]:
    """What makes the contents of ``n`` photos, the odd ones spread among them."""
    strange = [image.data for image in odd_images() if image.decodable] if odd else []
    step = max(1, n // max(1, len(strange)))
    for k in range(n):
        if k % step == step - 1 and k // step < len(strange):
            yield functools.partial(bytes, strange[k // step])
        else:
            yield functools.partial(_content, k, seed, sizes[k % len(sizes)])


def _content(k: int, seed: int, size: tuple[int, int]) -> bytes:
    return jpeg(
        photo(seed + k, *size),
        subsampling="4:2:0" if k % 4 == 0 else "4:4:4",
        progressive=k % 11 == 0,
    )
