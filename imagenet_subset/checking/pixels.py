"""The pixels of a finished NPZ against its photos, decoded again by the reference pipeline."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from imagenet_subset.checking.file import VerifyReport
from imagenet_subset.checking.originals import Originals, find_originals, sampled
from imagenet_subset.columns import Location
from imagenet_subset.errors import ReadError, WorkerDiedError
from imagenet_subset.execution.local import LocalPool
from imagenet_subset.execution.runner import WorkerDied, nothing
from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.records import Split
from imagenet_subset.sources import open_source
from imagenet_subset.sources.base import PhotoReader, Store
from imagenet_subset.sources.grouping import divided
from imagenet_subset.sources.patience import read_each
from imagenet_subset.system.text import printable
from pipelines.bounds import EXACT, Bounds
from pipelines.kinds import bounds_of
from pipelines.rule import DEFAULT, PixelRule

_CHUNK = 16
_NAMED = 20
"""Rows that are named of those that differ; the others are counted."""
_LONGEST_RULE = 200
"""Characters that are shown of a pixel rule that this program doesn't know."""

Progress = Callable[[int], object]
Outcome = tuple[int, float] | str
"""Largest and mean difference of an image, of 255; or why its photo can't be decoded."""


def compare_with_photos(
    report: VerifyReport,
    data_dir: str | Path,
    *,
    train_list: str | Path | None = None,
    sample: int | None = 200,
    seed: int = 0,
    workers: int = 1,
    begins: Progress = nothing,
    progress: Progress = nothing,
) -> None:
    """Decode photos again with Pillow, compare, and add what differs to the report.

    A file made by a pipeline that is bit-identical to Pillow must be equal; one made by DALI may
    differ within the bounds that the parity tests hold it to.

    Parameters
    ----------
    report
        Of `imagenet_subset.checking.file.verify` on the same file, which must be readable.
    data_dir, train_list
        See `imagenet_subset.building.plan.plan_build`.
    sample
        How many rows, drawn at random by ``seed``; None for all.
    workers
        Processes.
    begins
        Called once it is known how many images are compared, with their number.
    progress
        Called with numbers of images as they are compared.

    Raises
    ------
    imagenet_subset.errors.ReadError
        Nothing says which classes the labels are, or by which rule the images were made.
    imagenet_subset.errors.SourceError
        The photos can't be found.
    imagenet_subset.errors.WorkerError
        A worker process can't start, or died.
    """
    subset = ImagenetSubset(report.path)
    rule = _rule(subset)
    bounds = _bounds(subset, rule)
    store = open_source(Path(data_dir))
    listed = Path(train_list) if train_list else None
    originals = sampled(find_originals(subset, store, listed, report), sample, seed)
    begins(sum(map(len, originals)))
    wrong: list[str] = []
    for split, outcomes in zip(
        originals, _outcomes(subset, rule, store, originals, workers, progress), strict=True
    ):
        for row, record, outcome in zip(split.rows, split.records, outcomes, strict=True):
            path = printable(store.describe(record.location, record.stem))
            at = f"row {row} of {record.split} ({path})"
            if isinstance(outcome, str):
                report.source_problems.append(f"{at}: its photo {outcome}")
                continue
            report.compared += 1
            report.max_difference = max(report.max_difference, outcome[0])
            if what := bounds.judge(outcome):
                wrong.append(f"{at}: differs from the photo by {what}")
    report.problems += _named(wrong, "rows differ from their photos")
    report.source_problems = _named(report.source_problems, "photos can't be compared")
    report.checked.append(
        f"{report.compared} photos decoded again by Pillow{_by_rule(rule)}: largest difference "
        f"{report.max_difference} of 255, {bounds.largest} allowed{_other_pillow(subset)}"
    )


def _bounds(subset: ImagenetSubset, rule: PixelRule) -> Bounds:
    """How far the images of this file may be from Pillow's."""
    made = subset.made
    return EXACT if made is None else bounds_of(made.pipeline, made.device, rule.interpolation)


