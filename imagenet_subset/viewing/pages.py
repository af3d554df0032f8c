"""The files of a contact sheet: their names, and the mark by which they are known as its own.

A sheet of fewer pages than the one before must not leave that one's last pages beside it, where
they look like its own. What nobody marked as such a page is never removed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from imagenet_subset.system.files import regular, writing

_MARK = "imagenet-subset preview: page {} of a sheet"
# The comment comes before the pixels, so that it is near the file's beginning.
_PNG, _HEAD_BYTES = b"\x89PNG\r\n\x1a\n", 1024


def page_path(out: Path, number: int) -> Path:
    """Path of a page: ``sheet.png``, ``sheet-2.png`` etc."""
    return out if number == 1 else out.with_name(f"{out.stem}-{number}{out.suffix}")


def mark_of(number: int) -> str:
    """Comment in the file of a page, the first being 1."""
    return _MARK.format(number)


def remove_former_pages(out: Path, n_pages: int) -> None:
    """Remove the pages of a former sheet of this name beyond ``n_pages``.

    Raises
    ------
    OutputError
        One can't be removed.
    """
    page = re.compile(rf"{re.escape(out.stem)}-([1-9][0-9]*){re.escape(out.suffix)}", re.ASCII)
    try:
        names = sorted(os.listdir(out.parent))
    except PermissionError:  # one may write in a folder that one may not read
        return
    for name in names:
        match = page.fullmatch(name)
        if match and int(match[1]) > n_pages and _is_page(out.with_name(name), int(match[1])):
            with writing(out.with_name(name)):
                out.with_name(name).unlink(missing_ok=True)


def _is_page(path: Path, number: int) -> bool:
    """Whether a file is marked as a page with this number; one that can't be read is none."""
    if path.is_symlink():  # we make none
        return False
    try:
        with open(path, "rb", opener=regular) as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return head.startswith(_PNG) and f"Comment\0{mark_of(number)}".encode() in head
