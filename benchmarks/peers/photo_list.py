"""What every peer is given: the photos in the rows' order, the rows' shape, where to write."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SHAPE = (224, 224, 3)


@dataclass(frozen=True, slots=True)
class Task:
    """One run of a peer."""

    photos: list[Path]
    out: Path
    workers: int


def task() -> Task:
    """Read the task from the command line: LIST OUT WORKERS."""
    parser = argparse.ArgumentParser()
    parser.add_argument("list", type=Path, help="text file, one photo a line")
    parser.add_argument("out", type=Path, help="where the pixels go, (N, 224, 224, 3) uint8")
    parser.add_argument("workers", type=int)
    args = parser.parse_args()
    photos = [Path(line) for line in args.list.read_text().splitlines()]
    return Task(photos, args.out, args.workers)


def store_batches(job: Task, batches: Iterable[np.ndarray]) -> None:
    """Copy batches, ``(n, 224, 224, 3) uint8`` in the rows' order, into a memory map."""
    out = np.lib.format.open_memmap(job.out, "w+", np.uint8, (len(job.photos), *SHAPE))
    row = 0
    for batch in batches:
        out[row : row + len(batch)] = batch
        row += len(batch)
    out.flush()


def scaled_size(width: int, height: int) -> tuple[int, int]:
    """Width and height that torchvision's ``Resize(256)`` makes of an image.

    Examples
    --------
    >>> scaled_size(500, 375), scaled_size(333, 500)
    ((341, 256), (256, 384))
    """
    short, long = min(width, height), max(width, height)
    other = 256 * long // short
    return (256, other) if width <= height else (other, 256)


def corner(width: int, height: int) -> tuple[int, int]:
    """Left and top of torchvision's ``CenterCrop(224)`` in an image of this size."""
    return round((width - 224) / 2), round((height - 224) / 2)
