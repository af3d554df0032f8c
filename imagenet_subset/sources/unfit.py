"""Files that may be ImageNet in a form that isn't read, and what makes each fit to be read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from imagenet_subset.system.text import few, printable


@dataclass(frozen=True, slots=True)
class Kind:
    """Files that aren't read for the same reason."""

    what: str
    """What such a file is; ``{it}`` is the file, or several."""
    remedy: str
    """What to do about it; ``{command}`` is how it is unpacked."""
    leaves_files: bool = True
    """Whether the remedy leaves something that is read."""
    unpacker: str = ""
    """Program that undoes a compression."""
    suffixes: tuple[str, ...] = ()
    """Of the names that this program takes."""

    def of_file(self, path: Path) -> str:
        """What is said of a file that is given for itself."""
        shown, then = printable(path), ", and give what comes out" * self.leaves_files
        what, remedy = self.what.format(it="it"), self._remedy([path], "it")
        return f"{shown} is {what}; {remedy}{then}"

    def of_files(self, folder: Path, paths: list[Path]) -> str:
        """What is said of files in a folder, or deeper in it."""
        names = few([str(path.relative_to(folder)) for path in paths])
        then = ", and give the same folder" * self.leaves_files
        what, remedy = self.what.format(it="them"), self._remedy(paths, "them")
        return f"{printable(folder)} has {names}, {what}; {remedy}{then}"

    def _remedy(self, paths: list[Path], it: str) -> str:
        command = f"{self.unpacker} -k"
        others = [path for path in paths if not path.name.endswith(self.suffixes)]
        if self.suffixes and others:
            # Another name than the first, or the shell empties what is to be unpacked.
            names = (others[0], others[0].with_name(f"{others[0].stem}-unpacked.tar"))
            source, target = (shlex.quote(printable(name)) for name in names)
            command = f"{self.unpacker} < {source} > {target}"
            command += " and so on" * (len(paths) > 1)
        return self.remedy.format(it=it, command=command)


def _compressed(by: str, unpacker: str, *suffixes: str) -> Kind:
    return Kind(
        f"compressed by {by}, so that a photo in {{it}} can't be found without reading all before "
        "it",
        "unpack {it} by {command}",
        unpacker=unpacker,
        suffixes=suffixes,
    )


_7Z = Kind("packed by 7-Zip, which isn't read", "unpack {it} by 7z x")
_RAR = Kind("packed by RAR, which isn't read", "unpack {it} by unrar x")
_ARROW = Kind(
    "in Arrow's format, the cache of Hugging Face's datasets, which isn't read",
    "give the parquet files of ILSVRC/imagenet-1k on Hugging Face",
    leaves_files=False,
)
_TFRECORD = Kind(
    "of TFRecord, which isn't read",
    "give the official tars, of which TFRecord is made; TFDS has them in downloads/manual",
    leaves_files=False,
)
_PART = Kind("a part of a download that isn't finished", "finish the download")
_BY_MAGIC = {
    b"\x1f\x8b": _compressed("gzip", "gunzip", ".gz", ".tgz"),
    b"BZh": _compressed("bzip2", "bunzip2", ".bz2", ".tbz2", ".tbz"),
    b"\xfd7zXZ\x00": _compressed("xz", "unxz", ".xz", ".txz"),
    b"\x28\xb5\x2f\xfd": _compressed("zstd", "unzstd", ".zst", ".tzst"),
    b"7z\xbc\xaf\x27\x1c": _7Z,
    b"Rar!": _RAR,
    b"ARROW1": _ARROW,
}
"""By how a file begins."""
_OF_PARTS = (".part", ".partial", ".crdownload", ".download", ".aria2", ".incomplete", ".!qb")
"""Suffixes that browsers and other programs give to what they haven't got whole."""
_OF_TFRECORD = re.compile(r".*\.tfrecords?\b.*|(train|validation)-[0-9]{5}-of-[0-9]{5}", re.DOTALL)
_SUFFIXES = (
    *(".tar", ".zip", ".parquet", ".arrow", ".7z", ".rar"),
    *(suffix for kind in _BY_MAGIC.values() for suffix in kind.suffixes),
)


def may_be_imagenet(name: str) -> bool:
    """Whether a file of this name may be an archive, or a part of one.

    Examples
    --------
    >>> may_be_imagenet("a.TGZ"), may_be_imagenet("a.tar.part"), may_be_imagenet("a.JPEG")
    (True, True, False)
    """
    lower = name.lower()
    return lower.endswith((*_SUFFIXES, *_OF_PARTS)) or bool(_OF_TFRECORD.fullmatch(lower))


def kind_of(file: Path) -> Kind | None:
    """Why a file isn't read; None if that can't be told.

    Raises
    ------
    OSError
        It can't be read.
    """
    name = file.name.lower()
    if name.endswith(_OF_PARTS):
        return _PART
    if _OF_TFRECORD.fullmatch(name):
        return _TFRECORD
    with file.open("rb") as opened:
        head = opened.read(8)
    found = next((kind for magic, kind in _BY_MAGIC.items() if head.startswith(magic)), None)
    # As a stream, which the cache has, Arrow's format has no mark at its beginning.
    return _ARROW if found is None and name.endswith(".arrow") else found


def by_kind(files: Iterable[Path]) -> dict[Kind, list[Path]]:
    """Those of some files that are of a kind that isn't read.

    Raises
    ------
    OSError
        One can't be read.
    """
    found: dict[Kind, list[Path]] = {}
    for file in files:
        if kind := kind_of(file):
            found.setdefault(kind, []).append(file)
    return found
