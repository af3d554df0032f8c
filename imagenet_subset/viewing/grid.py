"""How a contact sheet is divided: blocks of a class each, in lines of equal blocks, on pages.

A block is a class's name, its numbers and its images. On a page of a given size the images are as
large as they can be with all classes on it; if that would make them tiny, there are several pages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from imagenet_subset.errors import OutputError
from imagenet_subset.records import Split
from imagenet_subset.viewing.lettering import Lettering, line_height
from imagenet_subset.viewing.measures import Measures
from imagenet_subset.viewing.sampling import ClassSample

_WIDTH, _HEIGHT, _ACROSS = 2000, 4000, 12  # of a page whose size isn't given
_NAME_LINES = 5  # no name of ILSVRC's needs more beside one thumbnail


@dataclass(frozen=True, slots=True)
class Block:
    """What is drawn of a class."""

    name: list[str]
    """Lines of text."""
    details: list[str]
    rows: list[int]
    """Rows of the images."""


@dataclass(frozen=True, slots=True)
class Line:
    """Blocks side by side; their images begin at one height."""

    blocks: list[Block]
    text_height: int
    """Pixels from its top to its images."""
    height: int
    """Pixels, with the space below."""


@dataclass(frozen=True, slots=True)
class Look:
    """What all grids that a sheet might have share."""

    letters: Lettering
    measures: Measures
    id_digits: int
    """Characters of the longest id."""


@dataclass(frozen=True)
class Grid:
    """Sizes of a sheet's blocks, the same on all its pages."""

    look: Look
    thumb: int
    """Pixels of an image's longer side."""
    across: int
    """Images side by side in a block."""
    columns: int
    """Blocks side by side."""
    name_size: int = field(init=False)
    detail_size: int = field(init=False)
    id_size: int = field(init=False)

    def __post_init__(self) -> None:
        sizes = {
            "name_size": self.look.measures.name_size(self.thumb),
            "detail_size": self.look.measures.detail_size(self.thumb),
        }
        widest, room = "0" * self.look.id_digits, self.thumb + self.look.measures.gap // 2
        ids = range(sizes["detail_size"], 7, -1)
        fits = (size for size in ids if self.look.letters.width(widest, size) <= room)
        for name, size in {**sizes, "id_size": next(fits, 7)}.items():
            object.__setattr__(self, name, size)

    @property
    def block_width(self) -> int:
        """Pixels of a block."""
        return self.across * (self.thumb + self.look.measures.gap) - self.look.measures.gap

    @property
    def width(self) -> int:
        """Pixels of all blocks of a line, with what is between them."""
        gutter = self.look.measures.gutter
        return self.columns * (self.block_width + gutter) - gutter

    @property
    def image_height(self) -> int:
        """Pixels of a line of images, with their ids."""
        return self.thumb + line_height(self.id_size) + self.look.measures.gap // 2

    def block(self, sample: ClassSample, split: Split) -> Block:
        """Block of a class."""
        letters, rows, width = self.look.letters, sample.rows[split], self.block_width
        name = letters.wrap(sample.name, self.name_size, width, _NAME_LINES)
        parts = [f"{sample.label.number} \xb7 {sample.label.wnid or 'no WNID'}"]
        parts.append(f"{sample.counts['train']:,} train \xb7 {sample.counts['val']:,} val")
        whole = " \xb7 ".join(parts)
        if letters.width(letters.drawable(whole), self.detail_size) <= width:
            parts = [whole]
        parts += [] if rows else [f"no {split} images"]
        details = [
            line for part in parts for line in letters.wrap(part, self.detail_size, width, 3)
        ]
        return Block(name, details, rows)

    def lines(self, samples: Sequence[ClassSample], split: Split) -> list[Line]:
        """Blocks of all classes, in lines."""
        blocks = [self.block(sample, split) for sample in samples]
        beside = (blocks[i : i + self.columns] for i in range(0, len(blocks), self.columns))
        return [self._line(some) for some in beside]

    def _line(self, blocks: list[Block]) -> Line:
        name, detail = line_height(self.name_size), line_height(self.detail_size)
        text = max(len(block.name) * name + len(block.details) * detail for block in blocks)
        images = max(-(-len(block.rows) // self.across) for block in blocks)
        space = 2 * self.look.measures.gap
        text += space
        return Line(blocks, text, text + images * self.image_height + space)


def paged(lines: Sequence[Line], height: int) -> list[list[Line]]:
    """Lines by page, each page up to so many pixels; a line that has more is alone."""
    pages: list[list[Line]] = [[]]
    used = 0
    for line in lines:
        used += line.height
        if pages[-1] and used > height:
            pages.append([])
            used = line.height
        pages[-1].append(line)
    return pages


def divided(
    samples: Sequence[ClassSample], split: Split, look: Look, columns: int | None
) -> tuple[Grid, list[list[Line]]]:
    """Grid and pages of a sheet whose size isn't given, with ``columns`` blocks side by side.

    None are as many as a page has room for.
    """
    across = min(_ACROSS, _most(samples, split))
    usual = look.measures
    block = Grid(look, usual.thumb, across, 1).block_width
    fitting = max(1, (_WIDTH + usual.gutter) // (block + usual.gutter))
    grid = Grid(look, usual.thumb, across, min(columns or fitting, max(len(samples), 1)))
    return grid, paged(grid.lines(samples, split), _HEIGHT)


def fitted(
    samples: Sequence[ClassSample],
    split: Split,
    look: Look,
    columns: int | None,
    room: tuple[int, int],
) -> tuple[Grid, list[list[Line]]]:
    """Grid and pages with the largest images that put all classes in one room of width, height.

    Where they would be smaller than `Measures.thumbs`, there are several pages, of images of the
    usual size if they have room.

    Raises
    ------
    OutputError
        A class, or so many side by side, have no room on a page.
    """
    width, height = room
    several: list[tuple[Grid, list[list[Line]]]] = []
    for grid in _candidates(samples, split, look, columns, width):
        may_be_one = -(-len(samples) // grid.columns) * grid.image_height <= height
        known = several and several[0][0].thumb != grid.thumb
        if not may_be_one and (grid.thumb > grid.look.measures.thumb or known):
            continue
        lines = grid.lines(samples, split)
        if max((line.height for line in lines), default=0) > height:
            continue
        pages = paged(lines, height)
        if len(pages) == 1:
            return grid, pages
        several.append((grid, pages))
    if not several:
        most = _most(samples, split)
        beside = f"{columns} classes side by side" if columns else "a class"
        fewer = "fewer --columns or " if columns else ""
        raise OutputError(
            f"a page with {width}x{height} pixels inside its margins has no room for {beside} of "
            f"{most} images each; ask for a larger --size or {fewer}fewer images (--per_class)"
        )
    return min(several, key=lambda one: len(one[1]))


def _candidates(
    samples: Sequence[ClassSample],
    split: Split,
    look: Look,
    columns: int | None,
    width: int,
) -> Iterator[Grid]:
    """Grids that a width has room for, those with the largest images first."""
    most = _most(samples, split)
    gutter = look.measures.gutter
    for thumb in look.measures.thumbs:
        for across in sorted({-(-most // lines) for lines in range(1, most + 1)}, reverse=True):
            block = Grid(look, thumb, across, 1).block_width
            fitting = min((width + gutter) // (block + gutter), max(len(samples), 1))
            if fitting >= (columns or 1):
                full_lines = -(-len(samples) // fitting) or 1
                even = max(1, -(-len(samples) // full_lines))
                yield Grid(look, thumb, across, columns or even)


def _most(samples: Sequence[ClassSample], split: Split) -> int:
    return max([1, *(len(sample.rows[split]) for sample in samples)])
