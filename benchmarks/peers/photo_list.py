"""What every peer is given: the list of photos in the rows' order, and where to write."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

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
