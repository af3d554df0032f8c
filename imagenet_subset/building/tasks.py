"""What travels to a worker and back: a job, a shard of its rows, and what became of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from imagenet_subset.building.proof import Proof
from imagenet_subset.npz.rows import Rows
from imagenet_subset.records import Record
from imagenet_subset.sources.base import Source
from pipelines.choice import PipelineConfig, PipelineRequest

UNREADABLE = "can't be read: "
"""Prefix of the reason when a file can't be read."""


@dataclass(frozen=True, slots=True)
class Job:
    """What every shard of a build has in common; small, since it travels with each shard."""

    source: Source
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


@dataclass(frozen=True, slots=True)
class Shard:
    """A run of neighbouring rows of one split."""

    first: int
    """Index of the first row in the journal."""
    records: list[Record]
    crcs: list[int | None]
    """For each record the CRC-32 that the journal has for its row, or None."""


@dataclass(slots=True)
class ShardResult:
    """What became of a shard."""

    crcs: list[int | None]
    """For each record the CRC-32 of its row in the file, or None where there is none."""
    kept: int = 0
    """Rows that were done already and still have the journal's CRC-32."""
    failures: list[tuple[Record, str]] = field(default_factory=list)
    """Images that can't be decoded, each with the reason."""
    unreadable: list[tuple[Record, str]] = field(default_factory=list)
    """Images whose files can't be read, each with the reason."""
    fallbacks: list[tuple[Record, str]] = field(default_factory=list)
    """Images that were left to Pillow, each with the reason."""
    notices: list[str] = field(default_factory=list)
    """Lines for the user to read: what the pipeline logged, which photos look damaged."""
    process: tuple[str, int] | None = None
    """Host and process id of the worker."""
