"""One self-contained web page: images of every class, searchable, no network.

Its skeleton is ``page.html``, its look ``page.css``; ``page.js`` searches, enlarges and follows
links. Without the script the page shows every class, switches between the splits, and each image
is a link to its place.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.resources
import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template

from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.system.files import writing
from imagenet_subset.system.publishing import write_atomically
from imagenet_subset.system.text import gigabytes
from imagenet_subset.viewing.budget import encoding_for
from imagenet_subset.viewing.cards import Cards
from imagenet_subset.viewing.sampling import PER_CLASS, ClassSample, Progress, sample_classes

_COARSE = 64
"""Pixels of images that a card enlarges more than twice."""


def write_page(
    subset: ImagenetSubset,
    out: Path,
    splits: Sequence[Split] = SPLITS,
    *,
    per_class: int = PER_CLASS,
    seed: int = 0,
    progress: Progress = lambda _: None,
) -> None:
    """Write the page; below 15 MB for up to 4,000 images.

    Parameters
    ----------
    subset
        An open file.
    out
        Path of the page.
    splits
        Which images to show; with two the page can switch between them.
    per_class
        How many images of each class and split, at most.
    seed
        Decides which images are drawn.
    progress
        Called with the number of classes just drawn.

    Raises
    ------
    OutputError
        The page can't be written.
    """
    samples = sample_classes(subset, splits, per_class, seed)
    page = _page(subset, splits, samples, seed, progress)
    with writing(out):
        write_atomically(out, page.encode("utf-8", "replace"))


def _page(
    subset: ImagenetSubset,
    splits: Sequence[Split],
    samples: Sequence[ClassSample],
    seed: int,
    progress: Progress,
) -> str:
    rows = [rows for sample in samples for rows in sample.rows.values()]
    images = sum(map(len, rows))
    across = max(map(len, rows), default=0)
    script = _shipped("page.js")
    most = max((sample.counts[s] for sample in samples for s in SPLITS), default=0)
    return Template(_shipped("page.html")).substitute(
        policy=_policy(script),
        name=escape(subset.title),
        file=escape(subset.path.name),
        held=escape(json.dumps(_held(subset, splits))),
        pixels=max(subset.X_train.shape[1:3]),
        coarse="coarse" if max(subset.X_train.shape[1:3]) <= _COARSE else "",
        css=_shipped("page.css"),
        script=script,
        facts=_facts(subset, len(samples)),
        provenance=_provenance(subset),
        most=f"{most:,}",
        bars="\n".join(_bar(sample, most) for sample in samples),
        switch=_switch(splits),
        classes=f"{len(samples):,}",
        images=f"{images:,}",
        across=max(across, 1),
        drawn=_drawn(splits, across, seed),
        cards="\n".join(_cards(Cards(subset, encoding_for(images)), samples, progress)),
    )


def _cards(cards: Cards, samples: Sequence[ClassSample], progress: Progress) -> Iterator[str]:
    for sample in samples:
        yield "".join(cards.card(sample))
        progress(1)


def _shipped(name: str) -> str:
    """Text of a file of this package."""
    return importlib.resources.files(__package__).joinpath(name).read_text("utf-8")


def _policy(script: str) -> str:
    """What a browser may do for this page: run this very script, and load nothing."""
    # The script is between the line ends of the skeleton.
    digest = base64.b64encode(hashlib.sha256(f"\n{script}".encode()).digest()).decode()
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; "
        f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )


def _facts(subset: ImagenetSubset, n_classes: int) -> str:
    height, width = subset.X_train.shape[1:3]
    return " ".join(
        f"<span><b>{value}</b> {unit}</span>"
        for value, unit in (
            (f"{n_classes:,}", "class" if n_classes == 1 else "classes"),
            (f"{len(subset.y_train):,}", "train"),
            (f"{len(subset.y_val):,}", "val"),
            (f"{width}\N{MULTIPLICATION SIGN}{height}", "pixels"),
            (gigabytes(subset.path.stat().st_size), ""),
        )
    )


def _provenance(subset: ImagenetSubset) -> str:
    if subset.made is None:
        return '<p class="note">No provenance: another program wrote this file.</p>'
    lines = (
        f"<div><dt>{escape(term)}</dt><dd>{escape(value)}</dd></div>"
        for term, value in subset.made.describe()
    )
    return f"<dl>{''.join(lines)}</dl>"


def _held(subset: ImagenetSubset, splits: Sequence[Split]) -> dict[str, dict[str, int]]:
    """What the script has to know of images that aren't shown: those of the page's splits first."""
    held: dict[str, dict[str, int]] = {}
    for split in (*splits, *(split for split in SPLITS if split not in splits)):
        ids = subset.ids(split)
        if len(ids):
            held[split] = {"n": len(ids), "least": int(ids.min()), "most": int(ids.max())}
    return held


def _bar(sample: ClassSample, most: int) -> str:
    """Line of the chart: the counts of a class, on the scale of all classes and splits."""
    widths = {split: 100 * sample.counts[split] / (most or 1) for split in SPLITS}
    bars = "".join(f'<i class="{s}" style="width:{w:.4g}%"></i>' for s, w in widths.items())
    train, val = (f"{sample.counts[split]:,}" for split in SPLITS)
    return (
        f'<li><a dir="auto" href="#class={sample.label.number}">{escape(sample.name)}</a>'
        f'<span class="bar" aria-hidden="true">{bars}</span><span class="n">'
        f'<b class="sr">train </b>{train}<b class="sr">, val </b><em>{val}</em></span></li>'
    )


def _switch(splits: Sequence[Split]) -> str:
    """Choice of the split; empty where there is but one. It works by the style sheet alone."""
    if len(splits) < 2:
        return ""
    choices = "".join(
        f'<label><input type="radio" name="show" value="{choice}"'
        f"{' checked' if choice == 'both' else ''}><span>{choice}</span></label>"
        for choice in (*splits, "both")
    )
    return f'<fieldset class="show"><legend class="sr">Images shown</legend>{choices}</fieldset>'


def _drawn(splits: Sequence[Split], across: int, seed: int) -> str:
    of = " and as many from val" if len(splits) > 1 else ""
    return f"Up to {across} images of each class from {splits[0]}{of}, drawn with seed {seed}."
