"""Text on a contact sheet: its font, and lines that keep to a width.

Pillow's own font is on every system, so that a sheet is the same everywhere; it has Latin letters
without accents. Other scripts need a font file.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from PIL import ImageFont, features

from imagenet_subset.errors import OutputError
from imagenet_subset.system.text import JOINERS, printable

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
_MORE = "..."  # Pillow's own font has no ellipsis
_NO_CHARACTER = "\U0010ffff"  # for which a font shows what it shows for all that it lacks
_UNSEEN = "ZC"  # categories: spaces and what only joins or directs other characters


@dataclass(frozen=True)
class Lettering:
    """Draws in Pillow's own font, or in that of a file."""

    file: Path | None = None

    def font(self, size: int) -> Font:
        """Font of so many pixels; Pillow's own has one size only where Pillow has no FreeType.

        Raises
        ------
        OutputError
            The file is no font.
        """
        return _font(self.file, size)

    def drawable(self, text: str) -> str:
        """Text in the characters that there are: in Pillow's own font letters lose their accents.

        Examples
        --------
        >>> Lettering().drawable("café")
        'cafe'
        """
        if self.file is not None:
            return printable(text)
        return "".join(
            c if c.isascii() or c == "\xb7" else "?"
            for c in unicodedata.normalize("NFKD", text)
            if not unicodedata.combining(c) and c not in JOINERS
        )

    def lacks(self, text: str) -> bool:
        """Whether a character of the text has no glyph, so that something else stands for it.

        Examples
        --------
        >>> Lettering().lacks("café"), Lettering().lacks("雪豹")
        (False, True)
        """
        if self.file is None:
            return self.drawable(text).count("?") > text.count("?")
        drawn = (c for c in printable(text) if unicodedata.category(c)[0] not in _UNSEEN)
        return any(_glyph(self.file, c) == _glyph(self.file, _NO_CHARACTER) for c in drawn)

    def width(self, text: str, size: int) -> int:
        """Pixels that a line of text takes."""
        return int(self.font(size).getlength(text)) + 1

    def wrap(self, text: str, size: int, width: int, most: int) -> list[str]:
        """Up to ``most`` lines of ``width`` pixels; the last one says so where text is left.

        They are broken at spaces and after hyphens, and inside words that are longer.
        """
        lines = self._lines(self.drawable(text), size, width)
        if len(lines) <= most:
            return lines
        last = lines[most - 1]
        while last and self.width(last + _MORE, size) > width:
            last = last[:-1]
        return [*lines[: most - 1], last + _MORE]

    def _lines(self, text: str, size: int, width: int) -> list[str]:
        lines = [""]
        for part in re.findall(r"\s*[^\s-]*-*", " ".join(text.split())):
            if self.width((lines[-1] + part).strip(), size) <= width:
                lines[-1] = (lines[-1] + part).lstrip()
                continue
            if lines[-1]:
                lines.append("")
            for character in part.lstrip():
                if lines[-1] and self.width(lines[-1] + character, size) > width:
                    lines.append("")
                lines[-1] += character
        return lines


def line_height(size: int) -> int:
    """Pixels from a line of text to the next."""
    return round(size * 1.35)


@functools.lru_cache
def _font(file: Path | None, size: int) -> Font:
    if not features.check("freetype2"):
        if file is not None:
            raise OutputError(f"this Pillow has no FreeType, so it can't use {printable(file)}")
        return ImageFont.load_default()
    if file is None:
        return ImageFont.load_default(size)
    try:
        return ImageFont.truetype(file, size)
    except OSError as error:
        why = error if file.exists() else "there is no such file"
        raise OutputError(
            f"{printable(file)} can't be used as a font ({why}); take a .ttf or .otf file"
        ) from None


@functools.lru_cache(4096)
def _glyph(file: Path, character: str) -> bytes:
    """What a font draws for a character, and nothing else does."""
    mask = _font(file, 32).getmask(character)
    return bytes(mask) + repr(mask.size).encode()
