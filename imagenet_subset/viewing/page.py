"""One self-contained web page: summary, class counts, thumbnails; searchable, no network.

Its look is ``page.css``, its search box ``page.js``: without the script the page shows every class
and no search box.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.reading.thumbnails import data_uri, thumbnail
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.system.files import writing
from imagenet_subset.system.publishing import write_atomically
from imagenet_subset.system.text import gigabytes
from imagenet_subset.viewing.sampling import ClassSample, sample_classes
from imagenet_subset.viewing.sheet import Progress

_THUMB = 112


def write_page(
    subset: ImagenetSubset,
    out: Path,
    split: Split,
    *,
    per_class: int = 8,
    seed: int = 0,
    progress: Progress = lambda _: None,
) -> None:
    """Write the page; a few MB for 100 classes.

    Parameters are those of `imagenet_subset.viewing.sheet.write_sheets`.

    Raises
    ------
    OutputError
        The page can't be written.
    """
    samples = sample_classes(subset, split, per_class, seed)
    page = "\n".join(_page(subset, split, samples, seed, progress))
    with writing(out):
        write_atomically(out, page.encode("utf-8", "replace"))


def _page(
    subset: ImagenetSubset,
    split: Split,
    samples: Sequence[ClassSample],
    seed: int,
    progress: Progress,
) -> Iterator[str]:
    name = escape(subset.name)
    yield f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>{name}: preview</title>
<style>
{_shipped("page.css")}</style>
</head>
<body>
<header>
<h1>{name}</h1>
<dl class="facts">"""
    yield from _facts(subset, len(samples))
    yield "</dl>"
    yield from _provenance(subset)
    yield """</header>
<main>
<div class="search" hidden>
<label for="q">Find a class</label>
<input id="q" type="search" placeholder="name, WNID, label, id" autocomplete="off" \
spellcheck="false">
<output for="q" id="found" aria-live="polite"></output>
</div>"""
    yield from _counts(subset, split, samples)
    yield f"""<section aria-labelledby="images">
<h2 id="images">Images</h2>
<p class="note">Up to {max((len(s.rows) for s in samples), default=0)} of each class from the \
{split} split, drawn with seed {seed}. The number below an image is its {split}_id.</p>"""
    for sample in samples:
        yield from _class_section(subset, split, sample)
        progress(1)
    yield f"""</section>
</main>
<script>
{_shipped("page.js")}</script>
</body>
</html>"""


def _shipped(name: str) -> str:
    """Text of a file of this package."""
    return importlib.resources.files(__package__).joinpath(name).read_text("utf-8")


def _facts(subset: ImagenetSubset, n_classes: int) -> Iterator[str]:
    height, width = subset.X_train.shape[1:3]
    for term, value in (
        ("classes", f"{n_classes:,}"),
        ("train images", f"{len(subset.y_train):,}"),
        ("val images", f"{len(subset.y_val):,}"),
        ("pixels", f"{width}\N{MULTIPLICATION SIGN}{height}"),
        ("file", gigabytes(subset.path.stat().st_size)),
    ):
        yield f"<div><dt>{term}</dt><dd>{value}</dd></div>"


def _provenance(subset: ImagenetSubset) -> Iterator[str]:
    if subset.made is None:
        yield '<p class="note">No provenance: another program wrote this file.</p>'
        return
    yield "<details><summary>How it was made</summary><dl>"
    for term, value in subset.made.describe():
        yield f"<div><dt>{escape(term)}</dt><dd>{escape(value)}</dd></div>"
    yield "</dl></details>"


def _counts(subset: ImagenetSubset, split: Split, samples: Sequence[ClassSample]) -> Iterator[str]:
    most = {s: max((sample.counts[s] for sample in samples), default=0) for s in SPLITS}
    keys = " ".join(f'<span class="key {s}"></span> {s}, up to {most[s]:,}' for s in SPLITS)
    yield f"""<details class="counts" open>
<summary><h2>Images per class</h2></summary>
<p class="note">{keys}</p>
<ul class="bars">"""
    for sample in samples:
        # Each split has its own scale: val would be invisible beside train.
        widths = {s: 100 * sample.counts[s] / (most[s] or 1) for s in SPLITS}
        bars = "".join(f'<i class="{s}" style="width:{w:.4g}%"></i>' for s, w in widths.items())
        yield (
            f"<li {_searchable(subset, split, sample)}>"
            f'<a href="#class-{sample.label.number}">{escape(sample.name)}</a>'
            f'<span class="bar" aria-hidden="true">{bars}</span>'
            f'<span class="n"><b class="sr">train </b>{sample.counts["train"]:,}'
            f'<b class="sr"> val</b><em>{sample.counts["val"]:,}</em></span></li>'
        )
    yield "</ul>\n</details>"


def _class_section(subset: ImagenetSubset, split: Split, sample: ClassSample) -> Iterator[str]:
    label = sample.label
    ids = [row.original_id for row in label.rows if row.original_id and len(label.rows) == 1]
    original = "".join(f" \N{MIDDLE DOT} CLS-LOC id {clsloc_id}" for clsloc_id in ids)
    yield (
        f'<article id="class-{label.number}" {_searchable(subset, split, sample)}>'
        f"<h3>{escape(sample.name)}</h3><p>label {label.number} \N{MIDDLE DOT} "
        f"<code>{escape(label.wnid or 'no WNID')}</code>{original} \N{MIDDLE DOT} "
        f"{sample.counts['train']:,} train \N{MIDDLE DOT} {sample.counts['val']:,} val</p>"
    )
    if not sample.rows:
        yield f'<p class="note">No {split} images.</p>'
    yield '<div class="thumbs">'
    for index in sample.rows:
        yield _figure(subset, split, sample, index)
    yield "</div></article>"


def _figure(subset: ImagenetSubset, split: Split, sample: ClassSample, index: int) -> str:
    image = thumbnail(subset.images(split)[index], _THUMB)
    image_id = int(subset.ids(split)[index])
    what = escape(f"{sample.name}, {split} row {index}, {split}_id {image_id}")
    return (
        f'<figure title="{what}"><img src="{data_uri(image)}" alt="{what}" '
        f'width="{image.width}" height="{image.height}" loading="lazy" decoding="async">'
        f"<figcaption>{image_id}</figcaption></figure>"
    )


def _searchable(subset: ImagenetSubset, split: Split, sample: ClassSample) -> str:
    """Attributes that the page's search reads."""
    label = sample.label
    classes = " ".join(f"{row.human_label} {row.WNID}" for row in label.rows)
    text = f"{sample.name} {classes} label {label.number}"
    numbers = [label.number, *subset.ids(split)[sample.rows].tolist()]
    return f'data-find="{escape(text.lower())}" data-numbers="{" ".join(map(str, numbers))}"'
