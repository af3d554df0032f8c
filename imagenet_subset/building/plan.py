"""What a build will do, decided in full before the first image is decoded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.output import Target, check_output
from imagenet_subset.building.resolution import Resolved, resolve_here
from imagenet_subset.columns import Indices
from imagenet_subset.npz.layout import Layout
from imagenet_subset.npz.names import NpzFiles
from imagenet_subset.npz.provenance import Provenance
from imagenet_subset.records import SPLITS, Record, Records, Split
from imagenet_subset.selection.choice import Choice, Names, Recorded
from imagenet_subset.selection.subset import Subset, load_subset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.system.text import printable
from imagenet_subset.version import __version__
from pipelines.choice import PipelineConfig
from pipelines.rule import DEFAULT


@dataclass(frozen=True)
class BuildPlan:
    """Which images, by which pipeline, into which file."""

    options: BuildOptions
    """As asked for."""
    subset: Subset
    store: Store
    records: dict[Split, Records]
    """For each split in ascending image id; the row is the place there."""
    config: PipelineConfig
    """As it was resolved, where the images will be decoded."""
    versions: Mapping[str, str]
    """Versions there of everything that decides the pixels."""
    output: NpzFiles
    missing: int
    """Images of the subset that the source lacks and that are left out."""
    reencoded: int = 0
    """Images whose photos are known to be no original files."""
    undecodable: int = 0
    """Images that are left out since they can't be decoded."""
    choice: Recorded | None = None
    """Which train photos are wanted; None for all."""
    chosen_from: Names | None = None
    """See `imagenet_subset.sources.chosen.Chosen.chosen_from`."""
    resolved_here: bool = True
    """Whether the pipeline is that of this machine, and not of a worker elsewhere."""
    notes: tuple[str, ...] = ()
    """One line each, for the user to read: which pipeline and why, what looked odd."""

    @property
    def rows(self) -> dict[Split, int]:
        """Number of images of each split."""
        return {split: len(self.records[split]) for split in SPLITS}

    @cached_property
    def provenance(self) -> Provenance:
        """What decides the file's bytes, beside the images; goes into the archive comment."""
        return Provenance(
            program_version=__version__,
            subset_name=self.subset.name,
            wnids=self.subset.wnids,
            wnids_sha256=self.subset.sha256,
            labels=self.subset.labels,
            names=self.subset.names,
            splits=self.options.ordered_splits,
            pixel_rule=self.options.rule.text,
            pipeline=self.config.name,
            device=self.config.device,
            versions=self.versions,
            missing=self.missing,
            undecodable=self.undecodable,
            by_name=bool((self.records["train"].ids < 0).any()),
            reencoded=self.reencoded,
            choice=self.choice,
            chosen_from=self.chosen_from,
        )

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """Everything that decides the file's bytes but the pixels of the photos.

        Ids, labels and the photos' names: which photo has which id may depend on a train list.
        """
        return {
            "provenance": self.provenance.to_dict(),
            "records": {split: self._sha256_of_records(split) for split in SPLITS},
        }

    def _sha256_of_records(self, split: Split) -> str:
        records = self.records[split]
        sha = hashlib.sha256(records.ids.tobytes())
        sha.update(records.labels.tobytes())
        sha.update(records.stems.joined)
        return sha.hexdigest()

    @cached_property
    def layout(self) -> Layout:
        """Where everything will be in the file."""
        return self.laid_out(self.rows)

    def laid_out(self, rows: Mapping[Split, int]) -> Layout:
        """Layout of a file of this provenance with so many images of each split."""
        return Layout.of(rows, self.options.rule.shape, self.provenance.to_comment())

    @cached_property
    def columns(self) -> dict[str, NDArray[np.int32]]:
        """``y_train, train_id, y_val, val_id``, each ``(N,) int32``."""
        columns: dict[str, NDArray[np.int32]] = {}
        for split in SPLITS:
            records = self.records[split]
            columns[f"y_{split}"], columns[f"{split}_id"] = records.labels, records.ids
        return columns

    @cached_property
    def target(self) -> Target:
        """The file, for those who write it and need no photos."""
        return Target(
            self.output,
            self.layout,
            self.columns,
            self.subset,
            self.fingerprint,
            self.store.root,
        )

    def record(self, index: int) -> Record:
        """Image whose row has this index in the journal."""
        split, row = self.layout.rows.place(index)
        return self.records[split][row]

    def path(self, record: Record) -> str:
        """Where an image's photo is, for a message."""
        return printable(self.store.describe(record.location, record.stem))

    def without(self, undecodable: Indices) -> BuildPlan:
        """The plan that leaves out the images of these indices; the others move up."""
        kept = np.ones(len(self.layout.rows), np.bool_)
        kept[undecodable] = False
        parts = self.layout.rows.by_split(kept)
        records = {s: self.records[s].take(np.flatnonzero(parts[s])) for s in SPLITS}
        return replace(self, records=records, undecodable=len(undecodable))


Inputs: TypeAlias = tuple[Subset, Choice | None, Store, NpzFiles]
"""The classes, which of their train photos, the photos and the files of a build."""


def read_inputs(options: BuildOptions) -> Inputs:
    """What a build is told, as far as a glance shows it.

    Raises
    ------
    imagenet_subset.errors.SubsetError
        The subset file or the list of photos is wrong.
    imagenet_subset.errors.OutputError
        ``out_dir`` is no folder, or ``out_name`` is too long.
    imagenet_subset.errors.SourceError
        There is no ImageNet at ``data_dir``.
    """
    subset = load_subset(options.subset_name, options.out_name)
    name = options.out_name or subset.name
    crop = None if options.rule.crop == DEFAULT.crop else options.rule.crop
    output = NpzFiles.of_subset(Path(options.out_dir), name, crop)
    check_output(output)
    return subset, options.choice(subset.classes), open_source(Path(options.data_dir)), output


def plan_build(
    options: BuildOptions, resolved: Resolved | None = None, inputs: Inputs | None = None
) -> BuildPlan:
    """Find the subset's images and say what will be made; nothing is written, nothing is started.

    Parameters
    ----------
    resolved
        The pipeline, and the versions, of the machine that will decode; of this one by default.
    inputs
        What `read_inputs` gave, if it was called already.

    Raises
    ------
    imagenet_subset.errors.ImagenetSubsetError
        What `read_inputs` raises; a `SourceError` also for images that are missing, misplaced or
        can't be numbered.
    pipelines.base.PipelineUnavailableError
        The device or the pipeline can't run here.
    ValueError
        An argument makes no sense.
    """
    if resolved is None:
        config = resolve_here(options.request, options.workers)
        resolved = Resolved(config, config.versions())
    subset, choice, store, output = inputs or read_inputs(options)
    train_list = Path(options.train_list) if options.train_list else None
    listing = list_images(
        subset,
        options.ordered_splits,
        store,
        train_list,
        on_missing=options.missing,
        choice=choice,
    )
    none = {split: Records.none(split, subset.wnids, subset.labels) for split in SPLITS}
    return BuildPlan(
        options=options,
        subset=subset,
        store=store,
        records=none | listing.records,
        config=resolved.config,
        versions=resolved.versions,
        output=output,
        missing=sum(listing.missing.values()),
        reencoded=listing.reencoded,
        choice=choice.record if choice else None,
        chosen_from=listing.chosen_from,
        resolved_here=resolved.here,
        notes=(resolved.config.why, *listing.notes),
    )
