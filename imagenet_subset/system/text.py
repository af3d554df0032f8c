"""Numbers, sizes and names as messages show them."""

from __future__ import annotations

import os
from collections.abc import Sequence

_NAMED = 3


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

    Control characters and undecodable bytes appear as escapes.

    Examples
    --------
    >>> printable("val/a b\n.JPEG")
    'val/a b\\n.JPEG'
    """
    text = os.fspath(path)
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


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