def _rule(subset: ImagenetSubset) -> PixelRule:
    """Rule by which this file's images were made: the default one where it names none."""
    path = printable(subset.path)
    text = subset.made.pixel_rule if subset.made else ""
    rule = subset.made.rule if subset.made and text else DEFAULT
    if rule is None:
        raise ReadError(
            f"{path}: its images were made by another pixel rule, so they can't be compared with "
            f"photos here: {printable(text[:_LONGEST_RULE])}"
        )
    if subset.X_train.shape[1:] != rule.shape or subset.X_val.shape[1:] != rule.shape:
        size = f"{rule.crop}x{rule.crop}"
        raise ReadError(f"{path}: its images aren't {size}, so they can't be compared with photos")
    return rule


def _by_rule(rule: PixelRule) -> str:
    """A word on the rule, if it isn't the default one."""
    if rule == DEFAULT:
        return ""
    return f" (shorter side {rule.resize}, crop {rule.crop}, {rule.interpolation})"


def _other_pillow(subset: ImagenetSubset) -> str:
    """A word on Pillow's version, if the file was made with another one."""
    from pipelines.pillow import versions

    here = versions()["pillow"]
    there = here if subset.made is None else subset.made.versions.get("pillow", here)
    return "" if there == here else f" (Pillow {here} here, {there} when the file was made)"


def _named(problems: list[str], what: str) -> list[str]:
    """The first `_NAMED` problems, and how many more there are."""
    more = len(problems) - _NAMED
    return problems[:_NAMED] + ([f"{more} more {what}"] if more > 0 else [])


def _outcomes(
    subset: ImagenetSubset,
    rule: PixelRule,
    store: Store,
    originals: list[Originals],
    workers: int,
    progress: Progress,
) -> list[list[Outcome]]:
    """Compare all rows on worker processes; what came of each, split by split."""
    pickled = pickle.dumps((subset, rule, store))
    outcomes: list[list[Outcome]] = [["wasn't compared"] * len(split) for split in originals]

    def tasks() -> Iterator[tuple[tuple[int, list[int]], Callable[[], list[Outcome]]]]:
        for k, split in enumerate(originals):
            for part in divided(store, split.records.locations, _CHUNK):
                rows = split.rows[part].tolist()
                locations = [split.records.locations[index] for index in part]
                compare = functools.partial(_compare, pickled, split.records.split, rows, locations)
                yield (k, part), compare

    def take(key: tuple[int, list[int]], compared: list[Outcome]) -> None:
        k, part = key
        for index, outcome in zip(part, compared, strict=True):
            outcomes[k][index] = outcome
        progress(len(part))

    with LocalPool(workers) as pool:
        pool.warm_up([])
        try:
            pool.run(tasks(), take)
        except WorkerDied as died:
            raise WorkerDiedError(died.told()) from died
    return outcomes


def _compare(
    pickled: bytes, split: Split, rows: list[int], locations: list[Location]
) -> list[Outcome]:
    from pipelines.base import DecodeError
    from pipelines.pillow import decode

    subset, rule, reader = _opened(pickled)
    outcomes: list[Outcome] = []
    for row, data in zip(rows, read_each(reader, locations), strict=True):
        if isinstance(data, OSError):
            outcomes.append(f"can't be read: {data.strerror or data}")
            continue
        try:
            expected = decode(data, rule).astype(np.int16)
        except DecodeError as error:
            outcomes.append(f"can't be decoded: {error}")
            continue
        difference = np.abs(subset.images(split)[row] - expected)
        outcomes.append((int(difference.max()), float(difference.mean())))
    return outcomes


@functools.lru_cache(maxsize=1)
def _opened(pickled: bytes) -> tuple[ImagenetSubset, PixelRule, PhotoReader]:
    """The parent's file and its photos, opened once in each process.

    Of a file with compressed arrays each is read whole.
    """
    subset, rule, store = pickle.loads(pickled)
    return subset, rule, store.open()
