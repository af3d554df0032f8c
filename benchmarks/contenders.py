"""Who takes part: this project's build by each pipeline, and the peers in `peers`."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from measure import Measured, measure

from imagenet_subset.reading.subset import open_subset
from pipelines.packages import installed

PEERS = Path(__file__).parent.resolve() / "peers"
FLOOR = "bare decode"
OURS = "turbo build"
EXACT = ("torchvision PIL loader", "Pillow pool")
"""Whose rows are right, the first that is installed: the second does the first's arithmetic."""


@dataclass(frozen=True, slots=True)
class Job:
    """What every contender does."""

    tree: Path
    """``Data/CLS-LOC``, for builds."""
    subset: str
    splits: tuple[str, ...]
    photos: Path
    """The list for peers: one photo a line, in the rows' order."""
    out: Path
    """Folder for whatever they write."""
    workers: int


@dataclass(slots=True)
class Contender:
    """A command that makes the pixels, and how to look at them."""

    name: str
    command: list[str]
    output: Path
    load: Callable[[Path], list[np.ndarray]] | None
    """Arrays of the rows it wrote, ``(N, 224, 224, 3) uint8``, to be put after each other."""
    needs: tuple[str, ...] = ()
    """Packages without which it is left out."""
    lacking: str = ""
    """What else is missing, if anything."""
    ours: bool = False
    environment: Mapping[str, str] | None = None
    folder: Path | None = None
    runs: list[Measured] = field(default_factory=list)
    """Of the rounds that are timed."""
    peak_bytes: int = 0
    difference: int | None = None
    """The largest to the right pixels, of 255."""

    @property
    def missing(self) -> str:
        """Why it is left out; empty if it takes part."""
        packages = [name for name in self.needs if not installed(name)]
        return f"no {', '.join(packages)}" if packages else self.lacking

    def run(self, *, memory: bool) -> Measured:
        """Run it once, as `measure` does."""
        environment = self.environment
        return measure(self.command, environment=environment, folder=self.folder, memory=memory)


def contenders(job: Job, pillow_simd: str | None, against: Path | None) -> list[Contender]:
    """All of them, installed or not; the floor first.

    Parameters
    ----------
    job
        What they do.
    pillow_simd
        A Python that has pillow-simd in Pillow's place.
    against
        Another checkout of this project, or a Python that has another version of it.
    """
    torch = ("torch", "torchvision")
    found = [
        _peer(job, FLOOR, "bare_decode", ("simplejpeg",)),
        _build(job, "turbo", ("simplejpeg", "llvmlite")),
        _build(job, "pillow", ()),
        _build(job, "dali", ("nvidia.dali",)),
        _peer(job, "Pillow pool", "pillow_pool", ()),
        _simd(job, pillow_simd),
        _peer(job, "kornia-rs pool", "kornia_pool", ("kornia_rs",)),
        _peer(job, "OpenCV INTER_AREA", "opencv_area", ("cv2",)),
        _peer(job, "SPDL", "spdl_pipeline", ("spdl.io",)),
        _peer(job, "torchvision.io v2 loader", "torchvision_v2", torch),
        _peer(job, EXACT[0], "torchvision_loader", torch),
        _peer(job, "Hugging Face datasets", "hf_datasets", ("datasets",)),
        _peer(job, "tf.data", "tf_data", ("tensorflow",)),
        _peer(job, "FFCV writer", "ffcv_writer", ("ffcv", *torch)),
        _peer(job, "plain loop", "plain_loop", ()),
    ]
    if against:
        found[4:4] = [
            _build(job, "turbo", ("simplejpeg", "llvmlite"), against),
            _build(job, "pillow", (), against),
        ]
    return found


def _peer(
    job: Job, name: str, script: str, needs: tuple[str, ...], python: str = sys.executable
) -> Contender:
    loads = {"bare_decode": None, "plain_loop": _saved, "ffcv_writer": _beton}
    load = loads.get(script, _mapped)
    out = job.out / f"{script}{'.npz' if script == 'plain_loop' else '.npy'}"
    command = [python, str(PEERS / f"{script}.py"), str(job.photos), str(out), str(job.workers)]
    return Contender(name, command, out, load, needs)


def _simd(job: Job, python: str | None) -> Contender:
    found = _peer(job, "pillow-simd pool", "pillow_pool", (), python or "")
    found.lacking = _pillow_simd_lacks(python)
    return found


def _build(
    job: Job, pipeline: str, needs: tuple[str, ...], against: Path | None = None
) -> Contender:
    out = job.out / f"{pipeline}{' of the other' if against else ''}"
    title = {"turbo": "turbo", "pillow": "Pillow", "dali": "DALI"}[pipeline]
    name = f"{'other ' if against else ''}{title} build"
    python, environment, folder = sys.executable, dict(os.environ), None
    if against and against.is_dir():
        # The working folder comes first on the path of ``-m``, then PYTHONPATH, then an install.
        environment["PYTHONPATH"], folder = str(against), against
    elif against:
        python, folder, needs = str(against), job.out, ()
    command = [python, "-m", "imagenet_subset", "build", "--overwrite", "--quiet"]
    command += ["--subset_name", job.subset, "--data_dir", str(job.tree), "--out_dir", str(out)]
    command += ["--device", "cpu", "--pipeline", pipeline, "--workers", str(job.workers)]
    command += ["--splits", ",".join(job.splits), "--out_name", "built"]
    return Contender(
        name,
        command,
        out / "built_cls.npz",
        _built,
        needs,
        ours=True,
        environment=environment,
        folder=folder,
    )


def _pillow_simd_lacks(python: str | None) -> str:
    if python is None:
        return "no --pillow_simd PYTHON"
    ask = "import numpy, PIL; print(PIL.__version__)"
    try:
        version = subprocess.run([python, "-c", ask], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return f"{python} has no pillow-simd and NumPy"
    return "" if "post" in version.stdout else f"{python} has Pillow, not pillow-simd"


def _mapped(path: Path) -> list[np.ndarray]:
    return [np.load(path, mmap_mode="r")]


def _saved(path: Path) -> list[np.ndarray]:
    return [np.load(path)["X"]]


def _beton(path: Path) -> list[np.ndarray]:
    from ffcv.reader import Reader

    file = np.memmap(path, np.uint8, "r")
    places = Reader(str(path)).metadata["f0"]["data_ptr"]
    shape = (1, 224, 224, 3)
    return [file[int(at) :][: math.prod(shape)].reshape(shape) for at in places]


def _built(path: Path) -> list[np.ndarray]:
    subset = open_subset(path)
    return [subset.X_train, subset.X_val]
