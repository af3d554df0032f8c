"""The names of the files that belong to one NPZ."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_CLASSIFICATION = "_cls"
_ENDING = re.compile(f"{_CLASSIFICATION}(_[0-9]+)?$")
_PARTIAL = ".partial"


@dataclass(frozen=True, slots=True)
class NpzFiles:
    """An NPZ and what is beside it: all in one folder, so that a rename can't cross file systems.

    Examples
    --------
    >>> files = NpzFiles.of_subset(Path("out"), "imagenet30")
    >>> files.npz.name, files.csv.name
    ('imagenet30_cls.npz', 'imagenet30_cls_metadata.csv')
    """

    folder: Path
    stem: str

    @classmethod
    def of_subset(cls, folder: Path, name: str, crop: int | None = None) -> NpzFiles:
        """Files that a build writes into a folder.

        Parameters
        ----------
        crop
            Side of the images, if it isn't the usual one.

        Examples
        --------
        >>> NpzFiles.of_subset(Path("out"), "imagenet30", 64).npz.name
        'imagenet30_cls_64.npz'
        """
        size = "" if crop is None else f"_{crop}"
        return cls(folder, f"{name}{_CLASSIFICATION}{size}")

    @classmethod
    def beside(cls, npz: Path) -> NpzFiles:
        """Files beside an NPZ, whatever its suffix."""
        return cls(npz.parent, npz.stem)

    @property
    def npz(self) -> Path:
        """The finished file."""
        return self.folder / f"{self.stem}.npz"

    @property
    def partial(self) -> Path:
        """The unfinished file, at its full size from the start."""
        return self.folder / f"{self.stem}.npz{_PARTIAL}"

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

    @property
    def title(self) -> str:
        """What tells this file from others of its subset, for people.

        Examples
        --------
        >>> NpzFiles.beside(Path("imagenet30_cls_64.npz")).title
        'imagenet30_64'
        """
        return _ENDING.sub(r"\1", self.stem)

    @property
    def every(self) -> tuple[Path, ...]:
        """All of them."""
        return self.npz, self.partial, self.journal, *self.tables

    @property
    def tables(self) -> tuple[Path, Path]:
        """Those that are written at once, under a temporary name."""
        return self.csv, self.failures

    @property
    def subset_name(self) -> str:
        """Name of the subset, as the file's name has it."""
        return _ENDING.sub("", self.stem)


def is_partial(path: Path) -> bool:
    """Whether the name is that of an unfinished file."""
    return path.suffix == _PARTIAL
