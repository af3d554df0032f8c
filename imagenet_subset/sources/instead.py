"""What to say where a folder has no photos: what is there instead, and the way out."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.sources.names import PHOTO_SUFFIXES
from imagenet_subset.system.files import broken_link
from imagenet_subset.system.text import counted, few, printable

_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip", ".parquet", ".tfrecord", ".7z", ".rar")


@contextlib.contextmanager
def listing_errors(path: str | os.PathLike[str], way_out: str = "") -> Iterator[None]:
    """Turn an operating system's failure to look into ``path`` into a `SourceError`."""
    try:
        yield
    except OSError as error:
        at = error.filename or path
        raise SourceError(
            f"can't list {printable(at)}: {error.strerror or error}; put that right"
            + (f", or {way_out}" if way_out else "")
        ) from error


def leave_out(wnid: str) -> str:
    """What to do about a class whose photos aren't there."""
    return f"take {wnid} out of the subset file"


def what_is_there(root: str, folder: str) -> str:
    """Say what is in a folder that has none of the photos that were looked for.

    Parameters
    ----------
    folder
        Path below ``root``.

    Raises
    ------
    OSError
        It can't be listed.
    """
    path, shown = os.path.join(root, folder), f"{printable(folder)}/"
    if os.path.isdir(path):
        return f"{shown} {contents(path)}"
    if link := broken_link(path):
        return f"{printable(folder)} is {link}"
    above, name = os.path.split(folder)
    parent = os.path.join(root, above)
    where = f"{printable(above)}/" if above else "the folder"
    if deeper := [e.name for e in _folders(parent) if os.path.isdir(os.path.join(e, name))]:
        return f"{shown} doesn't exist, but {where} has {printable(deeper[0])}/{printable(name)}/"
    if not os.path.isdir(parent):
        return f"{shown} doesn't exist"
    # Beside the splits archives are read; why one isn't is said by who tried.
    return f"{shown} doesn't exist, and {where} {contents(parent, name, to_unpack=bool(above))}"


def contents(path: str | os.PathLike[str], name: str = "", *, to_unpack: bool = True) -> str:
    """What a folder has, after its name; of many archives those that begin with ``name``.

    Raises
    ------
    OSError
        It can't be listed.
    """
    entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    names = [entry.name for entry in entries]
    if not names:
        return "is empty"
    if archives := _ending(names, _ARCHIVES):
        of_name = [archive for archive in archives if name and archive.startswith(name)]
        return f"has {few(of_name or archives)}{', to be unpacked' * to_unpack}"
    if photos := _ending(names, PHOTO_SUFFIXES):
        if link := broken_link(os.path.join(path, photos[0])):
            of = counted(len(photos), "photo")
            return f"has {of}, of which {printable(photos[0])} is {link}"
        return f"has {counted(len(photos), 'photo')} of other names, the first {few(photos[:1])}"
    for entry in _folders(path):
        if entry.name in class_table():
            continue  # the photos of another class, in their own folder
        if photos := _ending(sorted(os.listdir(entry)), PHOTO_SUFFIXES):
            inside = f"{printable(entry.name)}/, as {printable(photos[0])}"
            return f"has {counted(len(photos), 'photo')} one folder deeper, in {inside}"
    folders = len(_folders(path))
    what = [counted(folders, "folder")] * (folders > 0)
    what += [counted(len(names) - folders, "file")] * (len(names) > folders)
    return f"has {' and '.join(what)}, the first {few(names[:1])}, and no .JPEG"


def _ending(names: Iterable[str], suffixes: tuple[str, ...]) -> list[str]:
    return [name for name in names if name.lower().endswith(suffixes) and name[0] != "."]


def _folders(path: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    if not os.path.isdir(path):
        return []
    return sorted((e for e in os.scandir(path) if e.is_dir()), key=lambda entry: entry.name)
