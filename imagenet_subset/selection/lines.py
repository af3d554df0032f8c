"""The lines of a subset file, and what is wrong with them."""

from __future__ import annotations

import difflib
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from imagenet_subset.errors import SubsetError
from imagenet_subset.ilsvrc.classes import MEANINGS, ImageClass, class_table, plain
from imagenet_subset.system.files import regular
from imagenet_subset.system.text import first_unprintable, printable

_LARGEST = 1_000_000
"""Bytes of a subset file; the 1,000 WNIDs take 10,000, the rest is for comments."""
_LONGEST_NAMES = 20_000
"""Bytes of all names together, as JSON: an NPZ has room for 65,535 bytes of provenance."""
_WNID = re.compile("n[0-9]{8}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a subset file that has classes: a label."""

    classes: tuple[ImageClass, ...]
    name: str | None
    """What stands before the WNIDs; None where nothing does."""

    @property
    def title(self) -> str:
        """What its label is called."""
        return self.name or self.classes[0].title


def read_lines(path: Path) -> list[str]:
    """Lines of a subset file, as an editor would number them.

    Raises
    ------
    SubsetError
        It can't be read, or is no text.
    """
    try:
        with open(path, "rb", opener=regular) as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise SubsetError(f"can't read {printable(path)}: {error.strerror or error}") from error
    if len(data) > _LARGEST:
        raise SubsetError(
            f"{printable(path)}: more than 1 MB; expected a text with one WNID per line"
        )
    utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SubsetError(
            f"{printable(path)}:{line}: not a text file in UTF-8; expected one WNID per line"
        ) from error
    return list(io.StringIO(text, newline=None))


def parse_lines(lines: Iterable[tuple[str, str]]) -> list[Line]:
    """Labels that lines make; those that have none, as blank lines and comments, are skipped.

    Parameters
    ----------
    lines
        Of each, where it is, for messages, and its text.

    Raises
    ------
    SubsetError
        A line is wrong, or a WNID or a name is there twice.
    """
    parsed: list[Line] = []
    places: dict[str, str] = {}
    room = _LONGEST_NAMES
    for where, text in lines:
        name, words = _divided(where, text.partition("#")[0].strip())
        if not words:
            continue
        classes = tuple(_class(where, word) for word in words)
        for c in classes:
            _once(places, c.wnid, where, c.wnid)
        line = Line(classes, name)
        _once(places, f"name {line.title}", where, f"the name '{line.title}'")
        parsed.append(line)
        room -= len(json.dumps(name)) if name else 0
        if room < 0:
            raise SubsetError(
                f"{where}: the names up to here take more than {_LONGEST_NAMES:,} bytes together; "
                "shorten them"
            )
    return parsed


def _divided(where: str, text: str) -> tuple[str | None, list[str]]:
    """Name before a line's WNIDs, and these."""
    name, colon, rest = text.rpartition(":")
    words = rest.replace(",", " ").split()
    if not colon:
        if len(words) > 1 and all(map(_WNID.fullmatch, words)):
            raise SubsetError(
                f"{where}: {len(words)} WNIDs without a name; for classes that share a label write "
                f"one before them, as in 'dog: {words[0]} {words[1]}', else one WNID per line"
            )
        return None, [text] if text else []
    name = " ".join(name.split())
    if not name:
        raise SubsetError(f"{where}: expected a name before the colon, found ''")
    if (strange := first_unprintable(name)) is not None:
        raise SubsetError(
            f"{where}: the name '{printable(name)}' has the character U+{ord(strange):04X}, which "
            "isn't printed; take it out"
        )
    if not words:
        raise SubsetError(f"{where}: no WNID after '{printable(name)}'; expected one or more")
    return name, words


def _once(places: dict[str, str], what: str, where: str, shown: str) -> None:
    """Refuse what an earlier line has already."""
    if what in places:
        number = places[what].rpartition(":")[2].strip()
        earlier = f"line {number}" if number.isdecimal() else number
        twice = f"in {earlier} already" if places[what] != where else "there twice"
        raise SubsetError(f"{where}: {printable(shown)} is {twice}; remove one")
    places[what] = where


def _class(where: str, word: str) -> ImageClass:
    if word not in class_table():
        raise SubsetError(f"{where}: {_unknown(word)}")
    return class_table()[word]


def looks_like_wnids(text: str) -> bool:
    """Whether a text is meant as WNIDs with commas between them: one of its words is a WNID.

    Examples
    --------
    >>> [looks_like_wnids(text) for text in ("n12267677, n02690373", "n12267677,acorn", "acorn")]
    [True, True, False]
    """
    return ":" not in text and any(_WNID.fullmatch(word.strip()) for word in text.split(","))


def numbered(path: Path, lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Lines of a file, with ``file:line`` of each."""
    return ((f"{printable(path)}:{number}", line) for number, line in enumerate(lines, 1))


def _with_meaning(c: ImageClass) -> str:
    meaning = MEANINGS.get(c.wnid)
    return f"{c.wnid} ({meaning})" if meaning else c.wnid


def _unknown(word: str) -> str:
    """Say what was probably meant by a word that is not a WNID."""
    shown = printable(word[:40])
    named = [c for c in class_table().values() if plain(c.human_label) == plain(word)]
    if named:
        wnids = " or ".join(_with_meaning(c) for c in named)
        return f"expected a WNID, found the name '{shown}'; write {wnids}"
    near = difflib.get_close_matches(word, class_table(), n=3, cutoff=0.6)
    if not near:
        return (
            f"expected a WNID of ILSVRC 2012 such as n12267677, found '{shown}'; "
            "`imagenet-subset classes` lists them"
        )
    names = " or ".join(f"{wnid} ({class_table()[wnid].title})" for wnid in near)
    return f"{shown} is not a WNID of ILSVRC 2012; the nearest are {names}"
