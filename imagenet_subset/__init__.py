"""A slice of ImageNet (ILSVRC 2012) as one NPZ.

`build` makes it, `verify` proves it, `open_subset` opens it memory-mapped. What can go wrong is an
`ImagenetSubsetError`; the tree is drawn in `imagenet_subset.errors`. Each is imported when its name
is first used, so that the command line answers a Ctrl-C from its first moment on. With a stranger's
``pipelines`` on the path, `open_subset` works, and what decodes is an `ImportError`.
"""

from imagenet_subset.version import __version__

TYPE_CHECKING = False  # that of `typing` takes longer to import than all that is here
if TYPE_CHECKING:
    from imagenet_subset.api import build, verify
    from imagenet_subset.building.run import BuildResult
    from imagenet_subset.checking.file import VerifyReport
    from imagenet_subset.errors import ImagenetSubsetError
    from imagenet_subset.reading.subset import ImagenetSubset, open_subset

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

_DECODE = {
    "BuildResult": "building.run",
    "VerifyReport": "checking.file",
    "build": "api",
    "verify": "api",
}
_MODULES = _DECODE | {
    "ImagenetSubset": "reading.subset",
    "ImagenetSubsetError": "errors",
    "open_subset": "reading.subset",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    from imagenet_subset.system.shadowed import check_pipelines

    if name in _DECODE:
        check_pipelines()
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
