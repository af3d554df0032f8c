"""What travels to a worker and back: a job, a shard of its rows, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from imagenet_subset.building.proof import Proof
from imagenet_subset.columns import Location
from imagenet_subset.npz.rows import Rows
from imagenet_subset.sources.base import Store
from pipelines.choice import PipelineConfig
from pipelines.request import PipelineRequest

UNREADABLE = "can't be read: "
"""Prefix of the reason when a file can't be read."""


@dataclass(frozen=True, slots=True)
class Job:
    """What every shard of a build has in common; small, since it travels with each shard."""

    store: Store
    config: PipelineConfig
    """Of the plan. Workers on the machine that resolved it open it as it is."""
    request: PipelineRequest | None
    """What the others resolve, each for itself; None for those on that machine."""
    workers: int | None
    """Cores to resolve it for; None for all that the worker's machine allows."""
    partial: str
    """Path of the unfinished NPZ."""
    rows: Rows
    """Where each row is in the file."""
    proof: Proof
    """What a worker must have in common with the build, and the token of this run."""
    shared: bool
    """Whether other machines may write to the file too."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Rows of one split whose photos are cheap to read together; they need not be neighbours."""

    indices: list[int]
    """Index of each row in the journal."""
    locations: list[Location]
    """Where the photo of each row is."""
    crcs: list[int | None]
    """For each row the CRC-32 that the journal has for it, or None."""


@dataclass(slots=True)
class ShardResult:
    """What became of a shard."""

    crcs: list[int | None]
    """For each row of the shard its CRC-32 in the file, or None where there is none."""
    kept: int = 0
    """Rows that were done already and still have the journal's CRC-32."""
    failures: list[tuple[int, str]] = field(default_factory=list)
    """Images that can't be decoded: index of the row, and the reason."""
    unreadable: list[tuple[int, str]] = field(default_factory=list)
    """Images whose files can't be read, likewise."""
    fallbacks: list[tuple[int, str]] = field(default_factory=list)
    """Images that were left to Pillow, likewise."""
    notices: list[str] = field(default_factory=list)
    """Lines for the user to read: what the pipeline logged, which photos look damaged."""
    process: tuple[str, int] | None = None
    """Host and process id of the worker."""
