"""Numbers and names as the messages put them."""

from __future__ import annotations

from collections.abc import Sequence

from imagenet_subset.errors import printable

_NAMED = 3


def counted(n: int, one: str, many: str = "") -> str:
    """A number and its noun.

    Parameters
    ----------
    many
        Plural, where it isn't ``one`` with an s.

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
