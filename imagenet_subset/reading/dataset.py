"""A split as a map-style dataset, for PyTorch's DataLoader or a plain loop."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, SupportsIndex

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.records import Split
from imagenet_subset.system.text import printable


class Arrays(Protocol):
    """What a dataset needs of the file that it is part of."""

    path: Path

    def images(self, split: Split) -> NDArray[np.uint8]:
        """``(N, H, W, 3) uint8``, the images of a split."""
        ...

    def labels(self, split: Split) -> NDArray[np.integer[Any]]:
        """``(N,)``, their labels."""
        ...

    @property
    def class_names(self) -> list[str]:
        """Name of each label."""
        ...


class SplitDataset:
    """``(image, label)`` pairs of one split, by row.

    `imagenet_subset.reading.subset.ImagenetSubset.dataset` gives one.

    Knows nothing of PyTorch: a DataLoader asks for ``len(dataset)`` and ``dataset[i]`` only. It
    pickles as the file's path, so that workers which aren't forked map the file themselves.

    Attributes
    ----------
    subset : ImagenetSubset
        The file that it is part of.
    split : str
        ``"train"`` or ``"val"``.
    transform : callable or None
        Called with each image, a writable ``(H, W, 3) uint8`` array in memory.
    """

    def __init__(
        self,
        subset: Arrays,
        split: Split,
        transform: Callable[[NDArray[np.uint8]], Any] | None = None,
    ) -> None:
        self.subset = subset
        self.split = split
        self.transform = transform

    @property
    def classes(self) -> list[str]:
        """Name of each label, by label: see `ImagenetSubset.class_names`.

        Raises
        ------
        imagenet_subset.errors.ReadError
            The CSV beside the file isn't one of ours, or names other classes than the provenance.
        """
        return self.subset.class_names

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Label of each name; raises as `classes` does."""
        return {name: label for label, name in enumerate(self.classes)}

    @functools.cached_property
    def targets(self) -> list[int]:
        """Label of each image, by row."""
        targets: list[int] = self.subset.labels(self.split).tolist()
        return targets

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "targets"}

    def __len__(self) -> int:
        return len(self.subset.labels(self.split))

    def __getitem__(self, index: SupportsIndex) -> tuple[Any, int]:
        """``(image, label)`` of a row; a negative one counts from the end.

        The image is ``(H, W, 3) uint8`` in memory, or whatever the transform makes of that.

        Raises
        ------
        IndexError
            There is no such row.
        """
        row = operator.index(index)
        # A copy, not a view of the file: PyTorch warns of arrays that it can't write to.
        image = np.array(self.subset.images(self.split)[row], order="C")
        label = int(self.subset.labels(self.split)[row])
        return (image if self.transform is None else self.transform(image)), label

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        return (self[row] for row in range(len(self)))

    def __repr__(self) -> str:
        # As torchvision's datasets show themselves.
        lines = [
            f"Number of datapoints: {len(self)}",
            f"Root location: {printable(self.subset.path)}",
            f"Split: {self.split}",
        ]
        if self.transform is not None:
            lines += f"Transform: {self.transform!r}".splitlines()
        return "\n    ".join(["Dataset ImagenetSubset", *lines])
