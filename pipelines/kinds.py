"""All that the program knows of each pipeline, in one table: a row for each device it runs on.

A new pipeline is one module and one row of `TABLE`: the command line, `pipelines.choice`, builds,
``selftest`` and ``verify`` go by the table alone. To import this module imports none of the
packages that pipelines need.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.base import PER_IMAGE_BATCH, Device, Pipeline, Settings
from pipelines.bounds import (
    DALI_CPU_BY_FILTER,
    DALI_GPU_BY_FILTER,
    EXACT,
    EXACT_BY_ALL,
    Bounds,
    BoundsByFilter,
)
from pipelines.packages import (
    DALI_INSTALL,
    FOR_CUDA_13,
    GPU_INSTALL,
    TURBO_INSTALL,
    TURBO_PACKAGES,
    cuda_of_packages,
    installed,
    without_dali_wheels,
)
from pipelines.rule import DEFAULT, Interpolation, PixelRule

AUTO = "auto"
"""In place of a pipeline's name: whichever is best here."""

LOADS = {"split": 0.65, "engine": 1.0, "cuda": 0.0}
"""Share of a batch for the hardware JPEG engine of those GPUs that have one, by name. ``split`` is
DALI's default: the engine and CUDA work side by side, and which of them a photo gets may depend on
its batch. With the others it depends on the photo alone."""
LOAD = "split"
"""The load of a build."""

LARGER_BATCH = 4
"""How many times as much memory as the default's a batch of larger images may take."""

