"""Machine code by numba. Its cache on disk saves time but isn't needed.

numba keeps what it compiled beside the source, or in the user's cache folder. It fails if it can
write to neither, if the disk is full, and if a power cut left an index that can't be read.
Worse, it runs what is in the cache: a block of zeros there is a segmentation fault. So each file of
machine code has its SHA-256 beside it here, and without the right one it isn't loaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba

from pipelines.base import one_line

CACHED = "later runs find it in numba's cache"
DROPPED = f"numba's cache had files that can't be used; {CACHED}"
REMEDY = "set NUMBA_CACHE_DIR to a folder that can be written to"


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled function."""

    function: Any
    seconds: float
    """How long compiling took; 0 when it came from the cache."""
    note: str
    """About the cache, for after "compiled in 1.2 s;"."""


def compiled(function: Callable[..., None], signature: Any, **options: Any) -> Compiled:
    """Compile a function for one signature, or load it from numba's cache.

    Parameters
    ----------
    function
        Defined at the top of a module.
    signature
        Of numba's types.
    options
        For `numba.njit`.

    Raises
    ------
    ImportError
        NUMBA_DISABLE_JIT is set.
    """
    if numba.config.DISABLE_JIT:  # type: ignore[attr-defined]
        raise ImportError("NUMBA_DISABLE_JIT is set, and numba compiles nothing")
    started = time.perf_counter()
    made, note = _by_cache(function, signature, options)
    made.disable_compile()  # for the types of other arguments: they are converted
    seconds = time.perf_counter() - started if made.stats.cache_misses else 0.0
    return Compiled(made, seconds, note)


def _by_cache(
    function: Callable[..., None], signature: Any, options: dict[str, Any], cleaned: bool = False
) -> tuple[Any, str]:
    """Function and note; a cache that fails is emptied once, and then done without."""
    try:
        made = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # of numba's CacheImpl: "no locator available"
        return _without_cache(function, signature, options), (
            f"each run will, as numba finds no folder for its cache; {REMEDY}"
        )
    files = Path(made.stats.cache_path), f"{Path(function.__code__.co_filename).stem}.*"
    try:
        dropped = _drop(*files, everything=False)
        made.compile(signature)
        if made.stats.cache_misses:
            _prove(*files)
    except Exception as error:
        if made.signatures:
            return made, f"each run will, as numba's cache can't be written ({one_line(error)})"
        if not cleaned and _can_drop(*files):
            made, note = _by_cache(function, signature, options, cleaned=True)
            return made, DROPPED if note == CACHED else note
        return _without_cache(function, signature, options), (
            f"each run will, as numba's cache can't be used ({one_line(error)}); {REMEDY}"
        )
    return made, DROPPED if dropped else CACHED


def _without_cache(function: Callable[..., None], signature: Any, options: dict[str, Any]) -> Any:
    made = numba.njit(**options)(function)
    made.compile(signature)
    return made


def _drop(folder: Path, pattern: str, *, everything: bool) -> bool:
    """Remove machine code that isn't what was written, or all of the cache.

    Other processes may do the same at the same time: what one has removed, numba compiles again.
    """
    dropped = False
    for path in folder.glob(f"{pattern}.nb[ci]"):
        if everything or (path.suffix == ".nbc" and not _is_proven(path)):
            path.unlink(missing_ok=True)
            dropped = True
    return dropped


def _can_drop(folder: Path, pattern: str) -> bool:
    try:
        return _drop(folder, pattern, everything=True)
    except OSError:
        return False


def _is_proven(path: Path) -> bool:
    try:
        return _proof(path).read_text() == _sha256(path)
    except (OSError, ValueError):
        return False


def _prove(folder: Path, pattern: str) -> None:
    """Write each file's SHA-256 beside it."""
    for path in folder.glob(f"{pattern}.nbc"):
        with contextlib.suppress(FileNotFoundError):  # another process has removed it
            if not _is_proven(path):
                _proof(path).write_text(_sha256(path))


def _proof(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
