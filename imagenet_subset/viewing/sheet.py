"""A contact sheet: a block of labelled images for each class, as PNG pages."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.reading.thumbnails import thumbnail
from imagenet_subset.records import Split
from imagenet_subset.system.files import writing
from imagenet_subset.system.publishing import write_atomically
from imagenet_subset.viewing.grid import Block, Grid, Line, Look, divided, fitted
from imagenet_subset.viewing.lettering import Lettering, line_height
from imagenet_subset.viewing.measures import Measures
from imagenet_subset.viewing.pages import mark_of, page_path, remove_former_pages
from imagenet_subset.viewing.sampling import PER_CLASS, ClassSample, Progress, sample_classes

_PAPER, _INK, _FAINT, _RULE = "#ffffff", "#1b1f24", "#5c6570", "#dfe3e8"
_FARTHEST = 1.25  # of the least that is between blocks
_NARROWEST = 720  # so that a sheet of few images has room for its heading


@dataclass(frozen=True, slots=True)
class SheetStyle:
    """How a sheet is to look."""

    size: tuple[int, int] | None = None
    """Width and height of each page, in pixels; None for pages as large as they need to be."""
    columns: int | None = None
    """Classes side by side; None for as many as there is room for."""
    font: Path | None = None
    """A TrueType or OpenType file; None for Pillow's own font."""


def write_sheets(
    subset: ImagenetSubset,
    out: Path,
    split: Split,
    *,
    per_class: int = PER_CLASS,
    seed: int = 0,
    style: SheetStyle | None = None,
    progress: Progress = lambda _: None,
) -> list[Path]:
    """Write the contact sheet: ``sheet.png``, and ``sheet-2.png`` etc. where one has no room.

    All pages have the same width, and with a size in ``style`` that very size. Pages that a former
    sheet of this name had beyond them are removed.

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
    style
        How it is to look.
    progress
        Called with the number of classes just drawn.

    Returns
    -------
    list[Path]
        The pages.

    Raises
    ------
    OutputError
        A page can't be written, the classes have no room on pages of the size, or the font is none.
    """
    samples = sample_classes(subset, [split], per_class, seed)
    style = style or SheetStyle()
    measures = Measures.of_page(style.size)
    sheet = _Sheet(subset, split, seed, Lettering(style.font), measures)
    width, grid, pages = sheet.laid_out(samples, style)
    paths = []
    for number, lines in enumerate(pages, 1):
        of = f", page {number} of {len(pages)}" if len(pages) > 1 else ""
        heading = sheet.heading(of, width)
        needed = heading.height + sum(line.height for line in lines) + measures.margin
        middle = style.size is not None and len(pages) == 1
        page = _Page(subset, split, grid, heading, style.size or (width, needed), middle)
        path = page_path(out, number)
        with writing(path):
            write_atomically(path, png(page.draw(lines), mark_of(number)))
        paths.append(path)
        progress(sum(len(line.blocks) for line in lines))
    remove_former_pages(out, len(pages))
    return paths


def undrawable(subset: ImagenetSubset, font: Path | None) -> int:
    """How many names of a subset have characters that the sheet's font has no glyphs for.

    Raises
    ------
    OutputError
        The file is no font.
    """
    letters = Lettering(font)
    names = [subset.title, *(label.title for label in subset.named_labels)]
    return sum(map(letters.lacks, names))


def png(image: Image.Image, comment: str = "") -> bytes:
    """Image as the contents of a PNG file, with a comment if there is one."""
    file, chunks = io.BytesIO(), PngInfo()
    if comment:
        chunks.add_text("Comment", comment)
    image.save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class _Heading:
    """Lines at the head of a page: text, font size, color."""

    lines: list[tuple[str, int, str]]
    measures: Measures

    @property
    def height(self) -> int:
        lines = sum(line_height(size) for _, size, _ in self.lines)
        return self.measures.margin + lines + 2 * self.measures.gap


