"""Where the JPEGs are. `open_source` finds out in what form a path has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from imagenet_subset.errors import SourceError
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.folder import open_folder
from imagenet_subset.sources.instead import contents, listing_errors
from imagenet_subset.system.text import printable

FORMS: tuple[Callable[[Path], Store | None], ...] = (open_folder,)
"""One for each form, asked in this order: it opens the store at a path, by what is in it and not by
its name; None if that is no store of this form. The last takes any folder with ``train`` or ``val``
in it."""


def open_source(data_dir: Path) -> Store:
    """Open the photos at ``data_dir``.

    Parameters
    ----------
    data_dir
        ``Data/CLS-LOC`` of ILSVRC 2012, or a folder above it.

    Raises
    ------
    imagenet_subset.errors.SourceError
        There is no ImageNet at this path.
    """
    for open_form in FORMS:
        if store := open_form(data_dir):
            return store
    shown = printable(data_dir)
    if not data_dir.is_dir():
        what = "is a file, not a folder" if data_dir.exists() else "doesn't exist"
        raise SourceError(
            f"{shown} {what}; --data_dir is ILSVRC's Data/CLS-LOC, with train/ and val/ in it"
        )
    with listing_errors(data_dir):
        raise SourceError(
            f"{shown} has neither train/ nor val/ in it, nor Data/CLS-LOC/train: it "
            f"{contents(data_dir)}; --data_dir is ILSVRC's Data/CLS-LOC"
        )
