"""An open subset in a notebook: what it is, and a strip of its images.

Styles are inline and colors are the notebook's own, so that it fits light and dark ones alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.npz.labels import Label
from imagenet_subset.npz.provenance import Provenance
from imagenet_subset.reading.thumbnails import data_uri, thumbnail
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.system.text import counted, printable

CLASSES = 10
"""Of so many classes one image is shown."""
_SIZE = 80  # pixels; some 2 KB a thumbnail
_NAME = "overflow:hidden;text-overflow:ellipsis;white-space:nowrap"


class Shown(Protocol):
    """What is shown of a subset."""

    made: Provenance | None

    @property
    def title(self) -> str:
        """What is shown above its images."""
        ...

    @property
    def named_labels(self) -> tuple[Label, ...]:
        """The labels by their number."""
        ...

    def images(self, split: Split) -> NDArray[np.uint8]:
        """``(N, H, W, 3) uint8``, the images of a split."""
        ...

    def labels(self, split: Split) -> NDArray[np.integer[Any]]:
        """``(N,)``, their labels."""
        ...


def as_html(subset: Shown, file: str) -> str:
    """The subset as a piece of HTML, with thumbnails of up to `CLASSES` classes.

    Parameters
    ----------
    file
        What is said of the file.

    Raises
    ------
    ReadError
        The CSV beside the file isn't one of ours, or names other classes than the provenance.
    """
    return "".join(_parts(subset, file))


def _parts(subset: Shown, file: str) -> Iterator[str]:
    there = sorted({int(n) for split in SPLITS for n in np.unique(subset.labels(split))})
    yield f'<div style="line-height:1.4"><b>ImagenetSubset {_text(subset.title)}</b>'
    yield '<div style="display:grid;grid-template-columns:max-content 1fr;column-gap:1em">'
    for term, value in [*_facts(subset, len(there)), ("file", file)]:
        yield f'<span style="opacity:.7">{_text(term)}</span><span>{_text(value)}</span>'
    yield '</div><div style="display:flex;flex-wrap:wrap;gap:8px;margin-top:8px">'
    yield from (_figure(subset, label) for label in there[:CLASSES])
    yield "</div>"
    if len(there) > CLASSES:
        more = counted(len(there) - CLASSES, "more class", "more classes")
        yield f'<div style="opacity:.7">and {more}</div>'
    yield "</div>"


def _facts(subset: Shown, n_labels: int) -> Iterator[tuple[str, str]]:
    height, width = subset.images("train").shape[1:3]
    numbers = " and ".join(f"{len(subset.labels(split)):,} {split}" for split in SPLITS)
    yield "images", f"{numbers}, {width}\N{MULTIPLICATION SIGN}{height}"
    if subset.made is None:
        yield "classes", f"{n_labels:,}"
        yield "provenance", "none: another program wrote this file"
    else:
        yield from (fact for fact in subset.made.describe() if fact[0] != "splits")


def _figure(subset: Shown, number: int) -> str:
    name = _name(subset.named_labels, number)
    split, row = _first(subset, number)
    image = thumbnail(subset.images(split)[row], _SIZE)
    what = escape(f"{name}: label {number}, {split} row {row}")
    return (
        f'<div style="width:{_SIZE}px;font-size:smaller" title="{what}">'
        f'<img src="{data_uri(image)}" alt="{what}" width="{image.width}" height="{image.height}" '
        f'style="margin:0"><div style="{_NAME}">{number} {escape(name)}</div></div>'
    )


def _first(subset: Shown, number: int) -> tuple[Split, int]:
    """Split and row of the first image of a label that has one."""
    for split in SPLITS:
        found = np.asarray(subset.labels(split)) == number
        if found.any():
            return split, int(found.argmax())
    raise LookupError(f"no image has label {number}")


def _name(labels: Sequence[Label], number: int) -> str:
    known = {label.number: label for label in labels}
    return printable(known.get(number, Label(number, "", ())).title.replace("_", " "))


def _text(value: str) -> str:
    return escape(printable(value))
