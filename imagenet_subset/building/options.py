"""What a build is asked for: the one value that the API and the command line make."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from imagenet_subset.ilsvrc.classes import ImageClass
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.selection.asked import check_choice, drawn_choice
from imagenet_subset.selection.choice import Choice
from imagenet_subset.selection.photo_list import read_photo_list
from pipelines.request import PipelineRequest
from pipelines.rule import DEFAULT, PixelRule


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Arguments of a build, as `imagenet_subset.build` explains them.

    Raises
    ------
    ValueError
        One makes no sense. Device, pipeline and batch size are judged when `request` is made.
    """

    subset_name: str | Path
    data_dir: str | Path = "./Data/CLS-LOC"
    out_dir: str | Path = "./out_files"
    out_name: str | None = None
    splits: Sequence[Split] = SPLITS
    train_list: str | Path | None = None
    missing: Literal["error", "skip"] = "error"
    per_class: int | None = None
    fraction: float | None = None
    photo_list: str | Path | None = None
    seed: int = 0
    skip_undecodable: bool = False
    overwrite: bool = False
    full_check: bool = False
    device: str = "auto"
    pipeline: str = "auto"
    batch_size: int | None = None
    gpu: int | Sequence[int] | str | None = None
    dali_processes: int | None = None
    workers: int | None = None
    """None for all cores."""
    rule: PixelRule = DEFAULT
    """Which pixels of each photo."""

    def __post_init__(self) -> None:
        if self.missing not in ("error", "skip"):
            raise ValueError(f"missing is 'error' or 'skip', not {self.missing!r}")
        if not self.splits or not set(self.splits) <= set(SPLITS):
            some = f"some of {', '.join(SPLITS)}, in a sequence such as {SPLITS[:1]}"
            raise ValueError(f"splits are {some}, not {self.splits!r}")
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers is 1 or more, or None for all cores, not {self.workers}")
        ways = self.per_class, self.fraction, self.photo_list
        check_choice(*ways, self.seed, self.splits)

    def choice(self, classes: Collection[ImageClass]) -> Choice | None:
        """Which train photos of the classes are wanted; None for all.

        Raises
        ------
        imagenet_subset.errors.SubsetError
            The list of photos can't be read, or names none of these classes.
        """
        if self.photo_list is not None:
            return read_photo_list(Path(self.photo_list), classes)
        return drawn_choice(self.per_class, self.fraction, self.seed)

    @property
    def request(self) -> PipelineRequest:
        """Which pipeline is asked for.

        Raises
        ------
        ValueError
            It makes no sense.
        """
        return PipelineRequest(
            self.device,
            self.pipeline,
            self.batch_size,
            self.gpu,
            self.rule,
            self.dali_processes,
        )

    @property
    def ordered_splits(self) -> tuple[Split, ...]:
        """The splits asked for, each once, train first."""
        return tuple(split for split in SPLITS if split in self.splits)
