"""A contact sheet: a block of labelled images for each class, as PNG pages."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw

from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.reading.thumbnails import thumbnail
from imagenet_subset.records import Split
from imagenet_subset.system.files import writing
from imagenet_subset.system.publishing import write_atomically
from imagenet_subset.viewing.grid import (
    GAP,
    GUTTER,
    MARGIN,
    Block,
    Grid,
    Line,
    divided,
    fitted,
)
from imagenet_subset.viewing.lettering import Lettering, line_height
from imagenet_subset.viewing.sampling import ClassSample, Progress, sample_classes

_PAPER, _INK, _FAINT, _RULE = "#ffffff", "#1b1f24", "#5c6570", "#dfe3e8"
_TITLE_SIZE, _ABOUT_SIZE = 26, 15
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
    per_class: int = 8,
    seed: int = 0,
    style: SheetStyle | None = None,
    progress: Progress = lambda _: None,
) -> list[Path]:
    """Write the contact sheet: ``sheet.png``, and ``sheet-2.png`` etc. where one has no room.

    All pages have the same width, and with a size in ``style`` that very size.

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
    sheet = _Sheet(subset, split, seed, Lettering(style.font))
    width, grid, pages = sheet.laid_out(samples, style)
    paths = []
    for number, lines in enumerate(pages, 1):
        of = f", page {number} of {len(pages)}" if len(pages) > 1 else ""
        page = _Page(subset, split, grid, sheet.heading(of, width), width, style.size)
        path = out if number == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")
        with writing(path):
            write_atomically(path, png(page.draw(lines)))
        paths.append(path)
        progress(sum(len(line.blocks) for line in lines))
    return paths


def png(image: Image.Image) -> bytes:
    """Image as the contents of a PNG file."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class _Heading:
    """Lines at the head of a page: text, font size, color."""

    lines: list[tuple[str, int, str]]

    @property
    def height(self) -> int:
        return MARGIN + sum(line_height(size) for _, size, _ in self.lines) + 2 * GAP


@dataclass(frozen=True, slots=True)
class _Sheet:
    subset: ImagenetSubset
    split: Split
    seed: int
    letters: Lettering

    def heading(self, page: str, width: int) -> _Heading:
        counts = f"{len(self.subset.y_train):,} train and {len(self.subset.y_val):,} val images"
        ids = f"the number below an image is its {self.split}_id"
        title = (f"{self.subset.name}, {self.split}{page}", _TITLE_SIZE, _INK)
        about = (f"{counts} \xb7 seed {self.seed} \xb7 {ids}", _ABOUT_SIZE, _FAINT)
        return _Heading(
            [
                (line, size, color)
                for text, size, color in (title, about)
                for line in self.letters.wrap(text, size, width - 2 * MARGIN, 3)
            ]
        )

    def laid_out(
        self, samples: Sequence[ClassSample], style: SheetStyle
    ) -> tuple[int, Grid, list[list[Line]]]:
        """Width of the pages, grid, and lines of each page."""
        ids = [self.subset.ids(self.split)[sample.rows[self.split]] for sample in samples]
        digits = max((len(str(number)) for some in ids for number in some.tolist()), default=1)

        def grid_of(thumb: int, across: int, columns: int) -> Grid:
            return Grid(self.letters, thumb, across, columns, digits)

        if style.size is None:
            grid, pages = divided(samples, self.split, grid_of, style.columns)
            return max(grid.width + 2 * MARGIN, _NARROWEST), grid, pages
        width, height = style.size
        top = self.heading(", page 999 of 999", width).height
        room = (width - 2 * MARGIN, height - top - MARGIN)
        grid, pages = fitted(samples, self.split, grid_of, style.columns, room)
        return width, grid, pages


@dataclass(frozen=True)
class _Page:
    subset: ImagenetSubset
    split: Split
    grid: Grid
    heading: _Heading
    width: int
    size: tuple[int, int] | None

    def draw(self, lines: Sequence[Line]) -> Image.Image:
        needed = self.heading.height + sum(line.height for line in lines) + MARGIN
        page = Image.new("RGB", self.size or (self.width, needed), _PAPER)
        pen = ImageDraw.Draw(page)
        self._write(pen, MARGIN, MARGIN, self.heading.lines)
        top = self.heading.height
        for line in lines:
            pen.line((MARGIN, top, self.width - MARGIN, top), _RULE)
            for i, block in enumerate(line.blocks):
                left = MARGIN + round(i * self._pitch)
                self._label(pen, block, left, top + GAP)
                self._show(page, pen, block, left, top + line.text_height)
            top += line.height
        return page

    @functools.cached_property
    def _pitch(self) -> float:
        """Pixels from a block to the next: they fill the width."""
        return (self.width - 2 * MARGIN + GUTTER) / self.grid.columns

    def _label(self, pen: ImageDraw.ImageDraw, block: Block, left: int, top: int) -> None:
        texts = [(line, self.grid.name_size, _INK) for line in block.name]
        texts += [(line, self.grid.detail_size, _FAINT) for line in block.details]
        self._write(pen, left, top, texts)

    def _show(
        self, page: Image.Image, pen: ImageDraw.ImageDraw, block: Block, left: int, top: int
    ) -> None:
        grid = self.grid
        for i, row in enumerate(block.rows):
            x = left + i % grid.across * (grid.thumb + GAP)
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
            pen.text((x, y), text, color, self.grid.letters.font(size))
            y += line_height(size)
