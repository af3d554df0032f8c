"""Where the JPEGs are. `open_source` finds out in what form a path has them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from imagenet_subset.errors import SourceError
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.folder import FolderStore, open_folder
from imagenet_subset.sources.joined import JoinedStore
from imagenet_subset.sources.parquet import open_parquet
from imagenet_subset.sources.tars import open_tar, open_tars_of_classes
from imagenet_subset.sources.unread import nothing, unread
from imagenet_subset.sources.zip import open_zip
from imagenet_subset.system.text import few, printable

FORMS: tuple[Callable[[Path], Store | None], ...] = (
    open_folder,
    open_tar,
    open_zip,
    open_parquet,
)
"""One for each form, the best first: it opens the store at a path, by what is in it and not by its
name; None if that is no store of this form."""


def open_source(data_dir: Path) -> Store:
    """Open the photos at ``data_dir``.

    Parameters
    ----------
    data_dir
        ``Data/CLS-LOC`` of ILSVRC 2012, or a folder above it; an archive, or a folder of archives.
        Each split is read from the best form that has it.

    Raises
    ------
    imagenet_subset.errors.SourceError
        There is no ImageNet at this path.
    """
    data_dir = Path(os.path.abspath(data_dir))
    stores, errors = _stores(data_dir)
    if os.path.isfile(data_dir) and len(stores) == 1 and stores[0].splits < frozenset(SPLITS):
        stores += [s for s in _beside(data_dir) if not s.splits <= stores[0].splits]
    if not stores:
        raise errors[0] if errors else nothing(data_dir)
    store = _joined(data_dir, stores)
    notes = [note for part in stores for note in part.notes]
    notes += [f"{error}; it is left out" for error in errors]
    notes += _twice(stores)
    if others := unread(data_dir, stores):
        forms = " and ".join(dict.fromkeys(store.form for store in stores))
        notes.append(f"reads {forms} in {printable(data_dir)}, not {few(others)}")
    return replace(store, notes=tuple(notes)) if notes else store  # type: ignore[type-var]


def _stores(data_dir: Path) -> tuple[list[Store], list[SourceError]]:
    """The best stores at a path that together have both splits, as far as they are there.

    What is wrong with others is an error only if there is no store at all.
    """
    stores: list[Store] = []
    errors: list[SourceError] = []
    empty: list[Store] = []
    lacking = set(SPLITS)
    for open_form in FORMS:
        try:
            store = open_form(data_dir)
        except SourceError as error:
            errors.append(error)
            continue
        if store and store.splits & lacking:
            stores.append(store)
            lacking -= store.splits
        elif store:
            empty.append(store)
        if isinstance(store, FolderStore) and (tars := open_tars_of_classes(Path(store.root))):
            stores.append(tars)
            lacking -= tars.splits
        if not lacking:
            break
    return stores or (empty[:1] if not errors else []), errors


def _beside(file: Path) -> list[Store]:
    """Store of what is beside a file that has one split only."""
    with contextlib.suppress(SourceError):
        stores, _ = _stores(file.parent)
        return [store for store in stores if store.root != str(file)]
    return []


def _twice(stores: list[Store]) -> Iterator[str]:
    """A note on each split that several stores have."""
    for split in SPLITS:
        having = [s.form for s in stores if split in s.splits and not s.complements]
        if len(having) > 1:
            yield f"reads {split} from {having[0]}, not from {' and '.join(having[1:])}"


def _joined(root: Path, stores: list[Store]) -> Store:
    if len(stores) == 1:
        return stores[0]
    of: dict[Split, tuple[int, ...]] = {}
    for split in SPLITS:
        having = [k for k, store in enumerate(stores) if split in store.splits]
        # Classes in folders and those still in tars make up a split together.
        together = [k for k in having if k == having[0] or stores[k].complements]
        of[split] = tuple(together)
    return JoinedStore(str(root), tuple(stores), of, frozenset(s for s in SPLITS if of[s]))
