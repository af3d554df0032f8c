"""The pixels of a finished NPZ against its photos, decoded again by the reference pipeline."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from imagenet_subset.classes import Subset, class_table
from imagenet_subset.errors import ReadError, printable
from imagenet_subset.pool import LocalPool
from imagenet_subset.reader import ImagenetSubset, open_subset
from imagenet_subset.records import SPLITS, Record
from imagenet_subset.sources import Source, open_source
from imagenet_subset.verify import VerifyReport

_CHUNK = 16
Progress = Callable[[int], None]


def compare_with_photos(
    report: VerifyReport,
    data_dir: str | Path,
    *,
    train_list: str | Path | None = None,
    sample: int | None = 200,
    seed: int = 0,
    workers: int = 1,
    progress: Progress | None = None,
) -> None:
    """Decode photos again with Pillow, compare, and add what differs to the report.

    A file made by a pipeline that is bit-identical to Pillow must be equal; one made by DALI may
    differ within the bounds that the parity tests hold it to.

    Parameters
    ----------
    report
        Of `imagenet_subset.verify.verify` on the same file.
    data_dir, train_list
        See `imagenet_subset.plan.plan_build`.
    sample
        How many rows, drawn at random by ``seed``; None for all.
    workers
        Processes.
    progress
        Called with numbers of images as they are compared.

    Raises
    ------
    imagenet_subset.errors.ReadError
        Nothing says which classes the labels stand for.
    imagenet_subset.errors.SourceError
        The photos can't be found.
    """
    subset = open_subset(report.path)
    source = open_source(Path(data_dir), Path(train_list) if train_list else None)
    records = _sample(_records(subset, source, report), sample, seed)
    most = bound(subset)
    pool = LocalPool(workers)
    try:
        chunks = [records[i : i + _CHUNK] for i in range(0, len(records), _CHUNK)]
        compare = functools.partial(_compare, report.path, source)
        for chunk, outcomes in zip(chunks, pool.executor.map(compare, chunks), strict=True):
            for record, outcome in zip(chunk, outcomes, strict=True):
                where = f"row {record.row} of {record.split} ({printable(source.path(record))})"
                if isinstance(outcome, str):
                    report.problems.append(f"{where}: {outcome}")
                    continue
                report.compared += 1
                report.max_difference = max(report.max_difference, outcome)
                if outcome > most:
                    report.problems.append(
                        f"{where}: differs from the photo by up to {outcome} of 255, "
                        f"{most} allowed"
                    )
            if progress:
                progress(len(chunk))
    finally:
        pool.stop()
    report.checked.append(
        f"{report.compared} photos decoded again by Pillow: largest difference "
        f"{report.max_difference} of 255, {most} allowed"
    )


def bound(subset: ImagenetSubset) -> int:
    """Largest difference from Pillow that the pipeline of this file may have, of 255."""
    if subset.provenance is None:
        return 0
    pipeline = subset.provenance["pipeline"]
    if pipeline["name"] != "dali":
        return 0
    return CPU_MAX_DIFFERENCE if pipeline["device"] == "cpu" else GPU_MAX_DIFFERENCE


def _records(
    subset: ImagenetSubset, source: Source, report: VerifyReport
) -> list[Record]:
    """A record for each row, in the file's order, with the place of its photo."""
    classes = tuple(class_table()[row.WNID] for row in subset.class_rows)
    if not classes:
        raise ReadError(f"{printable(report.path)}: nothing says which classes its labels stand for")
    splits = [split for split in SPLITS if len(subset.ids(split))]
    listing = source.list(Subset(subset.name, classes), splits, skip_missing=True)
    found: list[Record] = []
    for split in splits:
        by_id = {record.image_id: record for record in listing.records[split]}
        ids = subset.ids(split).tolist()
        absent = [image_id for image_id in ids if image_id not in by_id]
        if absent:
            report.problems.append(
                f"{len(absent)} photos of {split} aren't in the source, the first of id {absent[0]}"
            )
        found += [replace(by_id[i], row=row) for row, i in enumerate(ids) if i in by_id]
    return found


def _sample(records: list[Record], sample: int | None, seed: int) -> list[Record]:
    if sample is None or sample >= len(records):
        return records
    chosen = np.random.default_rng(seed).choice(len(records), sample, replace=False)
    return [records[i] for i in np.sort(chosen)]


def _compare(path: Path, source: Source, records: list[Record]) -> list[str | int]:
    """For each record the largest difference of 255, or why its photo can't be decoded."""
    from pipelines.base import DecodeError
    from pipelines.pillow import decode

    subset = open_subset(path)
    outcomes: list[str | int] = []
    for record, data in source.read(records):
        if isinstance(data, OSError):
            outcomes.append(f"can't be read: {data.strerror or data}")
            continue
        try:
            expected = decode(data).astype(np.int16)
        except DecodeError as error:
            outcomes.append(f"can't be decoded: {error}")
            continue
        outcomes.append(int(np.abs(subset.images(record.split)[record.row] - expected).max()))
    return outcomes
