"""Numbers, sizes and names as messages show them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

_NAMED = 3
JOINERS = frozenset("\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}")
"""Invisible characters that belong to how Persian, Indic scripts and joined emoji are spelled."""


def counted(n: int, one: str, many: str = "") -> str:
    """A number and its noun.

    Parameters
    ----------
    many
        Plural, if it isn't ``one`` with an s.

    Examples
    --------
    >>> counted(1, "train photo"), counted(1300, "photo"), counted(2, "class", "classes")
    ('1 train photo', '1,300 photos', '2 classes')
    """
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"


def few(names: Sequence[str]) -> str:
    """The first names of many, on one line.

    Examples
    --------
    >>> few(["a", "b", "c", "d"])
    'a, b, c, ...'
    """
    return ", ".join([printable(name) for name in names[:_NAMED]] + ["..."] * (len(names) > _NAMED))


def printable(path: str | os.PathLike[str]) -> str:
    r"""Path as text that fits in one line of a message.

    Control characters and undecodable bytes appear as escapes, and so do invisible ones, but for
    those of `JOINERS` where they join something.

    Examples
    --------
    >>> printable("val/a b\n.JPEG")
    'val/a b\\n.JPEG'
    """
    text = os.fspath(path)
    if text.isprintable():
        return text
    escaped = set(_unprintable(text))
    return "".join(
        c.encode("unicode_escape", "surrogatepass").decode() if place in escaped else c
        for place, c in enumerate(text)
    )


def first_unprintable(text: str) -> str | None:
    r"""First character of a text that `printable` escapes.

    Examples
    --------
    >>> first_unprintable("a\tb"), first_unprintable("a b"), first_unprintable("a\u200cb")
    ('\t', None, '\u200c')
    """
    return next((text[place] for place in _unprintable(text)), None)


def _unprintable(text: str) -> Iterator[int]:
    """Places of what is escaped."""
    for place, c in enumerate(text):
        if c in JOINERS:
            around = text[place - 1 : place] + text[place + 1 : place + 2]
            # In ASCII alone, as that of a WNID, they join nothing and would only hide.
            if len(around) == 2 and around.isprintable() and not around.isascii():
                continue
        if not c.isprintable():
            yield place


def gigabytes(size: int) -> str:
    """Size in bytes for people, in decimal units.

    Examples
    --------
    >>> gigabytes(5_871_000_000), gigabytes(150_528_000), gigabytes(2_900)
    ('5.87 GB', '151 MB', '3 kB')
    """
    if size >= 1e9:
        return f"{size / 1e9:.2f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def duration(seconds: float) -> str:
    """Time for people.

    Examples
    --------
    >>> duration(0.42), duration(59.6), duration(200), duration(7_500), duration(300_000)
    ('0.4 s', '1 min', '3 min 20 s', '2 h 5 min', '3 d 11 h')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s".replace(".0 s", " s")
    whole = round(seconds)
    for size, name, part, small in ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"),
                                    (60, "min", 1, "s")):  # fmt: skip
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {name}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"
