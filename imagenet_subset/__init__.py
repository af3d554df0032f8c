"""A slice of ImageNet (ILSVRC 2012) as one NPZ.

`build` makes it, `verify` proves it, `open_subset` opens it memory-mapped. What can go wrong is an
`ImagenetSubsetError`; the tree is drawn in `imagenet_subset.errors`. NumPy is imported at once, so
that the first `open_subset` takes milliseconds too; anything else only when a name is used. With a
stranger's ``pipelines`` on the path, `open_subset` works and the others are an `ImportError`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from imagenet_subset.errors import ImagenetSubsetError
from imagenet_subset.reading.subset import ImagenetSubset, open_subset
from imagenet_subset.system.shadowed import check_pipelines
from imagenet_subset.version import __version__

if TYPE_CHECKING:
    from imagenet_subset.api import build, verify
    from imagenet_subset.building.run import BuildResult
    from imagenet_subset.checking.file import VerifyReport

__all__ = [
    "BuildResult",
    "ImagenetSubset",
    "ImagenetSubsetError",
    "VerifyReport",
    "__version__",
    "build",
    "open_subset",
    "verify",
]

_MODULES = {
    "BuildResult": "building.run",
    "VerifyReport": "checking.file",
    "build": "api",
    "verify": "api",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    check_pipelines()
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
