"""A contact sheet: one labelled row of images for each class, as PNG pages."""

from __future__ import annotations

import io
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, features

from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.reading.thumbnails import thumbnail
from imagenet_subset.records import Split
from imagenet_subset.system.files import writing
from imagenet_subset.system.publishing import write_atomically
from imagenet_subset.viewing.sampling import ClassSample, sample_classes

COLUMNS = 12
"""Images side by side; a class with more gets further lines."""
LINES_PER_PAGE = 30
"""Lines of images on a page; a class isn't divided."""
_THUMB, _GAP, _MARGIN = 112, 6, 24
_CAPTION = 18  # height of the line of ids below the thumbnails
_MAX_LABEL = 220  # width beyond which a class name is wrapped
_PAPER, _INK, _FAINT, _RULE = "#ffffff", "#1b1f24", "#68717d", "#dfe3e8"

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Progress = Callable[[int], object]


def write_sheets(
    subset: ImagenetSubset,
    out: Path,
    split: Split,
    *,
    per_class: int = 8,
    seed: int = 0,
    progress: Progress = lambda _: None,
) -> list[Path]:
    """Write the contact sheet: ``sheet.png``, and ``sheet-2.png`` etc. beyond 30 lines of images.

    Parameters
    ----------
    subset
        An open file.
    out
        Path of the first page.
    split
        Which images to show.
    per_class
        How many images of each class, at most.
    seed
        Decides which images are drawn.
    progress
        Called with the number of classes just drawn.

    Returns
    -------
    list[Path]
        The pages.

    Raises
    ------
    OutputError
        A page can't be written.
    """
    parts = _divided(sample_classes(subset, split, per_class, seed))
    about = (
        f"{len(subset.y_train):,} train and {len(subset.y_val):,} val images \xb7 seed {seed} \xb7 "
        f"the number below an image is its {split}_id"
    )
    paths = []
    for number, part in enumerate(parts, 1):
        pages = f", page {number} of {len(parts)}" if len(parts) > 1 else ""
        title = _drawable(f"{subset.name}, {split}{pages}")
        path = out if number == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")
        with writing(path):
            write_atomically(path, png(_Page(subset, split, title, about, part).draw()))
        paths.append(path)
        progress(len(part))
    return paths


def _divided(samples: Sequence[ClassSample]) -> list[list[ClassSample]]:
    """Classes by page; one page at least."""
    pages: list[list[ClassSample]] = [[]]
    lines = 0
    for sample in samples:
        lines += _lines(sample)
        if pages[-1] and lines > LINES_PER_PAGE:
            pages.append([])
            lines = _lines(sample)
        pages[-1].append(sample)
    return pages


def _lines(sample: ClassSample) -> int:
    """Lines of images that a class takes; one for its name where it has none."""
    return max(1, -(-len(sample.rows) // COLUMNS))


def png(image: Image.Image) -> bytes:
    """Image as the contents of a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@dataclass
class _Page:
    subset: ImagenetSubset
    split: Split
    title: str
    about: str
    samples: Sequence[ClassSample]

    def draw(self) -> Image.Image:
        columns = min(COLUMNS, max([len(sample.rows) for sample in self.samples], default=0))
        left = 2 * _MARGIN + self._label_width
        heading = ((self.title, 22, _INK), (self.about, 13, _FAINT))
        width = max(
            left + columns * (_THUMB + _GAP) - _GAP,
            *(_MARGIN + int(_font(size).getlength(text)) + 1 for text, size, _ in heading),
        )
        top = 2 * _MARGIN + 48
        heights = [self._height(sample) for sample in self.samples]
        page = Image.new("RGB", (width + _MARGIN, top + sum(heights) + _MARGIN), _PAPER)
        pen = ImageDraw.Draw(page)
        for y, (text, size, color) in zip((_MARGIN, _MARGIN + 32), heading, strict=True):
            pen.text((_MARGIN, y), text, color, _font(size))
        for sample, height in zip(self.samples, heights, strict=True):
            pen.line((_MARGIN, top, width, top), _RULE)
            self._draw_class(page, pen, sample, left, top + _GAP * 2)
            top += height
        return page

    def _draw_class(
        self, page: Image.Image, pen: ImageDraw.ImageDraw, sample: ClassSample, left: int, top: int
    ) -> None:
        y = top
        for text, size, color in self._label(sample):
            pen.text((_MARGIN, y), text, color, _font(size))
            y += _line_height(size)
        for i, row in enumerate(sample.rows):
            x = left + i % COLUMNS * (_THUMB + _GAP)
            y = top + i // COLUMNS * (_THUMB + _CAPTION)
            page.paste(thumbnail(self.subset.images(self.split)[row], _THUMB), (x, y))
            caption = str(int(self.subset.ids(self.split)[row]))
            pen.text((x, y + _THUMB + 2), caption, _FAINT, _font(11))

    def _label(self, sample: ClassSample) -> Iterator[tuple[str, int, str]]:
        """Lines beside the thumbnails: text, font size, color."""
        for line in _wrap(_drawable(sample.name), _font(17), _MAX_LABEL):
            yield line, 17, _INK
        label, counts = sample.label, sample.counts
        yield _drawable(f"{label.number} \xb7 {label.wnid or 'no WNID'}"), 12, _FAINT
        yield f"{counts['train']:,} train \xb7 {counts['val']:,} val", 12, _FAINT
        if not sample.rows:
            yield f"no {self.split} images", 12, _FAINT

    def _height(self, sample: ClassSample) -> int:
        label = sum(_line_height(size) for _, size, _ in self._label(sample))
        images = _lines(sample) * (_THUMB + _CAPTION) if sample.rows else 0
        return max(label, images) + 3 * _GAP

    @cached_property
    def _label_width(self) -> int:
        lines = [line for sample in self.samples for line in self._label(sample)]
        return max([int(_font(size).getlength(text)) + 1 for text, size, _ in lines], default=0)


def _font(size: int) -> _Font:
    """Pillow's own font, which every system has; scalable if Pillow has FreeType."""
    if features.check("freetype2"):
        return ImageFont.load_default(size)
    return ImageFont.load_default()


def _line_height(size: int) -> int:
    return size + 6


def _drawable(text: str) -> str:
    """Text in the characters that Pillow's own fonts have: letters lose their accents."""
    return "".join(
        c if c.isascii() or c == "\xb7" else "?"
        for c in unicodedata.normalize("NFKD", text)
        if not unicodedata.combining(c)
    )


def _wrap(text: str, font: _Font, width: int) -> list[str]:
    """Lines of up to ``width`` pixels, broken at spaces, and inside words that are longer."""
    lines = [""]
    for word in text.split():
        if font.getlength(f"{lines[-1]} {word}".strip()) <= width:
            lines[-1] = f"{lines[-1]} {word}".strip()
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if font.getlength(lines[-1] + character) > width:
                lines.append("")
            lines[-1] += character
    return lines
