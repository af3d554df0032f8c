"""Whether copies that others have made of ImageNet still have its photos, or other pixels."""

from __future__ import annotations

import heapq
import io
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import chain, islice

from PIL import Image

from imagenet_subset.columns import Location, Locations
from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.reencoded import REENCODED
from imagenet_subset.records import Records
from imagenet_subset.sources.base import PhotoReader, Store
from imagenet_subset.system.text import printable
from pipelines.quiet import quiet_pillow

_FEWEST, _MOST = 20, 64
"""Photos of a sample: of fewer nothing is said, and more aren't read."""
_OF_A_GROUP = 32
"""Photos of a group that are looked at: a large one may be all of one class."""
_SHARE = 0.9
"""Of the sample: some resize only what is larger, and leave the few small photos as they are."""
_LARGEST_SIDE = 400
"""In pixels, exclusive."""
_USUAL = frozenset({375, 333})
"""Shorter sides of ILSVRC's photos of 500 pixels: a small sample may have hardly any others."""


def check_sizes(store: Store, locations: Locations) -> None:
    """Refuse a copy whose photos were resized: its pixels are others.

    Of a sample, nine photos in ten have one and the same shorter side, or the same longer side, of
    less than `_LARGEST_SIDE` pixels; or most aren't JPEGs. Originals have any size, and the longer
    side of two in three is 500; the copies known are 32, 64 or 256 pixels square, or have one side
    of 256. The sample is drawn from the whole split, and is the same each time.

    Raises
    ------
    imagenet_subset.errors.SourceError
        They were resized.
    """
    sizes, jpegs = [], 0
    for data in _sample(store, locations):
        if (opened := _opened(data)) is not None:
            sizes.append(opened.size)
            jpegs += opened.format == "JPEG"
    if len(sizes) < _FEWEST:
        return
    if jpegs < len(sizes) / 2:
        what = f"of {len(sizes)} photos {len(sizes) - jpegs} aren't JPEGs"
    elif not (what := _alike("shorter", sizes) or _alike("longer", sizes)):
        return
    raise SourceError(
        f"{printable(store.root)} is a resized or re-encoded copy of ImageNet: {what}. Its pixels "
        "are not those of ILSVRC's photos; get the originals, which ILSVRC/imagenet-1k on Hugging "
        "Face and Kaggle have"
    )


def _alike(name: str, sizes: Sequence[tuple[int, int]]) -> str:
    """What the photos' shorter or longer sides have in common; empty if they are as ILSVRC's."""
    sides = Counter(min(size) if name == "shorter" else max(size) for size in sizes)
    side, n = sides.most_common(1)[0]
    if n < _SHARE * len(sizes) or side >= _LARGEST_SIDE or side in _USUAL:
        return ""
    of = f"each of {n} photos" if n == len(sizes) else f"{n} of {len(sizes)} photos"
    return f"the {name} side of {of} has {side} pixels"


def reencoded(store: Store, records: Records) -> list[str]:
    """Names of the train photos that were CMYK JPEGs or a PNG, and are RGB JPEGs in this store."""
    rows = [row for row, stem in enumerate(records.stems) if stem in REENCODED]
    if not rows:
        return []
    found = []
    try:
        with closing(store.open()) as reader:
            for row in rows:
                opened = _opened(_read(reader, records.locations[row]))
                if opened is not None and (opened.format, opened.mode) == ("JPEG", "RGB"):
                    found.append(records.stems[row])
    except OSError:  # workers may have what this machine lacks; they report what they can't read
        return found
    return found


def _sample(store: Store, locations: Locations) -> Iterator[bytes]:
    """Photos of groups from anywhere, which are cheap to read together."""
    if not len(locations):
        return
    draw = random.Random(0)
    drawn = heapq.nsmallest(_MOST, store.groups(locations), key=lambda _: draw.random())
    photos = chain.from_iterable(group[:_OF_A_GROUP] for group in drawn)
    try:
        with closing(store.open()) as reader:
            for index in islice(photos, _MOST):
                yield _read(reader, locations[index])
    except OSError:
        return


def _read(reader: PhotoReader, at: Location) -> bytes:
    try:
        return reader.read(at)
    except OSError:
        return b""


def _opened(data: bytes) -> Image.Image | None:
    """A photo whose header was read; None for what is no image."""
    try:
        with quiet_pillow():
            return Image.open(io.BytesIO(data))
    except Exception:  # whatever Pillow raises of a file: here only its size is asked for
        return None
