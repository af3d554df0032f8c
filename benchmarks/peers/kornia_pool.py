"""kornia-rs, its decoder and its resize, in a pool of processes that share a memory map."""

from __future__ import annotations

from multiprocessing import Pool
from pathlib import Path

import numpy as np
from kornia_rs.imgproc import resize
from kornia_rs.io import read_image_jpegturbo
from photo_list import SHAPE, corner, scaled_size, task


def begin(out: Path) -> None:
    """Open the memory map in a worker."""
    global rows
    rows = np.load(out, mmap_mode="r+")


def store(row: int, path: Path) -> None:
    """Load a photo into its row. By bilinear kornia-rs has no antialias."""
    image = read_image_jpegturbo(str(path))
    width, height = scaled_size(image.shape[1], image.shape[0])
    left, top = corner(width, height)
    image = resize(image, (height, width), "bilinear")
    rows[row] = image[top : top + 224, left : left + 224]


if __name__ == "__main__":
    job = task()
    np.lib.format.open_memmap(job.out, "w+", np.uint8, (len(job.photos), *SHAPE))
    with Pool(job.workers, begin, (job.out,)) as pool:
        pool.starmap(store, enumerate(job.photos), chunksize=16)
