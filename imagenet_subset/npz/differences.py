"""Where two JSON-like mappings differ: in a provenance, and in a journal's fingerprint."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from imagenet_subset.system.text import printable

_SHOWN = 40
"""Characters of a value that are shown: where both sides begin alike, from where they part."""
_KEPT = _SHOWN - len("...")
_WAYS = ("per_class", "fraction", "photo_list")
"""Fields of a choice of train photos, of which it has one."""
_FLAGS = {
    ("choice", "seed"): "--seed",
    ("choice", "per_class"): "--per_class",
    ("choice", "fraction"): "--fraction",
    ("choice", "photo_list", "name"): "--photo_list",
    ("pipeline", "name"): "--pipeline",
    ("pipeline", "device"): "--device",
}
"""Flags that set a field, and say more to a user than its name."""
_OUTER = ("provenance",), ("records",)
"""What a journal puts fields in."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that two mappings don't agree on.

    Examples
    --------
    >>> rules = (f"as all of them are, and this for long: side {side}" for side in (256, 72))
    >>> print(Difference(("rule",), *rules))
    rule: ...256 there, ...72 here
    """

    path: tuple[str, ...]
    """Keys that lead to the field, the outermost first."""
    there: Any
    """The other side's value; None where it has none."""
    here: Any
    """Our value, likewise."""

    @property
    def name(self) -> str:
        """The field, as in ``pipeline.versions.pillow``, or the flag that sets it."""
        path = self.path[1:] if self.path[:1] in _OUTER and self.path[1:] else self.path
        return _FLAGS.get(path) or printable(".".join(path))

    def __str__(self) -> str:
        there, here = _text(self.there), _text(self.here)
        if max(len(there), len(here)) > _SHOWN and there[:_KEPT] == here[:_KEPT]:
            start = _alike(there, here)
            there, here = (f"...{text[start:]}" for text in (there, here))
        after = "" if self.name.startswith("--") else ":"
        return f"{self.name}{after} {_brief(there)} there, {_brief(here)} here"


def compare(
    theirs: Mapping[str, Any], ours: Mapping[str, Any], path: tuple[str, ...] = ()
) -> list[Difference]:
    """Fields in which two mappings differ, by name; those inside them are compared likewise.

    Parameters
    ----------
    path
        Keys that lead to these mappings.

    Examples
    --------
    >>> [str(d) for d in compare({"pipe": {"name": "dali"}, "a": 1}, {"pipe": {"name": "x"}})]
    ['a: 1 there, nothing here', 'pipe.name: dali there, x here']
    >>> [str(d) for d in compare({"choice": {"per_class": 3, "seed": 0}}, {})]
    ['train photos: --per_class 3 --seed 0 there, all here']
    >>> [str(d) for d in compare({"choice": {"seed": 1}}, {"choice": {"seed": 0}})]
    ['--seed 1 there, 0 here']
    """
    found: list[Difference] = []
    keys = theirs.keys() | ours.keys()
    if theirs.get("pixel_rule") != ours.get("pixel_rule"):
        keys -= {"rule"}  # the same in parts
    for key in sorted(keys):
        there, here = theirs.get(key), ours.get(key)
        if key == "choice" and _way(there) != _way(here):
            found.append(Difference((*path, "train photos"), _choice(there), _choice(here)))
        elif isinstance(there, Mapping) and isinstance(here, Mapping):
            found += compare(there, here, (*path, key))
        elif there != here:
            found.append(Difference((*path, key), there, here))
    return found


def _way(choice: Any) -> list[str]:
    """How train photos were chosen; empty where all were wanted."""
    return [way for way in _WAYS if isinstance(choice, Mapping) and way in choice]


def _choice(fields: Any) -> str:
    """A choice of train photos on a line, by its flags: ``--per_class 3 --seed 0``."""
    if not isinstance(fields, Mapping):
        return "all"
    shown = {name: fields[name] for name in (*_WAYS, "seed") if name in fields}
    return " ".join(
        f"--{name} {_text(value.get('name') if isinstance(value, Mapping) else value)}"
        for name, value in shown.items()
    )


def _text(value: Any) -> str:
    # reprlib goes a few levels deep only: a forged file may have nested lists without end.
    text = "nothing" if value is None else value
    return text if isinstance(text, str) else reprlib.repr(text)


def _alike(one: str, other: str) -> int:
    """Length of the words with which both begin."""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return one.rfind(" ", 0, sum(1 for _ in pairs)) + 1


def _brief(text: str) -> str:
    return printable(text if len(text) <= _SHOWN else text[:_KEPT] + "...")
