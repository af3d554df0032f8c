"""Pillow, or pillow-simd in its place, in a pool of processes that share a memory map."""

from __future__ import annotations

from multiprocessing import Pool
from pathlib import Path

import numpy as np
from photo_list import SHAPE, corner, scaled_size, task
from PIL import Image


def load(path: Path) -> np.ndarray:
    """Pixels of a photo."""
    return crop(Image.open(path))


def crop(image: Image.Image) -> np.ndarray:
    """Resize(256) and CenterCrop(224) as torchvision does them with a PIL image."""
    image = image.convert("RGB")
    image = image.resize(scaled_size(*image.size), Image.Resampling.BILINEAR)
    left, top = corner(*image.size)
    return np.asarray(image.crop((left, top, left + 224, top + 224)))


def begin(out: Path) -> None:
    """Open the memory map in a worker."""
    global rows
    rows = np.load(out, mmap_mode="r+")


def store(row: int, path: Path) -> None:
    """Load a photo into its row."""
    rows[row] = load(path)


if __name__ == "__main__":
    job = task()
    np.lib.format.open_memmap(job.out, "w+", np.uint8, (len(job.photos), *SHAPE))
    with Pool(job.workers, begin, (job.out,)) as pool:
        pool.starmap(store, enumerate(job.photos), chunksize=16)
