"""Whether ``pipelines``, the package beside this one, is ours: its name is a common one."""

from __future__ import annotations

import importlib.util
import os
import sys

from imagenet_subset.errors import printable


def check_pipelines() -> None:
    """Refuse a stranger's ``pipelines``, without running its code.

    Raises
    ------
    ImportError
        Another package or module of this name hides ours, or there is none.
    """
    found = _where()
    if found is None:
        raise ImportError(
            "imagenet-subset is installed in part: its package pipelines isn't there; install it "
            "again"
        )
    if not _beside_us(found):
        raise ImportError(
            f"{printable(os.path.abspath(found))} hides imagenet-subset's own package pipelines; "
            "rename it, or start Python without it on the path (current folder, PYTHONPATH)"
        )


def _where() -> str | None:
    """File of the module that ``import pipelines`` gives, or folder of one without a file."""
    if (module := sys.modules.get("pipelines")) is not None:
        return getattr(module, "__file__", None) or "a module of the program that runs"
    spec = importlib.util.find_spec("pipelines")
    if spec is None:
        return None
    return spec.origin if spec.has_location else next(iter(spec.submodule_search_locations or ()))


def _beside_us(file: str) -> bool:
    def root(path: str) -> str:
        return os.path.dirname(os.path.dirname(path))

    # Installers that link files one by one keep the folders, or lead to other ones together.
    ways = (os.path.abspath, os.path.realpath)
    return any(root(way(file)) == root(way(__file__)) for way in ways)
