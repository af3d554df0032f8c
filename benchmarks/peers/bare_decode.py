"""The floor: libjpeg-turbo decodes every photo to RGB in threads, and nothing else is done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import simplejpeg
from photo_list import task

if __name__ == "__main__":
    job = task()

    def decode(place: int) -> None:
        """Read and decode one photo; the pixels are dropped."""
        simplejpeg.decode_jpeg(job.photos[place].read_bytes(), "RGB", strict=False)

    with ThreadPoolExecutor(job.workers) as pool:
        list(pool.map(decode, range(len(job.photos))))
