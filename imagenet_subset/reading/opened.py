"""What has become of a file since it was opened: its map outlives its name, but not its bytes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from imagenet_subset.npz.archive import Archive

CUT_SHORT = "cut short since"


@dataclass(frozen=True, slots=True)
class FileAtOpening:
    """A file as it was when it was opened."""

    path: Path
    status: os.stat_result

    @classmethod
    def of(cls, archive: Archive) -> FileAtOpening:
        """The file of an open NPZ."""
        return cls(archive.path, os.fstat(archive.file.fileno()))

    @property
    def size(self) -> int:
        """Bytes that it had."""
        return self.status.st_size

    def since(self) -> str:
        """What has become of it, in a few words; empty if it is as it was.

        To read rows of one that is `CUT_SHORT` ends the process. Of a file that has lost its name
        nobody can tell.
        """
        try:
            now = os.stat(self.path)
        except FileNotFoundError:
            return "deleted since"
        except OSError as error:
            return f"out of reach now: {error.strerror or error}"
        if not os.path.samestat(now, self.status):
            return "replaced since"
        return CUT_SHORT if now.st_size < self.size else ""
