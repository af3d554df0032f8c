"""Which classes: a subset file, its lines in the order of the labels."""

from __future__ import annotations

import difflib
import hashlib
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

from imagenet_subset.errors import SubsetError
from imagenet_subset.ilsvrc.classes import AUX_FILES, MEANINGS, ImageClass, class_table, plain
from imagenet_subset.system.files import regular
from imagenet_subset.system.text import printable

_LARGEST = 1_000_000
"""Bytes of a subset file; the 1,000 WNIDs take 10,000, the rest is for comments."""


_SAFE_NAME = re.compile(r"[\w][\w.+-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Subset:
    """Classes in the order of a subset file; a class's place is its label."""

    name: str
    classes: tuple[ImageClass, ...]

    @property
    def wnids(self) -> tuple[str, ...]:
        """WordNet IDs by label."""
        return tuple(c.wnid for c in self.classes)

    @property
    def sha256(self) -> str:
        """SHA-256 of the WNIDs, one per line, each line ended by a newline."""
        return hashlib.sha256("".join(f"{w}\n" for w in self.wnids).encode()).hexdigest()


def load_subset(name_or_path: str | os.PathLike[str]) -> Subset:
    """Read a subset file: one WNID per line; blank lines and ``#`` comments are skipped.

    Parameters
    ----------
    name_or_path
        A name, looked up as ``<name>.txt`` in ``./aux_files`` and then among the files that come
        with the program; or the path of a ``.txt``. UTF-8 or UTF-16 with a byte order mark, any
        line ends.

    Raises
    ------
    SubsetError
        No such file, or a line of it is wrong; names ``file:line``.
    """
    path = _find(os.fspath(name_or_path))
    name = path.stem
    if not _SAFE_NAME.fullmatch(name):
        raise SubsetError(
            f"{printable(path)}: the output is named after this file; use letters, digits, '_', "
            "'-', '+' and '.' only in its name"
        )
    lines: dict[str, int] = {}
    for number, line in enumerate(_read(path), 1):
        wnid = line.partition("#")[0].strip()
        if not wnid:
            continue
        where = f"{printable(path)}:{number}"
        if wnid in lines:
            raise SubsetError(f"{where}: {wnid} is in line {lines[wnid]} already; remove one")
        if wnid not in class_table():
            raise SubsetError(f"{where}: {_unknown(wnid)}")
        lines[wnid] = number
    if not lines:
        raise SubsetError(f"{printable(path)}: no WNID in it; expected one per line")
    return Subset(name, tuple(class_table()[wnid] for wnid in lines))


def _find(name_or_path: str) -> Path:
    if name_or_path.endswith(".txt") or os.sep in name_or_path or "/" in name_or_path:
        return Path(name_or_path)
    folders = (Path("aux_files"), AUX_FILES)
    for folder in folders:
        path = folder / f"{name_or_path}.txt"
        if os.path.isfile(path):
            return path
    stems = {printable(p.stem) for folder in folders for p in folder.glob("*.txt")}
    # Those are tables of facts and no subsets.
    names = sorted(stem for stem in stems if not stem.startswith("ilsvrc2012"))
    raise SubsetError(
        f"no subset named {printable(name_or_path)!r} in ./aux_files or among those shipped "
        f"({', '.join(names)}); give one of these, or the path of a .txt"
    )


def _read(path: Path) -> list[str]:
    """Lines of a subset file, as an editor would number them."""
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


def _with_meaning(c: ImageClass) -> str:
    meaning = MEANINGS.get(c.wnid)
    return f"{c.wnid} ({meaning})" if meaning else c.wnid


def _unknown(word: str) -> str:
    """Say what was probably meant by a word that is not a WNID."""
    shown = printable(word[:40])
    named = [c for c in class_table().values() if plain(c.human_label) == plain(word)]
    if named:
        wnids = " or ".join(_with_meaning(c) for c in named)
        return f"expected a WNID, found the name {shown!r}; write {wnids}"
    near = difflib.get_close_matches(word, class_table(), n=3, cutoff=0.6)
    if not near:
        return (
            f"expected a WNID of ILSVRC 2012 such as n12267677, found {shown!r}; "
            "`imagenet-subset classes` lists them"
        )
    names = " or ".join(f"{wnid} ({class_table()[wnid].title})" for wnid in near)
    return f"{shown} is not a WNID of ILSVRC 2012; the nearest are {names}"
