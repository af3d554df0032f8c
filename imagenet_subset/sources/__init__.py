"""Where the JPEGs are. `open_source` finds out in what form a path has them."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from imagenet_subset.columns import Texts
from imagenet_subset.errors import SourceError
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.folder import FolderStore, open_folder, tars_of_classes
from imagenet_subset.sources.joined import joined
from imagenet_subset.sources.unread import nothing, unfit, unread
from imagenet_subset.system.text import few, printable

_Opener = Callable[[Path], Store | None]


def _form(function: str, module: str) -> _Opener:
    """What opens a form, from a module that is imported then: most people have folders."""

    def open_form(path: Path) -> Store | None:
        opener: _Opener = getattr(importlib.import_module(module, __name__), function)
        return opener(path)

    return open_form


FORMS: tuple[_Opener, ...] = (
    open_folder,
    _form("open_tar", ".tar.kinds"),
    _form("open_zip", ".zip.store"),
    _form("open_parquet", ".parquet.store"),
)
"""One for each form, the best first: it opens the store at a path, by what is in it and not by its
name; None if that is no store of this form."""


def open_source(data_dir: Path) -> Store:
    """Open the photos at ``data_dir``.

    Parameters
    ----------
    data_dir
        ImageNet as you have it: ``Data/CLS-LOC`` or a folder above, tars, Kaggle's zip, parquet or
        WebDataset shards; the file, or the folder of the files.
        Each split is read from the best form that has it.

    Raises
    ------
    imagenet_subset.errors.SourceError
        There is no ImageNet at this path.
    """
    data_dir = _of_hub(data_dir)
    stores, errors = _stores(data_dir)
    if os.path.isfile(data_dir) and len(stores) == 1 and stores[0].splits < frozenset(SPLITS):
        stores += [s for s in _beside(data_dir) if not s.splits <= stores[0].splits]
    if not stores:
        raise errors[0] if errors else nothing(data_dir)
    folder = Path(os.path.abspath(data_dir))
    store = joined(str(folder), stores)
    notes = [note for store in stores for note in store.notes]
    notes += [f"{error}; it is left out" for error in errors]
    lacking = [split for split in SPLITS if split not in store.splits]
    notes += unfit(folder, lacking, "; ".join([*map(str, errors), *notes]))
    others = unread(folder, stores)
    if others or any(_twice(stores, split) for split in SPLITS):
        read = " and ".join(_read_from(stores, split) for split in SPLITS)
        read = stores[0].form if len(stores) == 1 else read
        unused = f", not {few(others)}" if others else ""
        where = f"{printable(data_dir)}{unused}"
        notes.append(f"reads {read} in {where}; to read another, give its path")
    return replace(store, notes=tuple(notes)) if notes else store  # type: ignore[type-var]


def _of_hub(path: Path) -> Path:
    """Folder of the files, in a repository as Hugging Face's hub has it in its cache."""
    with contextlib.suppress(OSError, ValueError):
        commit = (path / "refs" / "main").read_text(encoding="ascii").strip()
        if (snapshot := path / "snapshots" / commit).is_dir():
            return snapshot
    return path


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
        if isinstance(store, FolderStore) and (names := tars_of_classes(Path(store.root))):
            from imagenet_subset.sources.tar.store import ClassTarStore

            stores.append(ClassTarStore(store.root, Texts.of(names), frozenset(["train"])))
            lacking.discard("train")
        if not lacking:
            break
    return stores or (empty[:1] if not errors else []), errors


def _beside(file: Path) -> list[Store]:
    """Store of what is beside a file that has one split only."""
    with contextlib.suppress(SourceError):
        stores, _ = _stores(file.parent)
        return [store for store in stores if store.root != os.path.abspath(file)]
    return []


def _twice(stores: list[Store], split: Split) -> list[str]:
    """Forms that have a split too, and aren't read for it."""
    having = [store for store in stores if split in store.splits]
    return [store.form for store in having[1:] if not store.complements]


def _read_from(stores: list[Store], split: Split) -> str:
    """What a split is read from, and what not, for people."""
    having = [store for store in stores if split in store.splits]
    read = [store.form for k, store in enumerate(having) if k == 0 or store.complements]
    unused = _twice(stores, split)
    text = f"{split} from {' and '.join(read) or 'nowhere'}"
    return f"{text} (not from {' and '.join(unused)})" if unused else text
