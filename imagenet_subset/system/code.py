"""Where this program's own code is."""

from __future__ import annotations

import importlib.util
import os

PACKAGES = ("pipelines", "imagenet_subset")
"""In the order in which they can be imported."""


def package_file(package: str) -> str:
    """Absolute path of a package's ``__init__.py``, as this process imports it.

    Parameters
    ----------
    package
        One of `PACKAGES`.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no package named {package}", name=package)
    return os.path.abspath(spec.origin)
