"""Names of the files of one NPZ, all in one folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NpzFiles:
    """Where a build writes: all in one folder, so that a rename can't cross file systems."""

    folder: Path
    stem: str

    @classmethod
    def of_subset(cls, folder: Path, name: str) -> NpzFiles:
        """Files of a subset's NPZ in a folder."""
        return cls(folder, f"{name}_cls")

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
