"""A finished NPZ in use: `open_subset` opens one of any size in milliseconds."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.errors import ImagenetSubsetError, ReadError
from imagenet_subset.npz.archive import Archive, open_archive
from imagenet_subset.npz.class_csv import ClassRow, read_class_rows
from imagenet_subset.npz.labels import Label, labels_of
from imagenet_subset.npz.layout import KEYS
from imagenet_subset.npz.member import NpzMember
from imagenet_subset.npz.names import NpzFiles
from imagenet_subset.npz.provenance import Provenance
from imagenet_subset.reading.dataset import SplitDataset
from imagenet_subset.reading.opened import CUT_SHORT, FileAtOpening
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.system.text import gigabytes, printable

if TYPE_CHECKING:
    import pandas as pd


class ImagenetSubset:
    """A finished NPZ: six arrays, their classes and their provenance.

    The arrays are read-only and, as long as the file is stored uncompressed, memory-mapped: only
    what is touched is read, and every process on the machine shares it through the page cache.
    Nothing needs closing: the file is let go with the last array that looks into it. `close`, or
    the end of a ``with``, lets go of those that the object has; until the others are gone too,
    Windows won't let anyone delete or replace the file. Pickling an object writes its path, and
    unpickling opens that again; forked processes go on with the map they have.

    A build that replaces the file leaves open maps as they are. A file that is cut short in place
    while it is mapped makes the operating system end the process that reads beyond the new end.

    Attributes
    ----------
    path : Path
        Of the file, absolute.
    provenance : dict or None
        How the file was made, from the archive's comment; None for files of other programs.
    made : Provenance or None
        The same by name and type, for this program's own use.
    in_memory : tuple of str
        Keys that were read into memory, since they are compressed or the file system has no
        memory maps.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        with open_archive(path) as archive:
            self._read(archive)

    @classmethod
    def of(cls, archive: Archive) -> ImagenetSubset:
        """Subset in an NPZ that is open already.

        Raises
        ------
        ReadError
            Its arrays aren't those of a subset.
        """
        subset = cls.__new__(cls)
        subset._read(archive)
        return subset

    def _read(self, archive: Archive) -> None:
        check_members(archive)
        self.path = archive.path
        self.made = Provenance.from_comment(archive.path, archive.comment)
        self.provenance = None if self.made is None else self.made.to_dict()
        self.in_memory = tuple(key for key in KEYS if archive.in_memory(key))
        self._compressed = tuple(key for key in KEYS if archive.members[key].compressed)
        self._unshared = archive.unshared
        self._crcs = tuple(archive.members[key].crc for key in KEYS)
        self._arrays: dict[str, NDArray[Any]] = {key: archive.array(key) for key in KEYS}
        self._opened = FileAtOpening.of(archive)
        self._class_rows: tuple[ClassRow, ...] | None = None

    def _array(self, key: str) -> NDArray[Any]:
        if key not in self._arrays:
            raise ValueError(f"{printable(self.path)} is closed; open it anew by open_subset")
        return self._arrays[key]

    @property
    def X_train(self) -> NDArray[np.uint8]:
        """``(N, 224, 224, 3)``, RGB: a slice is a view of the file, ``X_train[[5, 2]]`` a copy."""
        return self._array("X_train")

    @property
    def y_train(self) -> NDArray[np.integer[Any]]:
        """``(N,)``, 0-based line of the class in the subset file."""
        return self._array("y_train")

    @property
    def train_id(self) -> NDArray[np.integer[Any]]:
        """``(N,)``, the image's ILSVRC number.

        Where `by_name` is true it is negative and made of the photo's name; ``imagenet-subset
        locate`` leads back to it.
        """
        return self._array("train_id")

    @property
    def X_val(self) -> NDArray[np.uint8]:
        """``(N, 224, 224, 3)``, as ``X_train``."""
        return self._array("X_val")

    @property
    def y_val(self) -> NDArray[np.integer[Any]]:
        """``(N,)``, as ``y_train``."""
        return self._array("y_val")

    @property
    def val_id(self) -> NDArray[np.integer[Any]]:
        """``(N,)``, the image's ILSVRC number."""
        return self._array("val_id")

    def images(self, split: Split) -> NDArray[np.uint8]:
        """``X_<split>``."""
        return self._array(f"X_{split}")

    def labels(self, split: Split) -> NDArray[np.integer[Any]]:
        """``y_<split>``."""
        return self._array(f"y_{split}")

    def ids(self, split: Split) -> NDArray[np.integer[Any]]:
        """``<split>_id``."""
        return self._array(f"{split}_id")

    def close(self) -> None:
        """Let go of the arrays; again does nothing. The end of a ``with`` does it too.

        Arrays that were taken before, views of them and their pixels stay valid: the last one that
        goes takes the map with it. To ask the object or its datasets for arrays raises ValueError.
        """
        self._arrays = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def dataset(
        self, split: Split, transform: Callable[[NDArray[np.uint8]], Any] | None = None
    ) -> SplitDataset:
        """Map-style dataset of ``(image, label)``, as ``torch.utils.data.DataLoader`` takes it.

        Parameters
        ----------
        split
            ``"train"`` or ``"val"``.
        transform
            Called with each image, a writable ``(224, 224, 3) uint8`` array in memory.

        Raises
        ------
        ValueError
            There is no such split.
        """
        if split not in SPLITS:
            raise ValueError(f"no split {split!r}; there are {' and '.join(SPLITS)}")
        return SplitDataset(self, split, transform)

    @property
    def name(self) -> str:
        """Name of the subset by its provenance, else by the file's name."""
        if self.made is not None:
            return self.made.subset_name
        return NpzFiles.beside(self.path).subset_name

    @property
    def title(self) -> str:
        """What is shown above its images: the file's name, and the list's if that is another."""
        files = NpzFiles.beside(self.path)
        return (
            files.title if files.subset_name == self.name else f"{files.title} (list {self.name})"
        )

    @property
    def by_name(self) -> bool:
        """Whether the train ids are made of the photos' names, and aren't ILSVRC's numbers."""
        return bool((self.train_id < 0).any()) if self.made is None else self.made.by_name

    @property
    def class_rows(self) -> tuple[ClassRow, ...]:
        """The classes by ascending label; empty where nothing says what they are.

        Those of a superclass have the same label.

        They come from ``<name>_cls_metadata.csv`` beside the file, else from the provenance.

        Raises
        ------
        ReadError
            The CSV isn't one of ours, or names other classes than the provenance.
        """
        if self._class_rows is None:
            self._class_rows = read_class_rows(self.path, self.made)
        return self._class_rows

    @property
    def classes(self) -> pd.DataFrame | None:
        """The metadata CSV's four columns; None where nothing says what the classes are."""
        import pandas as pd

        rows = self.class_rows
        return pd.DataFrame(rows, columns=list(ClassRow._fields)) if rows else None

    @functools.cached_property
    def named_labels(self) -> tuple[Label, ...]:
        """The labels by their number, each with its classes and a name that no other one has.

        Empty where nothing says what the classes are.

        Raises
        ------
        ReadError
            See `class_rows`.
        """
        return labels_of(self.class_rows, () if self.made is None else self.made.names)

    @property
    def class_names(self) -> list[str]:
        """Name of each label, by label: no two are the same.

        That of the class. ILSVRC has two cranes and the like: each has its meaning added, ``crane
        (bird)``. A superclass has the name that the subset file gives it. A label whose class
        nothing says is ``class 0`` and so on.

        Raises
        ------
        ReadError
            See `class_rows`.
        """
        names = [label.name for label in self.named_labels]
        there = [int(y.max()) for y in (self.y_train, self.y_val) if len(y)]
        return names + [f"class {n}" for n in range(len(names), max(there, default=-1) + 1)]

    @property
    def torchvision_labels(self) -> NDArray[np.int64]:
        """``(n,)``, for each label the index that torchvision gives its class, 0 to 999.

        It is the place of the WNID among the 1,000 in ascending order, which timm, Hugging Face and
        TensorFlow Datasets count by too: the output of a model that was trained on ImageNet.

        Raises
        ------
        ReadError
            A label is a superclass, or nothing says what the classes are; or see `class_rows`.
        """
        from imagenet_subset.ilsvrc.classes import class_table

        rows = self.class_rows
        if not rows or len({row.subset_label for row in rows}) < len(rows):
            why = "its labels are superclasses: each of their classes has an index of its own"
            unknown = (
                f"nothing says its classes; put {NpzFiles.beside(self.path).csv.name} beside it"
            )
            raise ReadError(f"{printable(self.path)}: {why if rows else unknown}")
        strangers = [row.WNID for row in rows if row.WNID not in class_table()]
        if strangers:
            stranger = printable(strangers[0])
            raise ReadError(f"{printable(self.path)}: {stranger} is no class of ILSVRC 2012")
        return np.array([class_table()[row.WNID].index for row in rows], np.int64)

    def __len__(self) -> int:
        """Images of both splits together."""
        return len(self.y_train) + len(self.y_val)

    def __repr__(self) -> str:
        name = printable(self.name)
        if not self._arrays:
            return f"<ImagenetSubset {name}: closed>"
        if (since := self._opened.since()) == CUT_SHORT:
            return f"<ImagenetSubset {name}: {since} it was opened, so that no row can be read>"
        n = len(np.union1d(self.y_train, self.y_val))
        height, width = self.X_train.shape[1:3]
        return (
            f"<ImagenetSubset {name}: {len(self.y_train):,} train and {len(self.y_val):,} "
            f"val images of {n:,} class{'' if n == 1 else 'es'}, {height}x{width}, "
            f"{'in memory' if 'X_train' in self.in_memory else 'memory-mapped'}>"
        )

    def _repr_html_(self) -> str | None:
        from imagenet_subset.reading.notebook import as_html

        since = self._opened.since()
        if not self._arrays or since == CUT_SHORT:
            return None  # the plain repr says it
        file = f"{self.path}, {gigabytes(self._opened.size)}{since and f', {since}'}"
        try:
            return as_html(self, file)
        except ImagenetSubsetError:  # of the CSV: a cell that shows the object must not fail
            return None

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (str(self.path), self._crcs)


