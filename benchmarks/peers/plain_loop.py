"""The plain loop: one process, Pillow, every array in memory, ``np.savez`` at the end."""

from __future__ import annotations

import numpy as np
from photo_list import task
from pillow_pool import load

if __name__ == "__main__":
    job = task()
    X = np.stack([load(path) for path in job.photos])
    np.savez(job.out, X=X, y=np.zeros(len(X), np.int32), ids=np.arange(len(X), dtype=np.int32))
