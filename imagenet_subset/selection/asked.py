"""Which train photos a build is asked for, and what makes no sense."""

from __future__ import annotations

import operator
import os
from collections.abc import Collection

from imagenet_subset.selection.choice import Choice, PerClass, Share


def check_choice(
    per_class: int | None,
    fraction: float | None,
    photo_list: str | os.PathLike[str] | None,
    seed: int,
    splits: Collection[str],
) -> None:
    """Refuse arguments of a build that don't go together, or make no sense.

    Raises
    ------
    ValueError
        They don't.
    """
    ways = {"per_class": per_class, "fraction": fraction, "photo_list": photo_list}
    given = [name for name, value in ways.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude one another; give one of them")
    if given and "train" not in splits:
        raise ValueError(f"{given[0]} chooses train photos, and splits has no train")
    if seed and given not in (["per_class"], ["fraction"]):
        raise ValueError("seed goes with per_class or fraction, and has no effect without them")
    drawn_choice(per_class, fraction, seed)


def drawn_choice(per_class: int | None, fraction: float | None, seed: int) -> Choice | None:
    """The choice that is asked for; None if none is.

    Raises
    ------
    ValueError
        A value makes no sense.
    """
    number = _whole("seed", seed, least=0)
    if per_class is not None:
        return PerClass(_whole("per_class", per_class, least=1), number)
    if fraction is None:
        return None
    if isinstance(fraction, (bool, str, bytes)) or not 0 < fraction <= 1:
        raise ValueError(f"fraction is above 0 and up to 1, not {fraction!r}")
    return Share(float(fraction), number)


def _whole(name: str, value: int, *, least: int) -> int:
    """A whole number, of NumPy's too."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
        raise ValueError(f"{name} is a whole number from {least} on, not {value!r}")
    return operator.index(value)
