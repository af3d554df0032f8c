"""The plain loop: one process, Pillow, every array in memory, ``np.savez`` at the end."""

from __future__ import annotations

import numpy as np
from photo_list import task
from PIL import Image


def load(path: object) -> np.ndarray:
    """Resize(256) and CenterCrop(224) as torchvision does them with a PIL image."""
    image = Image.open(path).convert("RGB")
    w, h = image.size
    short, long = min(w, h), max(w, h)
    size = (256, 256 * long // short) if w <= h else (256 * long // short, 256)
    image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
    return np.asarray(image.crop((left, top, left + 224, top + 224)))


if __name__ == "__main__":
    job = task()
    X = np.stack([load(path) for path in job.photos])
    np.savez(job.out, X=X, y=np.zeros(len(X), np.int32), ids=np.arange(len(X), dtype=np.int32))
