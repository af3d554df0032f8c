"""How fast workers read and decode: a few photos of a build, tried by them.

Nothing is written but what libraries cache, and the process that plans loads no pipeline for it.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from imagenet_subset.building.notices import noticed
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.resolution import resolve_alone
from imagenet_subset.building.waiting import opened
from imagenet_subset.building.worker import photos_of
from imagenet_subset.columns import Location
from imagenet_subset.errors import ImagenetSubsetError, SourceError
from imagenet_subset.execution.context import current
from imagenet_subset.execution.runner import Runner, WorkerDied
from imagenet_subset.records import Record, Records, Split
from imagenet_subset.sources.base import DAMAGED, PhotoReader, Store
from imagenet_subset.sources.patience import closing
from imagenet_subset.system.text import printable
from pipelines.base import DeviceFailedError, Pipeline, PipelineUnavailableError
from pipelines.choice import PipelineConfig
from pipelines.request import PipelineRequest

PHOTOS = 50
"""Photos that each worker tries; of a pipeline that takes whole batches, two batches at least."""
_FIRST = 2
"""Photos that are decoded before time is taken: with the first ones memory is allocated and code
is compiled. Of a pipeline that takes whole batches, the first half."""


@dataclass(slots=True)
class Tried:
    """What became of the photos of a sample, by their numbers in it."""

    seconds: float = 0.0
    """What one worker took to read and decode, after the first ones."""
    timed: int = 0
    """Images that it decoded in that time."""
    undecodable: list[tuple[int, str]] = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    """Lines for the user: what the pipeline logged."""


@dataclass(frozen=True, slots=True)
class Sample:
    """How some photos of a build fared."""

    photos: int
    """How many were tried."""
    workers: int = 0
    """Workers that tried them, all at once."""
    rate: float | None = None
    """Images/s of these together, reading and decoding; None if nothing was decoded."""
    start: float = 0.0
    """Seconds until they were at it: to start, to open the pipeline, and for the first photos."""
    undecodable: tuple[tuple[Record, str], ...] = ()
    """Images that can't be decoded, each with the reason."""
    unreadable: tuple[tuple[Record, str], ...] = ()
    """Images whose files can't be read, likewise."""
    of_classes: Mapping[tuple[Split, str], int] = field(default_factory=dict)
    """How many were tried of each split of a class."""
    notices: tuple[str, ...] = ()
    problem: str = ""
    """Why no worker could try them, in a line; empty if one could."""

    @property
    def classes_without_good(self) -> list[tuple[Split, str]]:
        """Splits of classes of which no photo that was tried can be decoded."""
        bad = Counter((record.split, record.wnid) for record, _ in self.undecodable)
        return [which for which, count in bad.items() if count == self.of_classes[which]]


def take_sample(plan: BuildPlan, runner: Runner) -> Sample:
    """Have workers try some photos of a plan; the same ones each time.

    Those of this machine all try at once, each a share, as they hinder one another in a build too.
    Of an executor's, whose number may change, one does.
    """
    workers = plan.config.processes if runner.on_this_machine else 1
    shares = chosen(plan, workers)
    photos = sum(map(len, shares))
    tasks = ((number, _task(plan, runner, share)) for number, share in enumerate(shares))
    answers: dict[int, Tried] = {}
    began = time.perf_counter()
    try:
        runner.run(tasks, answers.__setitem__)
    except WorkerDied as died:
        return Sample(photos, problem=died.told("while it tried some of the photos"))
    except (ImagenetSubsetError, PipelineUnavailableError, DeviceFailedError) as error:
        return Sample(photos, problem=str(error))
    except MemoryError:
        return Sample(photos, problem="out of memory while a worker tried some of the photos")
    took = time.perf_counter() - began
    tried = [answers[number] for number in range(len(shares))]
    pairs = list(zip(shares, tried, strict=True))
    return Sample(
        photos,
        len(shares),
        sum(one.timed / one.seconds for one in tried if one.timed and one.seconds) or None,
        max(0.0, took - max(one.seconds for one in tried)),
        tuple((share[k], why) for share, one in pairs for k, why in one.undecodable),
        tuple((share[k], why) for share, one in pairs for k, why in one.unreadable),
        Counter((image.split, image.wnid) for share in shares for image in share),
        tuple(dict.fromkeys(line for one in tried for line in one.notices)),
    )


