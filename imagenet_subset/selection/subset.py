"""Which classes, with which labels: a subset file, a list that is shipped, or some WNIDs."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from imagenet_subset.errors import SubsetError
from imagenet_subset.ilsvrc.classes import AUX_FILES, ImageClass
from imagenet_subset.ilsvrc.named_subsets import named_subsets, near, resolve
from imagenet_subset.selection.lines import (
    Line,
    looks_like_wnids,
    numbered,
    parse_lines,
    read_lines,
)
from imagenet_subset.system.text import printable

_SAFE_NAME = re.compile(r"[\w][\w.+-]*", re.ASCII)
_ALLOWED = "letters, digits, '_', '-', '+' and '.'"
_FIRST = "the first is a letter, a digit or '_'"


@dataclass(frozen=True, slots=True)
class Subset:
    """Classes in the order of a subset file, and their labels.

    Examples
    --------
    >>> from imagenet_subset.ilsvrc.classes import find_classes
    >>> cranes = Subset("cranes", tuple(find_classes("crane")))
    >>> cranes.labels, cranes.titles
    ((0, 1), ('crane (bird)', 'crane (machine)'))
    >>> Subset("any", cranes.classes, (0, 0), ("crane",)).titles
    ('crane',)
    """

    name: str
    classes: tuple[ImageClass, ...]
    labels: tuple[int, ...] = ()
    """Label of each class: from 0, ascending. By default each has its own."""
    names: tuple[str | None, ...] = ()
    """Of each label, the name that the file gives it, None where it gives none."""

    def __post_init__(self) -> None:
        if not self.labels:
            object.__setattr__(self, "labels", tuple(range(len(self.classes))))
        if not self.names:
            object.__setattr__(self, "names", (None,) * len(set(self.labels)))

    @classmethod
    def of_lines(cls, name: str, lines: list[Line]) -> Subset:
        """Subset whose labels are these lines."""
        labels = tuple(label for label, line in enumerate(lines) for _ in line.classes)
        classes = tuple(c for line in lines for c in line.classes)
        return cls(name, classes, labels, tuple(line.name for line in lines))

    @property
    def wnids(self) -> tuple[str, ...]:
        """WordNet IDs in the order of the classes."""
        return tuple(c.wnid for c in self.classes)

    @property
    def has_superclasses(self) -> bool:
        """Whether classes share a label."""
        return len(self.names) < len(self.classes)

    @property
    def titles(self) -> tuple[str, ...]:
        """What each label is called, by label; no two are the same."""
        first = dict(zip(self.labels[::-1], self.classes[::-1], strict=True))
        return tuple(name or first[label].title for label, name in enumerate(self.names))

    @property
    def sha256(self) -> str:
        """SHA-256 of the WNIDs: a line for each label, ended by a newline, spaces between them."""
        of_label = groupby(zip(self.labels, self.wnids, strict=True), key=lambda pair: pair[0])
        lines = (" ".join(wnid for _, wnid in pairs) for _, pairs in of_label)
        return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


def load_subset(name_or_path: str | os.PathLike[str], out_name: str | None = None) -> Subset:
    """Read a subset: a label for each line; blank lines and ``#`` comments are skipped.

    A line is a WNID; or a name, a colon and one or more WNIDs, which share the line's label.

    Parameters
    ----------
    name_or_path
        A name, looked up as ``<name>.txt`` in ``./aux_files`` and then among the names and aliases
        of the lists that come with the program; the path of a ``.txt``, in UTF-8 or UTF-16 with a
        byte order mark, any line ends; or WNIDs with commas between them, which have a label each.
    out_name
        What the output is named after; WNIDs have no other name. By default the file's name.

    Raises
    ------
    SubsetError
        No such file, or a line of it is wrong; names ``file:line``.
    """
    given = os.fspath(name_or_path)
    if out_name is not None and not _SAFE_NAME.fullmatch(out_name):
        raise SubsetError(f"--out_name '{printable(out_name)}': use {_ALLOWED} only; {_FIRST}")
    if out_name is not None and out_name.lower().endswith(".npz"):
        raise SubsetError(f"--out_name {out_name}: leave out .npz; NAME becomes NAME_cls.npz")
    if looks_like_wnids(given):
        words = enumerate(filter(None, map(str.strip, given.split(","))), 1)
        lines = parse_lines((f"--subset_name: word {n}", word) for n, word in words)
        if out_name is None:
            raise SubsetError("WNIDs have no name together; name the output by --out_name")
        return Subset.of_lines(out_name, lines)
    path = _find(given)
    named = _SAFE_NAME.fullmatch(path.stem) is not None
    if not named and out_name is None:
        raise SubsetError(
            f"{printable(path)}: the output is named after this file; use {_ALLOWED} only in its "
            "name, or name the output by --out_name"
        )
    lines = parse_lines(numbered(path, read_lines(path)))
    if not lines:
        raise SubsetError(f"{printable(path)}: no WNID in it; expected one per line")
    return Subset.of_lines(path.stem if named else out_name or "", lines)


def _find(name_or_path: str) -> Path:
    if name_or_path.endswith(".txt") or os.sep in name_or_path or "/" in name_or_path:
        return Path(name_or_path)
    own = Path("aux_files") / f"{name_or_path}.txt"
    if os.path.isfile(own):
        return own
    shipped = resolve(name_or_path)
    if shipped is not None:
        return AUX_FILES / f"{shipped}.txt"
    raise SubsetError(_no_subset(name_or_path, own.parent))


def _no_subset(name: str, folder: Path) -> str:
    """Message on a name that is neither in a folder nor among those shipped."""
    # Those of ilsvrc2012 are tables of facts and no subsets.
    stems = {p.stem for p in folder.glob("*.txt") if not p.stem.startswith("ilsvrc2012")}
    own = ", ".join(sorted(map(printable, stems - named_subsets().keys())))
    there = f" ({own})" if own else ""
    words = re.split(r"[\s,;]+", name.strip())
    nearest = ",".join(words) if all(map(looks_like_wnids, words)) else ", ".join(near(name))
    meant = f"did you mean {nearest}? " if nearest else ""
    return (
        f"no subset named '{printable(name)}' in ./aux_files{there} or among those shipped; "
        f"{meant}`imagenet-subset subsets` lists them; or give the path of a .txt"
    )