@dataclass(frozen=True, slots=True)
class _Sheet:
    subset: ImagenetSubset
    split: Split
    seed: int
    letters: Lettering
    measures: Measures

    def heading(self, page: str, width: int) -> _Heading:
        height, across = self.subset.X_train.shape[1:3]
        counts = f"{len(self.subset.y_train):,} train and {len(self.subset.y_val):,} val images"
        pixels = f"{across}x{height} pixels"
        ids = f"the number below an image is its {self.split}_id"
        title = (f"{self.subset.title}, {self.split}{page}", self.measures.title_size, _INK)
        about = f"{counts} \xb7 {pixels} \xb7 seed {self.seed} \xb7 {ids}"
        return _Heading(
            [
                (line, size, color)
                for text, size, color in (title, (about, self.measures.about_size, _FAINT))
                for line in self.letters.wrap(text, size, width - 2 * self.measures.margin, 3)
            ],
            self.measures,
        )

    def laid_out(
        self, samples: Sequence[ClassSample], style: SheetStyle
    ) -> tuple[int, Grid, list[list[Line]]]:
        """Width of the pages, grid, and lines of each page."""
        ids = [self.subset.ids(self.split)[sample.rows[self.split]] for sample in samples]
        digits = max((len(str(number)) for some in ids for number in some.tolist()), default=1)
        look, margin = Look(self.letters, self.measures, digits), self.measures.margin
        if style.size is None:
            grid, pages = divided(samples, self.split, look, style.columns)
            return max(grid.width + 2 * margin, _NARROWEST), grid, pages
        width, height = style.size
        top = self.heading(", page 999 of 999", width).height
        room = (width - 2 * margin, height - top - margin)
        grid, pages = fitted(samples, self.split, look, style.columns, room)
        return width, grid, pages


@dataclass(frozen=True)
class _Page:
    subset: ImagenetSubset
    split: Split
    grid: Grid
    heading: _Heading
    size: tuple[int, int]
    middle: bool
    """Whether what is left of the page is on all sides, and not on the right and below."""

    def draw(self, lines: Sequence[Line]) -> Image.Image:
        page = Image.new("RGB", self.size, _PAPER)
        pen = ImageDraw.Draw(page)
        margin, gap = self._measures.margin, self._measures.gap
        self._write(pen, margin, margin, self.heading.lines)
        (width, height), top = self.size, self.heading.height
        left_over = height - margin - top - sum(line.height for line in lines)
        top += left_over // 2 if self.middle else 0
        for line in lines:
            rule = (margin, top, width - margin, top)
            pen.line(rule, _RULE, self._measures.rule)
            for i, block in enumerate(line.blocks):
                left = round(self._left + i * self._pitch)
                self._label(pen, block, left, top + gap)
                self._show(page, pen, block, left, top + line.text_height)
            top += line.height
        return page

    @property
    def _measures(self) -> Measures:
        return self.grid.look.measures

    @functools.cached_property
    def _pitch(self) -> float:
        """Pixels from a block to the next: they fill the width, unless that tears them apart."""
        beside = self.grid.columns - 1
        widest = _FARTHEST * (self.grid.block_width + self._measures.gutter)
        filling = self.size[0] - 2 * self._measures.margin - self.grid.block_width
        return min(widest, filling / beside) if beside else 0

    @functools.cached_property
    def _left(self) -> float:
        """Pixels left of the first block."""
        if not self.middle:
            return self._measures.margin
        beside = self.grid.columns - 1
        return (self.size[0] - beside * self._pitch - self.grid.block_width) / 2

    def _label(self, pen: ImageDraw.ImageDraw, block: Block, left: int, top: int) -> None:
        texts = [(line, self.grid.name_size, _INK) for line in block.name]
        texts += [(line, self.grid.detail_size, _FAINT) for line in block.details]
        self._write(pen, left, top, texts)

    def _show(
        self, page: Image.Image, pen: ImageDraw.ImageDraw, block: Block, left: int, top: int
    ) -> None:
        grid = self.grid
        for i, row in enumerate(block.rows):
            x = left + i % grid.across * (grid.thumb + self._measures.gap)
            y = top + i // grid.across * grid.image_height
            page.paste(thumbnail(self.subset.images(self.split)[row], grid.thumb), (x, y))
            image_id = str(int(self.subset.ids(self.split)[row]))
            self._write(pen, x, y + grid.thumb + 1, [(image_id, grid.id_size, _FAINT)])

    def _write(
        self,
        pen: ImageDraw.ImageDraw,
        x: int,
        y: int,
        texts: Sequence[tuple[str, int, str]],
    ) -> None:
        """Write lines of text, size and color below each other."""
        for text, size, color in texts:
            pen.text((x, y), text, color, self.grid.look.letters.font(size))
            y += line_height(size)
