"""Whether the train photos of a finished NPZ are those that were to be chosen: it is done again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.checking.file import VerifyReport
from imagenet_subset.errors import SubsetError
from imagenet_subset.ilsvrc.classes import ImageClass, class_table
from imagenet_subset.ilsvrc.train_list import TrainList
from imagenet_subset.npz.provenance import Provenance
from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.selection.choice import Choice, Listed, Names
from imagenet_subset.selection.photo_list import read_photo_list
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.sources.chosen import Chosen
from imagenet_subset.system.text import counted, printable

_UNCHECKED = "not which train photos were chosen"


@dataclass(frozen=True, slots=True)
class _Known:
    """The train photos that there are of some classes."""

    ids: Mapping[str, Mapping[str, int]]
    """For each WNID, the id of each photo by its name."""
    listed: bool
    """Whether they are those of ILSVRC's list."""


def check_choice(
    report: VerifyReport,
    data_dir: str | Path | None = None,
    train_list: str | Path | None = None,
    photo_list: str | Path | None = None,
) -> None:
    """Choose the train photos anew, and add what differs to the report, or why it isn't known.

    Parameters
    ----------
    report
        Of `imagenet_subset.checking.file.verify` on the same file, which must be readable.
    data_dir, train_list
        What says which photos there are to choose from: one of them is enough.
    photo_list
        The list that the file was built by.

    Raises
    ------
    imagenet_subset.errors.SubsetError
        This isn't the list that the file was built by, or it can't be read.
    imagenet_subset.errors.SourceError
        What photos there are can't be said.
    """
    subset = ImagenetSubset(report.path)
    made = subset.made
    if made is None or made.choice is None:
        if photo_list is not None:
            raise SubsetError(_not_its_list(report.path, photo_list, "wasn't built by a list"))
        return
    classes = [class_table()[wnid] for wnid in made.wnids if wnid in class_table()]
    choice = _choice(made, report.path, classes, photo_list)
    if choice is None:
        report.checked.append(f"{_UNCHECKED}, {made.choice}: give this list by --photo_list")
        return
    known = _known(subset, classes, data_dir, train_list)
    if known is None:
        flags = "--data_dir" if subset.by_name else "--train_list or --data_dir"
        ways = f"say by {flags} which photos there are"
        report.checked.append(f"{_UNCHECKED}, {made.choice}: {ways}")
        return
    chosen = Chosen(choice)
    ids = _ids(chosen, known, classes)
    if chosen.chosen_from != made.chosen_from:
        then, now = map(_population, (made.chosen_from, chosen.chosen_from))
        report.checked.append(
            f"{_UNCHECKED}, {made.choice}: they were chosen from {then}, and here it would be "
            f"{now}; say by --train_list or --data_dir which photos there were"
        )
        return
    report.problems += _problems(subset, made, ids, 50 * len(classes))
    report.checked.append(f"the choice of train photos, made again: {made.choice}")


def _choice(
    made: Provenance, path: Path, classes: list[ImageClass], photo_list: str | Path | None
) -> Choice | None:
    """What chooses as the file's build did; None if that takes a list that isn't given."""
    recorded = made.choice
    if not isinstance(recorded, Listed):
        if photo_list is not None:
            raise SubsetError(_not_its_list(path, photo_list, f"has {recorded}"))
        return recorded
    if photo_list is None:
        return None
    photos = read_photo_list(Path(photo_list), classes)
    if photos.record.photos != recorded.photos:
        there, here = recorded.photos, photos.record.photos
        what = f"was built by {printable(recorded.name)}, with {_hashed(there)}"
        raise SubsetError(_not_its_list(path, photo_list, f"{what}; this one has {_hashed(here)}"))
    return photos


def _not_its_list(path: Path, photo_list: str | Path, why: str) -> str:
    return f"{printable(photo_list)} isn't the list of photos of {printable(path)}, which {why}"


def _hashed(names: Names) -> str:
    return f"{counted(names.photos, 'photo')} of SHA-256 {printable(names.sha256[:12])}..."


def _population(names: Names | None) -> str:
    return "all that ILSVRC has" if names is None else _hashed(names)


def _known(
    subset: ImagenetSubset,
    classes: list[ImageClass],
    data_dir: str | Path | None,
    train_list: str | Path | None,
) -> _Known | None:
    """The photos that there are to choose from; None if nothing says it."""
    wnids = [c.wnid for c in classes]
    store = None if data_dir is None else open_source(Path(data_dir))
    if not subset.by_name:
        listed = TrainList.read(Path(train_list), wnids) if train_list else None
        if listed := listed or (store.train_list(wnids) if store else None):
            return _Known({wnid: listed.numbers(wnid) for wnid in wnids}, True)
    if store is None:
        return None
    known = Subset(subset.name, tuple(classes))
    listing = list_images(known, ["train"], store, on_missing="ignore", by_name=subset.by_name)
    records = listing.records["train"]
    ids: dict[str, dict[str, int]] = {wnid: {} for wnid in wnids}
    of_rows = records.classes.tolist(), records.stems, records.ids.tolist()
    for place, stem, image_id in zip(*of_rows, strict=True):
        ids[wnids[place]][stem] = image_id
    return _Known(ids, False)


def _ids(chosen: Chosen, known: _Known, classes: list[ImageClass]) -> NDArray[np.int64]:
    """Ids of all photos that are to be chosen; 0 for one that isn't there and has no number."""

    def ids() -> Iterator[int]:
        for c in classes:
            if chosen.concerns(c.wnid):
                numbers = known.ids[c.wnid]
                for stem in chosen.among(c, numbers, known=known.listed and bool(numbers)):
                    yield numbers.get(stem, 0)

    return np.fromiter(ids(), np.int64)


def _problems(
    subset: ImagenetSubset, made: Provenance, ids: NDArray[np.int64], val_images: int
) -> Iterator[str]:
    """Train photos that aren't chosen, and chosen ones that are nowhere, a line each."""
    train = subset.ids("train").astype(np.int64)
    others = np.flatnonzero(~np.isin(train, ids))
    if len(others):
        row = int(others[0])
        yield (
            f"{len(others):,} of {counted(len(train), 'train image')} aren't those that are chosen "
            f"({made.choice}), the first is row {row}, id {train[row]}"
        )
        return
    lacking = {"train": len(ids) - len(train)}
    if "val" in made.splits:
        lacking["val"] = val_images - len(subset.ids("val"))
    if sum(lacking.values()) != made.missing + made.undecodable:
        parts = " and ".join(f"{n:,} of {split}" for split, n in lacking.items())
        yield (
            f"of the images that are chosen ({made.choice}) it lacks {parts}, and says that "
            f"{made.missing + made.undecodable:,} were left out"
        )
