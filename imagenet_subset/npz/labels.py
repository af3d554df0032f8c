"""What the labels of an NPZ are called, and which classes each has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from imagenet_subset.npz.class_csv import ClassRow


@dataclass(frozen=True, slots=True)
class Label:
    """One label of an NPZ."""

    number: int
    name: str
    """No other label of the file has it. That of the class, with its meaning where ILSVRC has the
    name twice; of a superclass, that of the subset file. Empty where nothing names the label."""
    rows: tuple[ClassRow, ...]
    """Its classes; empty where nothing says them."""
    named: bool = False
    """Whether the subset file names it."""

    @property
    def title(self) -> str:
        """Name, or what is shown in place of it.

        Examples
        --------
        >>> Label(3, "", ()).title
        'class 3'
        """
        return self.name or f"class {self.number}"

    @property
    def wnid(self) -> str:
        """WordNet ID, or how many it has; empty where nothing says it."""
        if len(self.rows) > 1:
            return f"{len(self.rows):,} WNIDs"
        return self.rows[0].WNID if self.rows else ""

    def to_dict(self) -> dict[str, Any]:
        """The label as JSON takes it: the fields of its class, or a name and those of each."""
        if self.named or len(self.rows) > 1:
            classes = [row._asdict() for row in self.rows]
            return {"subset_label": self.number, "name": self.name, "classes": classes}
        return (self.rows[0] if self.rows else ClassRow(self.number, 0, "", ""))._asdict()


def labels_of(rows: Sequence[ClassRow], names: Sequence[str | None] = ()) -> tuple[Label, ...]:
    """Labels of the classes of a file, ascending.

    A name that several labels would have gets the WNID added or, where that won't do, the label.

    Parameters
    ----------
    rows
        The classes, by ascending label.
    names
        Of each label, the name that its subset file gives it, if it does.

    Examples
    --------
    >>> cranes = [ClassRow(0, 429, "n02012849", "crane"), ClassRow(1, 595, "n03126707", "crane")]
    >>> [label.name for label in labels_of(cranes)]
    ['crane (bird)', 'crane (machine)']
    """
    of_label = {n: tuple(some) for n, some in groupby(rows, key=lambda row: row.subset_label)}
    given = dict(enumerate(names))
    titles = {n: given.get(n) or " or ".join(map(_title, of_label[n])) for n in of_label}
    wnids = {n: some[0].WNID if len(some) == 1 else str(n) for n, some in of_label.items()}
    for added in (wnids, {n: str(n) for n in of_label}):
        counts = Counter(titles.values())
        titles = {n: f"{t} ({added[n]})" if counts[t] > 1 else t for n, t in titles.items()}
    return tuple(Label(n, titles[n], some, bool(given.get(n))) for n, some in of_label.items())


def _title(row: ClassRow) -> str:
    """Name of a class: ILSVRC's with its meaning, unless the CSV has another."""
    from imagenet_subset.ilsvrc.classes import class_table

    known = class_table().get(row.WNID)
    if known and known.human_label == row.human_label:
        return known.title
    return row.human_label or row.WNID or f"class {row.subset_label}"
