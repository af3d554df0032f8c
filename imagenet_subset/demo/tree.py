"""A small ILSVRC tree of generated photos: for a first try, and for the tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from imagenet_subset.demo.photos import jpeg, odd_images, photo
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

Progress = Callable[[int], object]


def write_demo_tree(
    root: Path,
    *,
    wnids: Sequence[str] = DEMO_WNIDS,
    train_per_class: int = 20,
    val_folders: bool = False,
    odd: bool = True,
    damaged: int = 0,
    seed: int = 0,
    begins: Progress = lambda _: None,
    progress: Progress = lambda _: None,
) -> Path:
    """Write ``Data/CLS-LOC`` and ``ImageSets/CLS-LOC`` with numbers as ILSVRC has them.

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
    classes = [class_table()[wnid] for wnid in sorted(wnids)]
    train = [entry for c in classes for entry in _train_names(c, train_per_class, rng)]
    val = _val_names(classes, folders=val_folders)
    files = [f"train/{name}.JPEG" for name, _ in train] + [f"val/{name}.JPEG" for name in val]
    contents = itertools.chain(
        _photos(len(train), _SIZES, 100_000 * seed, odd=odd),
        _photos(len(val), _SMALL_SIZES, 100_000 * seed + 50_000, odd=False),
    )
    begins(len(files))
    for name, content in zip(files, contents, strict=True):
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        progress(1)
    bad = [image.data for image in odd_images() if not image.decodable] if damaged else []
    for k, place in enumerate(rng.permutation(len(train))[:damaged].tolist()):
        (data / files[place]).write_bytes(bad[k % len(bad)])
    numbered_val = sorted((name.rpartition("/")[2], int(name[-8:])) for name in val)
    for list_name, entries in (("train_cls", train), ("val", numbered_val)):
        text = "".join(f"{name} {number}\n" for name, number in entries)
        (lists / f"{list_name}.txt").write_text(text, newline="\n")
    return data


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


def _photos(n: int, sizes: Sequence[tuple[int, int]], seed: int, *, odd: bool) -> Iterator[bytes]:
    """File contents of ``n`` photos, the odd ones spread among them."""
    strange = [image.data for image in odd_images() if image.decodable] if odd else []
    step = max(1, n // max(1, len(strange)))
    for k in range(n):
        if k % step == step - 1 and k // step < len(strange):
            yield strange[k // step]
            continue
        yield jpeg(
            photo(seed + k, *sizes[k % len(sizes)]),
            subsampling="4:2:0" if k % 4 == 0 else "4:4:4",
            progressive=k % 11 == 0,
        )
