"""How many photos a second a pipeline makes here, and the pipelines of the CPU beside it."""

from __future__ import annotations

import itertools
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from imagenet_subset.demo.photos import jpeg, photo
from imagenet_subset.npz.crc import crc32
from pipelines.base import Pipeline, PipelineUnavailableError
from pipelines.choice import resolve
from pipelines.request import PipelineRequest
from pipelines.rule import PixelRule

PHOTOS = 8192
"""Photos of a measurement: a GPU is at its full rate only after some batches."""
SECONDS = 10.0
"""What a measurement takes at most, about: without a GPU so many photos would take minutes."""
_DIFFERENT = 24
_FILES = 512
"""Files and rows that a measurement goes round, so that it takes little room on the disk."""
_REFERENCES = "pillow", "turbo"
_REFERENCE_SECONDS = 1.5

_Item = TypeVar("_Item")


def usual_photos(count: int) -> list[bytes]:
    """Up to ``count`` different JPEGs of ImageNet's mean size."""
    different = range(min(count, _DIFFERENT))
    return [jpeg(photo(k, 500, 375), subsampling="4:2:0") for k in different]


def decode_rate(
    pipeline: Pipeline, photos: list[bytes], count: int, seconds: float = SECONDS
) -> float:
    """Images/s on files in memory, pixels dropped."""
    for _ in pipeline.run(enumerate(photos)):
        pass  # the first batches allocate
    start, done = time.perf_counter(), 0
    fed = itertools.islice(itertools.cycle(photos), count)
    for batch in pipeline.run(enumerate(_until(start + seconds, fed))):
        done += len(batch.images)
    return done / (time.perf_counter() - start)


def whole_rate(
    pipeline: Pipeline, photos: list[bytes], count: int, seconds: float = SECONDS
) -> float:
    """Images/s with reading each file, and writing and checksumming each row."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{k}.JPEG") for k in range(min(count, _FILES))]
        for path, data in zip(paths, itertools.cycle(photos), strict=False):
            path.write_bytes(data)
        with Path(folder, "rows").open("wb", buffering=0) as rows:
            start, done = time.perf_counter(), 0
            fed = _until(start + seconds, itertools.islice(itertools.cycle(paths), count))
            for batch in pipeline.run((path.name, path.read_bytes()) for path in fed):
                for image in batch.images:
                    rows.seek(done % _FILES * image.nbytes)
                    rows.write(image)
                    crc32(image)
                    done += 1
            return done / (time.perf_counter() - start)


def _until(end: float, items: Iterable[_Item]) -> Iterator[_Item]:
    """Items up to a time of `time.perf_counter`; the first in any case."""
    for item in items:
        yield item
        if time.perf_counter() > end:
            return


def reference_rates(
    rule: PixelRule, photos: list[bytes], count: int, *, without: str
) -> dict[str, float]:
    """`decode_rate` on one core of each pipeline of the CPU that is for one core, if installed.

    Parameters
    ----------
    without
        Name of the pipeline that is measured already.
    """
    rates: dict[str, float] = {}
    for name in _REFERENCES:
        if name == without:
            continue
        try:
            pipeline = resolve(PipelineRequest("cpu", name, rule=rule), 1).open()
        except PipelineUnavailableError:
            continue
        try:
            rates[name] = decode_rate(pipeline, photos, count, _REFERENCE_SECONDS)
        finally:
            pipeline.close()
    return rates