SHARED_BATCHES = 4
"""Batches per shard, at most, where several processes have one device: one decodes while another is
between two shards. Of rows it is always a multiple of 4."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A pipeline on a device."""

    name: str
    """As ``--pipeline`` takes it."""
    device: Device
    opener: str
    """``module:function`` that takes `pipelines.base.Settings` and gives the pipeline."""
    bounds: BoundsByFilter
    """How far its images may lie from Pillow's, for each filter that it has."""
    modules: tuple[str, ...]
    """What a process will import to run it, and may import before it is forked. To import these
    modules never fails, even where the packages are broken."""
    modules_by_filter: Mapping[Interpolation, tuple[str, ...]] = field(default_factory=dict)
    """More of them, for filters that need some."""
    software: str = ""
    """What people call the software behind it, where that isn't ``name``."""
    packages: Mapping[str, str] = field(default_factory=dict)
    """Packages that it needs: what people call each, and the module to look for."""
    install: str = ""
    """Command that installs them."""
    install_cuda13: str = ""
    """The same beside packages for CUDA 13, where it is another."""
    wheels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What decides the pixels besides Pillow: a name for the provenance, and the distributions of
    which one has it."""
    linux_only: bool = False
    """Whether its packages are for Linux only."""
    batch_size: int = PER_IMAGE_BATCH
    """Images per batch, if the user doesn't say: see `batch_for`."""
    shard_size: int = 64
    """Rows per shard. 64 images that are decoded one by one take a fraction of a second."""
    shard_batches: int = 0
    """Batches per shard, for a pipeline to which ``shard_size`` doesn't apply."""
    threaded: bool = False
    """Whether one process uses all cores by threads of its own, rather than a process each."""
    reads_ahead: bool = False
    """Whether it asks for photos beyond the one that it decodes: if a worker dies, any of the
    photos up to the last may be the cause."""
    auto: int = 0
    """``auto`` on the CPU takes the kind with the highest number that can be had, and Pillow if
    that won't start. 0: only who asks for it gets it. Kinds with a number have exact
    bounds."""
    decoders: str = ""
    """``module:function`` that takes a device and the index of a GPU, and gives what has a ``line``
    on which decoders run; empty where there is nothing to say."""
    failed: str = ""
    """Prefix of the reason when the pipeline failed and Pillow decoded the image instead."""
    is_pillow: bool = False
    """Whether it is Pillow itself, the reference."""

    @property
    def title(self) -> str:
        """What people call it."""
        return self.software or self.name

    @property
    def fits_system(self) -> bool:
        """Whether it is for this operating system."""
        return not self.linux_only or sys.platform.startswith("linux")

    def lacks(self, interpolation: Interpolation) -> str:
        """Say that it hasn't a filter; empty if it has."""
        return "" if interpolation in self.bounds else f"{self.title} has no {interpolation} filter"

    def missing(self) -> list[str]:
        """Packages that aren't installed. They are looked for, not imported."""
        return [name for name, module in self.packages.items() if not installed(module)]

    def install_line(self, cuda: int | None = None, *, instead: bool = False) -> str:
        """Command that installs what it needs, or why there is none.

        Parameters
        ----------
        cuda
            Major version of CUDA; that of the packages that are installed already by default.
        instead
            Whether packages for another CUDA have to go first.
        """
        if self.linux_only and (machine := without_dali_wheels()):
            return f"NVIDIA makes no {self.title} packages for {machine}: build it from source"
        cuda = cuda or cuda_of_packages()
        line = self.install_cuda13 if self.install_cuda13 and cuda == 13 else self.install
        return f"pip uninstall -y {' '.join(FOR_CUDA_13)} && {line}" if instead else line

    def batch_for(self, rule: PixelRule) -> int:
        """Images per batch: fewer where they are large, which would take gigabytes else.

        Examples
        --------
        >>> [_DALI.batch_for(PixelRule(2048, crop)) for crop in (64, 224, 512, 2048)]
        [128, 128, 98, 6]
        """
        nbytes = LARGER_BATCH * self.batch_size * DEFAULT.nbytes
        return max(1, min(self.batch_size, nbytes // rule.nbytes))

    def rows_per_shard(self, batch_size: int, *, shared: bool = False) -> int:
        """Rows per shard with batches of this size.

        Parameters
        ----------
        shared
            Whether several processes have one device.
        """
        batches = min(self.shard_batches, SHARED_BATCHES) if shared else self.shard_batches
        return batches * batch_size or self.shard_size

    def open(self, settings: Settings) -> Pipeline:
        """Build the pipeline, in the process that will run it.

        Raises
        ------
        PipelineUnavailableError
            It won't start.
        """
        pipeline: Pipeline = _loaded(self.opener)(settings)
        return pipeline

    def running_decoders(self, gpu: int) -> str:
        """Which decoders run in this process, in one line; empty where there is nothing to say."""
        return str(_loaded(self.decoders)(self.device, gpu).line) if self.decoders else ""


def _loaded(name: str) -> Callable[..., Any]:
    """A function by ``module:function``."""
    module, function = name.split(":")
    loaded: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return loaded


_DALI = Kind(
    name="dali",
    device="cpu",
    opener="pipelines.dali.pipeline:open_pipeline",
    bounds=DALI_CPU_BY_FILTER,
    modules=("pipelines.dali.pipeline", "pipelines.dali.imports"),
    software="DALI",
    packages={"DALI": "nvidia.dali"},
    install=DALI_INSTALL,
    wheels={
        "dali": ("nvidia-dali-cuda120", "nvidia-dali-cuda130"),
        "nvimgcodec": ("nvidia-nvimgcodec-cu12", "nvidia-nvimgcodec-cu13"),
    },
    linux_only=True,
    # Enough that threads seldom wait for the last image of a batch; 19 MB of pixels.
    batch_size=128,
    # DALI idles while a shard's first batch is read and its last one is written.
    shard_batches=8,
    threaded=True,
    reads_ahead=True,
    decoders="pipelines.dali.decoders:decoders_of",
    failed="DALI: ",
)

TABLE = (
    Kind(
        name="pillow",
        device="cpu",
        opener="pipelines.per_image:open_pipeline",
        bounds=EXACT_BY_ALL,
        modules=("pipelines.per_image",),
        auto=1,
        is_pillow=True,
    ),
    Kind(
        name="turbo",
        device="cpu",
        opener="pipelines.turbo.pipeline:open_pipeline",
        bounds=EXACT_BY_ALL,
        modules=("pipelines.turbo.pipeline", "pipelines.turbo.imports"),
        modules_by_filter={"bilinear": ("pipelines.turbo.kernel_imports",)},
        packages={name: name for name in TURBO_PACKAGES},
        install=TURBO_INSTALL,
        wheels={"simplejpeg": ("simplejpeg",)},
        auto=2,
    ),
    _DALI,
    replace(
        _DALI,
        device="gpu",
        bounds=DALI_GPU_BY_FILTER,
        # No more than this: CUDA that has begun doesn't survive a fork.
        modules=("pipelines.dali.pipeline",),
        packages={**_DALI.packages, "CuPy": "cupy"},
        install=GPU_INSTALL[12],
        install_cuda13=GPU_INSTALL[13],
        wheels={**_DALI.wheels, "nvjpeg": ("nvidia-nvjpeg-cu12", "nvidia-nvjpeg")},
        # nvJPEG wants many images at once; 38 MB of pixels and, before scaling at ImageNet's mean
        # size, 144 MB.
        batch_size=256,
    ),
)
"""A pipeline with a row for the GPU has one for the CPU too, since ``--device auto`` may end
there."""

KINDS: dict[tuple[str, str], Kind] = {(kind.name, kind.device): kind for kind in TABLE}
"""The table by name and device."""
NAMES = tuple(dict.fromkeys(kind.name for kind in TABLE))
"""What ``--pipeline`` takes besides `AUTO`."""
UNASKED = tuple(sorted((kind for kind in TABLE if kind.auto), key=lambda kind: -kind.auto))
"""What ``auto`` takes on the CPU, the best first; the last is Pillow."""


def on_gpu(name: str) -> Kind | None:
    """Kind that decodes on a GPU under this name or for `AUTO`; None if none does.

    Examples
    --------
    >>> on_gpu("auto").name, on_gpu("turbo")
    ('dali', None)
    """
    return next((k for k in TABLE if k.device == "gpu" and name in (k.name, AUTO)), None)


def bounds_of(name: str, device: str, interpolation: Interpolation) -> Bounds:
    """Bounds of a pipeline and a filter that a file names; exact if the table hasn't the two.

    Examples
    --------
    >>> bounds_of("turbo", "cpu", "box").largest, bounds_of("dali", "cpu", "bilinear").largest
    (0, 1)
    """
    kind = KINDS.get((name, device))
    return kind.bounds.get(interpolation, EXACT) if kind else EXACT
