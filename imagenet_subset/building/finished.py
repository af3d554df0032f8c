"""A file that has the output's name already: whether it is what this build would make."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.building.journal import differences
from imagenet_subset.building.output import check_no_folder
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.errors import OutputError, OutputExistsError, ReadError, ReadRefusedError
from imagenet_subset.npz.class_csv import write_metadata
from imagenet_subset.npz.provenance import Provenance
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.system.files import reading, writing
from imagenet_subset.system.publishing import removable
from imagenet_subset.system.text import printable

Ids = Mapping[Split, NDArray[Any]]


def already_complete(plan: BuildPlan) -> BuildPlan | None:
    """The plan as a finished file of its name has carried it out; None if there is no file.

    With ``--skip_undecodable`` a file that left some of the plan's images out as undecodable will
    do too; then ``undecodable`` says how many.

    Raises
    ------
    OutputExistsError
        A file with other contents has its name.
    OutputError
        What has its name is a folder, or a file that the system doesn't let be read.
    """
    path = plan.output.npz
    check_no_folder(path)
    with writing(path):
        if not path.exists():
            return None
    from imagenet_subset.reading.subset import ImagenetSubset

    try:
        there = ImagenetSubset(path)
        with reading(path):
            size = path.stat().st_size
        ids: Ids = {split: np.asarray(there.ids(split)) for split in SPLITS}
    except ReadRefusedError as error:
        raise OutputError(
            f"{printable(path)} exists, and whether it is complete is unknown: {error}, or choose "
            "another --out_dir"
        ) from error
    except ReadError as error:
        raise _exists(plan, str(error)) from error
    return _as_carried_out(plan, there.made, ids, size)


def _as_carried_out(plan: BuildPlan, made: Provenance | None, ids: Ids, size: int) -> BuildPlan:
    if not (differing := _differing(plan, made, ids, size)):
        return _carried_out(plan, made)
    from imagenet_subset.building.way_on import NoWayError, flags_for

    why, way = "; ".join(differing), ""
    if made:
        with contextlib.suppress(NoWayError):
            flags = flags_for(plan, made, lambda other: not _differing(other, made, ids, size))
            way = f"; the same command {flags} finds it complete"
    raise _exists(plan, why, way)


def _carried_out(plan: BuildPlan, made: Provenance | None) -> BuildPlan:
    undecodable = made.undecodable if made and plan.options.skip_undecodable else 0
    return replace(plan, undecodable=undecodable)


def _differing(plan: BuildPlan, made: Provenance | None, ids: Ids, size: int) -> list[str]:
    """What isn't as the plan has it, a few words each."""
    carried_out = _carried_out(plan, made)
    ours = carried_out.provenance
    differing = made.differences(ours) if made else differences({}, ours.to_dict())
    if differing:
        return differing
    left_out = [_left_out(plan.columns[f"{s}_id"], ids[s]) for s in SPLITS]
    rows = {split: len(ids[split]) for split in SPLITS}
    others = min(left_out) < 0 or sum(left_out) != carried_out.undecodable
    return ["other images"] if others or size != carried_out.laid_out(rows).size else []


def _left_out(planned: NDArray[np.int32], found: NDArray[Any]) -> int:
    """How many of the planned ids weren't found; -1 if anything else was found."""
    return len(planned) - len(found) if np.isin(found, planned).all() else -1


def _exists(plan: BuildPlan, why: str, way: str = "") -> OutputExistsError:
    return OutputExistsError(
        f"{printable(plan.output.npz)} exists and is not what this build makes ({why}){way}; "
        "pass --overwrite to replace it, or choose another --out_dir or --out_name"
    )


def tidy(plan: BuildPlan) -> None:
    """Do what a build that was killed right after it published its file left undone."""
    files = plan.output
    with writing(files.journal), removable(files.journal) as remove:
        if not files.partial.exists():
            remove()
    with writing(files.csv):
        if not files.csv.exists():
            write_metadata(files.csv, plan.subset)
