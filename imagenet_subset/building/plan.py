"""What a build will do, decided in full before the first image is decoded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.errors import OutputError
from imagenet_subset.npz.layout import Layout
from imagenet_subset.npz.provenance import FORMAT_VERSION
from imagenet_subset.records import SPLITS, Record, Split
from imagenet_subset.selection import Subset, load_subset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.base import Source
from imagenet_subset.system.text import printable
from imagenet_subset.version import __version__
from pipelines.choice import PipelineConfig, choose
from pipelines.rule import PIXEL_RULE


@dataclass(frozen=True, slots=True)
class OutputPaths:
    """Where a build writes: all in one folder, so that a rename can't cross file systems."""

    folder: Path
    stem: str

    @property
    def npz(self) -> Path:
        """The finished file."""
        return self.folder / f"{self.stem}.npz"

    @property
    def partial(self) -> Path:
        """The unfinished file, at its full size from the start."""
        return self.folder / f"{self.stem}.npz.partial"

    @property
    def journal(self) -> Path:
        """Which rows of the unfinished file are done."""
        return self.folder / f"{self.stem}.npz.journal"

    @property
    def csv(self) -> Path:
        """The classes."""
        return self.folder / f"{self.stem}_metadata.csv"

    @property
    def failures(self) -> Path:
        """The images that can't be decoded, after a build that met some."""
        return self.folder / f"{self.stem}_failures.csv"


@dataclass(frozen=True)
class BuildPlan:
    """Which images, by which pipeline, into which file."""

    subset: Subset
    source: Source
    records: dict[Split, list[Record]]
    """For each split in ascending image id; the row is the place in the list."""
    splits: tuple[Split, ...]
    config: PipelineConfig
    output: OutputPaths
    missing: int
    """Images of the subset that the source lacks and that are left out."""
    undecodable: int = 0
    """Images that are left out since they can't be decoded."""
    notes: tuple[str, ...] = ()
    """One line each, for the user to read: which pipeline and why, what looked odd."""

    @property
    def rows(self) -> dict[Split, int]:
        """Number of images of each split."""
        return {split: len(self.records[split]) for split in SPLITS}

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What decides the file's bytes, beside the images; stands in the archive comment."""
        return {
            "format": "imagenet-subset",
            "format_version": FORMAT_VERSION,
            "program_version": __version__,
            "subset": {
                "name": self.subset.name,
                "wnids": list(self.subset.wnids),
                "wnids_sha256": self.subset.sha256,
            },
            "splits": list(self.splits),
            "pixel_rule": PIXEL_RULE,
            "pipeline": {
                "name": self.config.name,
                "device": self.config.device,
                "versions": self.config.versions(),
            },
            "left_out": {"missing": self.missing, "undecodable": self.undecodable},
        }

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """Everything that decides the file's bytes but the pixels of the photos.

        Ids, labels and the photos' names: which photo has which id may depend on a train list.
        """
        return {
            "provenance": self.provenance,
            "records": {
                split: hashlib.sha256(
                    self.columns[f"{split}_id"].tobytes()
                    + self.columns[f"y_{split}"].tobytes()
                    + b"\n".join(_stem(record) for record in self.records[split])
                ).hexdigest()
                for split in SPLITS
            },
        }

    @cached_property
    def layout(self) -> Layout:
        """Where everything will stand in the file."""
        return Layout.of(self.rows, self.provenance)

    @cached_property
    def columns(self) -> dict[str, NDArray[np.int32]]:
        """``y_train, train_id, y_val, val_id``, each ``(N,) int32``."""
        columns: dict[str, NDArray[np.int32]] = {}
        for split in SPLITS:
            records = self.records[split]
            columns[f"y_{split}"] = np.array([r.label for r in records], np.int32)
            columns[f"{split}_id"] = np.array([r.image_id for r in records], np.int32)
        return columns

    def offset_of(self, index: int) -> int:
        """Where in the file the row with this index in the journal starts, in bytes."""
        n_train = self.rows["train"]
        if index < n_train:
            return self.layout.row_offset("train", index)
        return self.layout.row_offset("val", index - n_train)

    def without(self, undecodable: Sequence[Record]) -> BuildPlan:
        """The plan that leaves these images out; the others move up."""
        left_out = {(record.split, record.row) for record in undecodable}
        records = {
            split: [
                replace(record, row=row)
                for row, record in enumerate(
                    r for r in self.records[split] if (split, r.row) not in left_out
                )
            ]
            for split in SPLITS
        }
        return replace(self, records=records, undecodable=len(left_out))


def _stem(record: Record) -> bytes:
    """Name of a photo without its folder and suffix, in whatever folder it is."""
    return os.fsencode(os.path.splitext(os.path.basename(record.location))[0])


def plan_build(
    subset_name: str | Path,
    data_dir: str | Path = "./Data/CLS-LOC",
    out_dir: str | Path = "./out_files",
    *,
    splits: Sequence[Split] = SPLITS,
    train_list: str | Path | None = None,
    skip_missing: bool = False,
    device: str = "auto",
    pipeline: str = "auto",
    workers: int = 1,
    batch_size: int | None = None,
    gpu: int = 0,
    on_chosen: Callable[[PipelineConfig], object] | None = None,
) -> BuildPlan:
    """Find the subset's images and choose the pipeline; nothing is written, nothing is started.

    Parameters
    ----------
    subset_name
        Name of a subset file in ``./aux_files`` or among those shipped, or path of a ``.txt``.
    data_dir
        ``Data/CLS-LOC`` of ILSVRC 2012, or a folder above it.
    out_dir
        Where the NPZ and the CSV will stand.
    splits
        Splits to build; one that is left out becomes arrays of length 0.
    train_list
        ``train_cls.txt``, where it does not stand in ``ImageSets/CLS-LOC`` beside ``Data``.
    skip_missing
        Leave out images that aren't there, instead of refusing.
    device, pipeline, workers, batch_size, gpu
        See `pipelines.choice.choose`.
    on_chosen
        Called with the pipeline once it is chosen, before the images are looked for.

    Raises
    ------
    imagenet_subset.errors.SubsetError
        The subset file is wrong.
    imagenet_subset.errors.OutputError
        ``out_dir`` is a file.
    imagenet_subset.errors.SourceError
        Images are missing, misplaced or can't be numbered.
    pipelines.base.PipelineUnavailableError
        The device or pipeline can't be had here.
    ValueError
        An argument makes no sense.
    """
    if not splits or not set(splits) <= set(SPLITS):
        raise ValueError(f"splits are some of {', '.join(SPLITS)}, not {splits!r}")
    config, why = choose(device, pipeline, workers=workers, batch_size=batch_size, gpu=gpu)
    if on_chosen:
        on_chosen(config)
    subset = load_subset(subset_name)
    output = OutputPaths(Path(out_dir), f"{subset.name}_cls")
    if output.folder.exists() and not output.folder.is_dir():
        raise OutputError(
            f"{printable(output.folder)} is a file, not a folder; choose another --out_dir"
        )
    source = open_source(Path(data_dir), Path(train_list) if train_list else None)
    ordered = tuple(split for split in SPLITS if split in splits)
    listing = source.list(subset, ordered, on_missing="skip" if skip_missing else "error")
    return BuildPlan(
        subset=subset,
        source=source,
        records={split: listing.records.get(split, []) for split in SPLITS},
        splits=ordered,
        config=config,
        output=output,
        missing=sum(listing.missing.values()),
        notes=(why, *listing.notes),
    )
