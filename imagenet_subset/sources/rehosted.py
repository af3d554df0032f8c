"""Whether copies that others have made of ImageNet still have its photos, or other pixels."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing

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
_LARGEST_SIDE = 320
"""In pixels. Sides of 500, 375 and 333 are usual in ILSVRC: a small sample may have no others."""


def check_sizes(store: Store, locations: Locations) -> None:
    """Refuse a copy whose photos were resized: its pixels are others.

    Of a sample of whole groups, all photos have one and the same shorter side, or the same longer
    side, of less than `_LARGEST_SIDE` pixels; or most aren't JPEGs. Originals have any size: the
    copies known are 32, 64 or 256 pixels square, or have one side of 256.

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
    shorter, longer = {min(size) for size in sizes}, {max(size) for size in sizes}
    if jpegs < len(sizes) / 2:
        what = f"of {len(sizes)} photos {len(sizes) - jpegs} aren't JPEGs"
    elif len(shorter) == 1 and min(shorter) < _LARGEST_SIDE:
        what = f"the shorter side of each of {len(sizes)} photos has {min(shorter)} pixels"
    elif len(longer) == 1 and min(longer) < _LARGEST_SIDE:
        what = f"the longer side of each of {len(sizes)} photos has {min(longer)} pixels"
    else:
        return
    raise SourceError(
        f"{printable(store.root)} is a resized or re-encoded copy of ImageNet: {what}. Its pixels "
        "are not those of ILSVRC's photos; get the originals, which ILSVRC/imagenet-1k on Hugging "
        "Face and Kaggle have"
    )


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
    """Photos of some groups that are read together; those that can't be read are left out."""
    if not len(locations):
        return
    left = _MOST
    try:
        with closing(store.open()) as reader:
            for group in store.groups(locations):
                for index in group[:left]:
                    yield _read(reader, locations[index])
                left -= len(group)
                if left <= 0:
                    return
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
