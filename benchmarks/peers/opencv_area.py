"""OpenCV: ``imdecode`` and ``INTER_AREA`` in threads, into a memory map. Other pixels."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
from photo_list import SHAPE, corner, scaled_size, task

if __name__ == "__main__":
    cv2.setNumThreads(0)
    job = task()
    out = np.lib.format.open_memmap(job.out, "w+", np.uint8, (len(job.photos), *SHAPE))

    def load(row: int) -> None:
        """Decode, resize the shorter side to 256, crop the centre."""
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        image = cv2.imdecode(np.fromfile(job.photos[row], np.uint8), flags)
        size = scaled_size(image.shape[1], image.shape[0])
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        left, top = corner(*size)
        cv2.cvtColor(image[top : top + 224, left : left + 224], cv2.COLOR_BGR2RGB, out[row])

    with ThreadPoolExecutor(job.workers) as pool:
        list(pool.map(load, range(len(job.photos))))
    out.flush()
