"""What is under a build's names already, and what the build would do with it; nothing is written.

It decides by what `imagenet_subset.building.run.run_build` decides by, in the same order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from imagenet_subset.building.finished import already_complete
from imagenet_subset.building.output import check_names, is_begun, taken_up
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.shared_disk import check_folder
from imagenet_subset.building.way_on import on_with_journal
from imagenet_subset.errors import OutputError
from imagenet_subset.system.files import writing
from imagenet_subset.system.folders import check_access, nearest_folder
from imagenet_subset.system.publishing import check_not_locked

Act = Literal["build", "go_on", "replace", "nothing", "refuse"]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a build would do."""

    act: Act
    """``build`` a new file, ``go_on`` with an unfinished one, ``replace`` a finished one,
    ``nothing`` as it is complete, or ``refuse``."""
    done: int = 0
    """Images that are done, by the journal or in the finished file."""
    discards: bool = False
    """Whether an unfinished file of another build is discarded, since ``overwrite`` is asked."""
    why: str = ""
    """Why it would refuse: the line that the build would end with."""


def look(plan: BuildPlan, *, elsewhere: bool = False) -> Standing:
    """See what the build would do with what is there.

    Parameters
    ----------
    elsewhere
        Whether its workers are those of an executor, and may be on other machines.
    """
    try:
        return _look(plan, elsewhere=elsewhere)
    except OutputError as error:
        return Standing("refuse", why=str(error))


def _look(plan: BuildPlan, *, elsewhere: bool) -> Standing:
    files, overwrite = plan.output, plan.options.overwrite
    if not overwrite and (complete := already_complete(plan)) is not None:
        return Standing("nothing", sum(complete.rows.values()) - complete.undecodable)
    if elsewhere:
        check_folder(files.folder)
    check_names(files)
    with writing(files.partial if files.folder.exists() else files.folder):
        check_access(nearest_folder(files.npz))
    act: Act = "build"
    with writing(files.npz):
        if files.npz.exists():
            act = "replace"
    with writing(files.partial):
        if files.partial.exists():
            check_not_locked(files.partial)
        if not is_begun(files):
            return Standing(act)
    try:
        way_on = partial(on_with_journal, plan)
        with taken_up(plan.target, way_on, to_look=True) as journal:
            return Standing("go_on", int(np.count_nonzero(journal.done)))
    except OutputError:
        if not overwrite:
            raise
        return Standing(act, discards=True)