def open_subset(path: str | os.PathLike[str]) -> ImagenetSubset:
    """Open a finished NPZ; its images stay in the file until they are touched.

    Takes NPZs of other programs too, if they have the same six keys; other members are ignored.
    Members that are compressed are read into memory, with a warning, and so is a file on a file
    system that has no memory maps. Checksums aren't compared: ``verify`` does that.

    Parameters
    ----------
    path
        The ``.npz`` file.

    Raises
    ------
    ReadError
        The file is damaged or no NPZ, or its arrays aren't those of a subset.
    ReadRefusedError
        It is missing or can't be read, or there is no memory or address space for it.

    Warns
    -----
    UserWarning
        Arrays are compressed, or the file system doesn't have the usual memory maps.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "two.npz")
    >>> one = {"X_{}": np.zeros((2, 224, 224, 3), np.uint8), "y_{}": [0, 1], "{}_id": [7, 9]}
    >>> np.savez(path, **{key.format(s): a for s in ("train", "val") for key, a in one.items()})
    >>> subset = open_subset(path)
    >>> subset
    <ImagenetSubset two: 2 train and 2 val images of 2 classes, 224x224, memory-mapped>
    >>> image, label = subset.dataset("train")[1]
    >>> image.shape, label
    ((224, 224, 3), 1)
    >>> del subset
    >>> folder.cleanup()
    """
    subset = ImagenetSubset(path)
    if subset._compressed:
        nbytes = sum(getattr(subset, key).nbytes for key in subset._compressed)
        warnings.warn(
            f"{printable(subset.path)}: {', '.join(subset._compressed)} compressed, so "
            f"{gigabytes(nbytes)} were read into memory; numpy.savez, in place of "
            "savez_compressed, writes files that can be memory-mapped",
            stacklevel=2,
        )
    if subset._unshared:
        how = "was read into memory" if subset.in_memory == KEYS else "is mapped privately"
        warnings.warn(
            f"{printable(subset.path)} {how}, since {subset._unshared}",
            stacklevel=2,
        )
    return subset


