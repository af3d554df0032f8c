"""The page's card of a class: its name, its numbers and its images.

What the script needs to know is in the card too: ``data-find`` and ``data-numbers`` are what the
search reads of a class, a caption and ``data-photo``, where ImageNet has the photo, of an image.
Ids are what links name: ``class=3`` is a label, ``train=12`` a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from imagenet_subset.npz.labels import Label
from imagenet_subset.reading.locate import Located, locate
from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.reading.thumbnails import data_uri, thumbnail
from imagenet_subset.records import Split
from imagenet_subset.viewing.budget import Encoding
from imagenet_subset.viewing.sampling import ClassSample

_DOT = " \N{MIDDLE DOT} "


@dataclass(frozen=True, slots=True)
class Cards:
    """Makes the cards of a page."""

    subset: ImagenetSubset
    encoding: Encoding

    def card(self, sample: ClassSample) -> Iterator[str]:
        """Card of a class, as HTML."""
        label = sample.label
        yield (
            f'<article id="class={label.number}" {self._searchable(sample)}>\n<header>'
            f'<h2><a dir="auto" href="#class={label.number}">{escape(sample.name)}</a></h2>'
            f'<p class="about">{_about(sample)}</p></header>'
        )
        for split, rows in sample.rows.items():
            yield _heading(split, len(rows), sample.counts[split])
            yield '<div class="thumbs">' if rows else ""
            for row in rows:
                yield self._figure(sample, locate(self.subset, split, row))
            yield "</div></section>" if rows else "</section>"
        yield "</article>"

    def _figure(self, sample: ClassSample, image: Located) -> str:
        split, row = image.split, image.row
        height, width = self.subset.images(split).shape[1:3]
        # An image that is smaller than its thumbnail is enlarged by the browser, for nothing.
        side = min(self.encoding.side, max(height, width))
        small = thumbnail(self.subset.images(split)[row], side)
        what = escape(f"{sample.name}, {split} row {row}, {split}_id {image.image_id}")
        photo = f' data-photo="{escape(image.photo)}"' if image.photo else ""
        of = f' data-class="{escape(_class_of(image))}"' if len(sample.label.rows) > 1 else ""
        return (
            f'<figure><a id="{split}={row}" href="#{split}={row}"{photo}{of}>'
            f'<img src="{data_uri(small, self.encoding.nbytes)}" alt="{what}" dir="auto" '
            f'width="{small.width}" height="{small.height}" loading="lazy" decoding="async"></a>'
            f"<figcaption>{image.image_id}</figcaption></figure>"
        )

    def _searchable(self, sample: ClassSample) -> str:
        label = sample.label
        classes = " ".join(f"{row.human_label} {row.WNID}" for row in label.rows)
        text = f"{sample.name} {classes} label {label.number}"
        numbers = dict.fromkeys([label.number, *_clsloc_ids(label)])
        return f'data-find="{escape(text.lower())}" data-numbers="{" ".join(map(str, numbers))}"'


def _clsloc_ids(label: Label) -> list[int]:
    """Those of its classes that are known."""
    return [row.original_id for row in label.rows if row.original_id]


def _about(sample: ClassSample) -> str:
    label = sample.label
    ids = _clsloc_ids(label) if len(label.rows) == 1 else []
    words = [f"label {label.number}", f"<code>{escape(label.wnid or 'no WNID')}</code>"]
    words += [f"CLS-LOC id {clsloc_id}" for clsloc_id in ids]
    return _DOT.join(f"<span>{word}</span>" for word in words)


def _heading(split: Split, shown: int, there: int) -> str:
    n = f"{shown:,} of {there:,}" if shown < there else f"{there:,}"
    return (
        f'<section class="{split}"><h3><i class="{split}"></i>{split} '
        f"<span>{n if there else 'none'}</span></h3>"
    )


def _class_of(image: Located) -> str:
    """Class of an image whose label has several."""
    return f"{image.name.replace('_', ' ')} {image.wnid}".strip()