def _task(plan: BuildPlan, runner: Runner, share: Sequence[Record]) -> Callable[[], Tried]:
    here = runner.on_this_machine
    return functools.partial(
        try_photos,
        plan.store,
        plan.config.for_pool() if here else plan.config,
        None if here else plan.options.request,
        plan.options.workers,
        [record.location for record in share],
    )


def chosen(plan: BuildPlan, workers: int) -> list[list[Record]]:
    """Photos to try: from all over each split, as many as is its share; a part for each worker."""
    total = sum(plan.rows.values())
    each = max(PHOTOS, 2 * plan.config.batch_size if plan.config.kind.threaded else 0)
    found: list[Record] = []
    for records in plan.records.values():
        if count := len(records):
            share = min(count, max(1, round(each * workers * count / total)))
            found += [records[row] for row in _spread(plan.store, records, share)]
    size = math.ceil(len(found) / workers)
    return [found[k : k + size] for k in range(0, len(found), size)]


def _spread(store: Store, records: Records, count: int) -> list[int]:
    """So many rows of a split: all of some groups of the store, as a build reads them."""
    groups = sum(1 for _ in store.groups(records.locations))
    number = math.ceil(count * groups / len(records))
    places = {round(k * (groups - 1) / max(1, number - 1)) for k in range(number)}
    every = enumerate(store.groups(records.locations))
    rows = itertools.chain.from_iterable(group for place, group in every if place in places)
    return [int(row) for row in itertools.islice(rows, 2 * count)]


def try_photos(
    store: Store,
    config: PipelineConfig,
    request: PipelineRequest | None,
    workers: int | None,
    locations: Sequence[Location],
) -> Tried:
    """Read and decode photos as a task of a worker, and time it.

    Parameters
    ----------
    request, workers
        What a worker elsewhere resolves for itself, as for a build; None for one of this machine.

    Raises
    ------
    SourceError
        The photos can't be opened here.
    pipelines.base.PipelineUnavailableError
        The pipeline can't.
    """
    if request is not None:
        config = resolve_alone(request, workers)
    tried = Tried()
    first = len(locations) // 2 if config.kind.threaded else min(_FIRST, len(locations) // 2)
    with (
        noticed() as notices,
        closing(_reader(store)) as reader,
        contextlib.closing(opened(config)) as pipeline,
    ):
        _decode(config, reader, pipeline, range(first), locations, tried)
        start = time.perf_counter()
        rest = range(first, len(locations))
        tried.timed = _decode(config, reader, pipeline, rest, locations, tried)
        tried.seconds = time.perf_counter() - start
    tried.notices = list(dict.fromkeys([*tried.notices, *notices]))
    return tried


def _reader(store: Store) -> PhotoReader:
    try:
        return store.open()
    except OSError as error:
        raise SourceError(
            f"a worker can't open {printable(store.root)}: {error.strerror or error}; put that "
            "right and run the same command again"
        ) from error


def _decode(
    config: PipelineConfig,
    reader: PhotoReader,
    pipeline: Pipeline,
    numbers: Sequence[int],
    locations: Sequence[Location],
    tried: Tried,
) -> int:
    """Decode some of the photos; how many came out."""

    def read() -> Iterator[tuple[int, bytes]]:
        some = [locations[k] for k in numbers]
        with contextlib.closing(photos_of(config, reader, some)) as photos:
            for k, data in zip(numbers, photos, strict=True):
                if current().should_stop():
                    return
                if not isinstance(data, OSError):
                    yield k, data
                    continue
                bad = tried.undecodable if data.errno in DAMAGED else tried.unreadable
                bad.append((k, str(data.strerror or data)))

    done = 0
    for batch in pipeline.run(read()):
        done += len(batch.keys)
        tried.undecodable += batch.failures
        tried.notices += batch.notices
    return done
