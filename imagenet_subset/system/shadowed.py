"""Whether ``pipelines`` is our own package: its name is a common one."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from imagenet_subset.system.text import printable


def check_pipelines() -> None:
    """Refuse a stranger's ``pipelines``, without running its code.

    Raises
    ------
    ImportError
        Another package or module of this name hides ours, or there is none.
    """
    places = _places()
    if not places:
        raise ImportError(
            "imagenet-subset is installed in part: its package pipelines isn't there; install it "
            "again"
        )
    if not _beside_us(places[0]):
        raise ImportError(
            f"{printable(places[0])} hides imagenet-subset's own package pipelines; rename it, or "
            "start Python without it on the path (current folder, PYTHONPATH)"
        )


def _places() -> list[str]:
    """Folders of the package that ``import pipelines`` gives, or the file of a module."""
    if (module := sys.modules.get("pipelines")) is not None:
        spec = getattr(module, "__spec__", None)
    else:
        spec = importlib.util.find_spec("pipelines")
    if spec is None:
        return [] if module is None else ["pipelines, a module of the running program,"]
    return [*(spec.submodule_search_locations or ()), spec.origin or "pipelines"]


def _beside_us(folder: str) -> bool:
    # Installers that link files one by one keep the folders, or link both to other folders.
    ours, theirs = __file__, os.path.join(folder, "__init__.py")
    return any(
        Path(way(ours)).parents[2] == Path(way(theirs)).parents[1]
        for way in (os.path.abspath, os.path.realpath)
    )
