"""Where the JPEGs are. `open_source` finds out what kind of source a path is."""

from __future__ import annotations

from pathlib import Path

from imagenet_subset.sources.base import Source


def open_source(data_dir: Path, train_list: Path | None = None) -> Source:
    """Open the source at ``data_dir``.

    Parameters
    ----------
    data_dir
        ``Data/CLS-LOC`` of ILSVRC 2012, or a folder above it.
    train_list
        ``train_cls.txt``, if it isn't at its usual place.

    Raises
    ------
    imagenet_subset.errors.SourceError
        There is no ImageNet at this path.
    """
    from imagenet_subset.sources.folder import open_folder

    return open_folder(data_dir, train_list)
