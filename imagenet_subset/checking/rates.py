"""How many photos a second a pipeline makes here, and the pipelines of the CPU beside it."""

from __future__ import annotations

import contextlib
import itertools
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from imagenet_subset.demo.photos import jpeg, photo
from imagenet_subset.npz.crc import crc32
from pipelines.base import Pipeline, PipelineUnavailableError
from pipelines.choice import PipelineConfig, resolve
from pipelines.kinds import TABLE
from pipelines.request import PipelineRequest

PHOTOS = 8192
"""Photos of a measurement: a GPU is at its full rate only after some batches."""
SECONDS = 10.0
"""What a measurement takes at most, about: without a GPU so many photos would take minutes."""
_DIFFERENT = 24
_FILES = 512
"""Files and rows that a measurement goes round, so that it takes little room on the disk."""
_ROUNDS, _TURN_SECONDS = 3, 0.6

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


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a pipeline decodes here."""

    pipeline: str
    device: str
    threads: int
    """Threads of the CPU that one pipeline has."""
    images_per_second: float
    """Of one pipeline, on files in memory, pixels dropped."""

    @classmethod
    def of(cls, config: PipelineConfig, images_per_second: float) -> Rate:
        """Rate of a pipeline that was opened by this config."""
        threads = config.threads if config.kind.threaded else 1
        return cls(config.name, config.device, threads, images_per_second)


@contextlib.contextmanager
def others_opened(
    tested: PipelineConfig, cores: int
) -> Iterator[list[tuple[PipelineConfig, Pipeline]]]:
    """The pipelines of the CPU that are installed and start, but for the one that is tested.

    Parameters
    ----------
    cores
        For those that use several; the others have one.
    """
    with contextlib.ExitStack() as pipelines:
        opened = []
        for kind in TABLE:
            if kind.device == "gpu" or (kind.name, kind.device) == (tested.name, tested.device):
                continue
            request = PipelineRequest("cpu", kind.name, rule=tested.rule)
            with contextlib.suppress(PipelineUnavailableError):
                config = resolve(request, cores if kind.threaded else 1)
                opened.append((config, pipelines.enter_context(contextlib.closing(config.open()))))
        yield opened


def side_by_side(
    opened: Sequence[tuple[PipelineConfig, Pipeline]],
    photos: list[bytes],
    count: int,
) -> list[Rate]:
    """Rates of several pipelines, the fastest first.

    They have their turns one after the other, several times, and the best turn of each counts: what
    else the machine does meanwhile then slows none of them alone.
    """
    best = [0.0] * len(opened)
    for _ in range(_ROUNDS):
        for k, (_config, pipeline) in enumerate(opened):
            best[k] = max(best[k], decode_rate(pipeline, photos, count, _TURN_SECONDS))
    found = [Rate.of(config, rate) for (config, _), rate in zip(opened, best, strict=True)]
    return sorted(found, key=lambda rate: -rate.images_per_second)
