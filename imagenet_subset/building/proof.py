"""How a worker proves itself before its first shard: the same file, code, libraries and photos.

An executor that somebody else set up may have workers on machines that mount other folders, or
that have other versions installed. What they would write is wrong, or goes into a file that nobody
reads; so each is checked where it runs, and one that doesn't fit ends the build.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from imagenet_subset.columns import Location
from imagenet_subset.errors import UnfitWorkerError
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.patience import closing
from imagenet_subset.system.code import PACKAGES, package_file
from imagenet_subset.system.text import printable
from pipelines.choice import PipelineConfig

TOKEN_NBYTES = 32
"""Length of a run's token. It is at offset 0 of the unfinished file, where the first header, which
is longer, replaces it in the end."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What a worker is held against."""

    token: bytes
    """`TOKEN_NBYTES` random bytes of this run, at offset 0 of its file."""
    code: str
    """`code_hash` of the process that planned the build."""
    versions: Mapping[str, str]
    """Versions there of everything that decides the pixels, and of Python."""
    photos: tuple[Location, ...]
    """Photos of which the planning process can read each."""
    patience: float
    """Seconds that a shared file system has to show the file: its clients remember for a while
    what they once saw."""


def new_token() -> bytes:
    """Make the token of a run."""
    return os.urandom(TOKEN_NBYTES)


def this_process() -> tuple[str, int]:
    """Host and process id."""
    return platform.node(), os.getpid()


def worker_name() -> str:
    """Name of this process for people: host and process id."""
    return "{} (pid {})".format(*this_process())


def with_python(versions: Mapping[str, str]) -> dict[str, str]:
    """Versions, and that of Python, which decides how objects are pickled."""
    return {**versions, "python": ".".join(platform.python_version_tuple()[:2])}


@functools.cache
def code_hash() -> str:
    """SHA-256 of this program's modules, since a version says little of a clone."""
    sha = hashlib.sha256()
    for package in PACKAGES:
        folder = Path(package_file(package)).parent
        for path in sorted(folder.rglob("*.py")):
            sha.update(f"{package}/{path.relative_to(folder).as_posix()}\n".encode())
            sha.update(path.read_bytes())
    return sha.hexdigest()


def check_code_and_pipeline(proof: Proof, *, planned: PipelineConfig, here: PipelineConfig) -> None:
    """Refuse a worker with other code, another pipeline, or other versions of what decides pixels.

    Raises
    ------
    UnfitWorkerError
        Both sides of what differs.
    """
    differing = list(_differing(_decoder_of(planned), _decoder_of(here)))
    if differing:
        remedy = "have the same on both sides, or ask for a --device and --pipeline that both have"
    else:
        remedy = "install the same versions on both sides"
    differing += _differing(proof.versions, with_python(here.versions()))
    if differing:
        raise UnfitWorkerError(
            f"worker {worker_name()} might make other pixels: {'; '.join(differing)}; {remedy}"
        )
    if code_hash() != proof.code:
        raise UnfitWorkerError(
            f"worker {worker_name()} runs other code of imagenet-subset, from "
            f"{printable(Path(package_file('imagenet_subset')).parent)}; install the same on both "
            "sides, and start workers and program anew"
        )


def _decoder_of(config: PipelineConfig) -> dict[str, str]:
    """What decodes. Of GPUs some have a JPEG decoder of their own, which may differ from others."""
    gpu = {"gpu": config.cards[0].name} if config.cards else {}
    return {"pipeline": config.title, **gpu}


def _differing(planned: Mapping[str, str], here: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(here.keys() | planned.keys()):
        there, found = planned.get(name, "none"), here.get(name, "none")
        if there != found:
            yield f"{name} {there} where the build was planned, {found} there"


def check_photos(proof: Proof, store: Store) -> None:
    """Refuse a worker that can read none of some photos which the planning process can read.

    Raises
    ------
    UnfitWorkerError
        None is there, or may be read.
    """
    if not proof.photos:
        return
    reason = ""
    try:
        with closing(store.open()) as reader:
            for at in proof.photos:
                try:
                    reader.read(at)
                except OSError as error:
                    reason = reason or f"{printable(store.describe(at))}: {error.strerror or error}"
                else:
                    return
    except OSError as error:
        reason = f"{printable(store.root)}: {error.strerror or error}"
    raise UnfitWorkerError(
        f"worker {worker_name()} doesn't see the photos: {reason}; they must be at the same place "
        "for all workers"
    )
