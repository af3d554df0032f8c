"""Sizes of what is on a contact sheet, in pixels: those of a slide of 1080 lines, or larger ones.

A page of 3840x2160 is looked at from as far as one of 1920x1080, so all on it is twice as large.
"""

from __future__ import annotations

from dataclasses import dataclass

_LINES = 1080


@dataclass(frozen=True, slots=True)
class Measures:
    """Sizes at a scale."""

    scale: float = 1.0

    @classmethod
    def of_page(cls, size: tuple[int, int] | None) -> Measures:
        """Sizes for a page of this width and height; on a small one text stays readable.

        Examples
        --------
        >>> [Measures.of_page(size).margin for size in (None, (480, 480), (3840, 2160))]
        [32, 32, 64]
        """
        return cls() if size is None else cls(max(1.0, min(size) / _LINES))

    @property
    def gap(self) -> int:
        """Pixels between images."""
        return self._scaled(6)

    @property
    def gutter(self) -> int:
        """Pixels between blocks."""
        return self._scaled(28)

    @property
    def margin(self) -> int:
        """Pixels around all."""
        return self._scaled(32)

    @property
    def thumb(self) -> int:
        """Usual pixels of an image's longer side."""
        return self._scaled(112)

    @property
    def thumbs(self) -> range:
        """Pixels that an image may have on a page of a given size, the most first."""
        return range(self._scaled(336), self._scaled(64) - 1, -self._scaled(4))

    @property
    def rule(self) -> int:
        """Pixels that the line above blocks is thick."""
        return self._scaled(1)

    @property
    def title_size(self) -> int:
        """Font size of the heading."""
        return self._scaled(26)

    @property
    def about_size(self) -> int:
        """Font size of the line below the heading."""
        return self._scaled(15)

    def name_size(self, thumb: int) -> int:
        """Font size of a class's name, above images of so many pixels."""
        return max(self._scaled(14), min(self._scaled(22), thumb // 7))

    def detail_size(self, thumb: int) -> int:
        """Font size of a class's numbers."""
        return max(self._scaled(11), min(self._scaled(15), thumb // 9))

    def _scaled(self, pixels: int) -> int:
        return round(pixels * self.scale)