def _reopen(path: str, crcs: tuple[int, ...]) -> ImagenetSubset:
    subset = ImagenetSubset(path)
    if subset._crcs != crcs:
        raise ReadError(f"{printable(path)} is another file than when it was pickled; open it anew")
    return subset


def check_members(archive: Archive) -> None:
    """Refuse an NPZ whose arrays aren't those of a subset.

    Raises
    ------
    ReadError
        Says in one line which key is missing or wrong, and what it should be.
    """
    where = printable(archive.path)
    missing = [key for key in KEYS if key not in archive.members]
    if missing:
        others = ", ".join(printable(key) for key in list(archive.members)[:6])
        raise ReadError(f"{where} has no {', '.join(missing)}; it holds {others}")
    for split in SPLITS:
        images = archive.members[f"X_{split}"]
        pixels = images.shape[1:]
        if images.dtype != np.uint8 or len(pixels) != 3 or pixels[2] != 3 or 0 in pixels:
            raise ReadError(f"{where}: X_{split} is {_kind(images)}, not uint8 (N, 224, 224, 3)")
        for member in (archive.members[f"y_{split}"], archive.members[f"{split}_id"]):
            if member.dtype.kind not in "iu" or member.shape != images.shape[:1]:
                raise ReadError(
                    f"{where}: {member.key} is {_kind(member)}, not one integer for each of the "
                    f"{images.shape[0]} images of X_{split}"
                )


def _kind(member: NpzMember) -> str:
    return f"{member.dtype} {member.shape}"
