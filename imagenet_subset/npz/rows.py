"""Where each image's row is: its index among all rows, its place in a split, its offset."""

from __future__ import annotations

from dataclasses import dataclass

from imagenet_subset.records import Split


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of train, then rows of val; small, since it travels with each shard."""

    n_train: int
    n_val: int
    train_offset: int
    """Start of row 0 of ``X_train`` in the file, in bytes."""
    val_offset: int
    nbytes: int
    """Length of a row, in bytes."""

    def __len__(self) -> int:
        return self.n_train + self.n_val

    def index(self, split: Split, row: int) -> int:
        """Index of a row of a split."""
        return row if split == "train" else self.n_train + row

    def place(self, index: int) -> tuple[Split, int]:
        """Split and row there of an index."""
        return ("train", index) if index < self.n_train else ("val", index - self.n_train)

    def offset(self, index: int) -> int:
        """Start of a row in the file, in bytes."""
        return self.offset_of(*self.place(index))

    def offset_of(self, split: Split, row: int) -> int:
        """Start of a row of a split in the file, in bytes."""
        return (self.train_offset if split == "train" else self.val_offset) + row * self.nbytes
