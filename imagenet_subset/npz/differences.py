"""Where two JSON-like mappings differ: in a provenance, and in a journal's fingerprint."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imagenet_subset.system.text import printable


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that two mappings don't agree on."""

    path: tuple[str, ...]
    """Keys that lead to the field, the outermost first."""
    there: Any
    """The other side's value; None where it has none."""
    here: Any
    """Our value, likewise."""

    @property
    def name(self) -> str:
        """The field, as in ``pipeline.versions.pillow``."""
        return printable(".".join(self.path))

    def __str__(self) -> str:
        return f"{self.name}: {_brief(self.there)} there, {_brief(self.here)} here"


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
    """
    found: list[Difference] = []
    for key in sorted(theirs.keys() | ours.keys()):
        there, here = theirs.get(key), ours.get(key)
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            found += compare(there, here, (*path, key))
        elif there != here:
            found.append(Difference((*path, key), there, here))
    return found


def _brief(value: Any) -> str:
    # reprlib goes a few levels deep only: a forged file may have nested lists without end.
    text = "nothing" if value is None else value
    text = text if isinstance(text, str) else reprlib.repr(text)
    return printable(text if len(text) <= 40 else text[:37] + "...")
