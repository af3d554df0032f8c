"""Which pipeline is asked for: a value that travels to the machine that decodes."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from pipelines.driver import Wanted
from pipelines.kinds import AUTO, NAMES
from pipelines.rule import DEFAULT, PixelRule

LARGEST_BATCH = 4096
"""Beyond, a batch is a mistake: 600 MB of pixels."""
MOST_PROCESSES = 64
"""Beyond, so many processes of DALI on a device are a mistake."""


@dataclass(frozen=True, slots=True)
class PipelineRequest:
    """Which pipeline was asked for: picklable, goes to the machine that decodes.

    Raises
    ------
    ValueError
        An argument makes no sense.
    """

    device: str = "auto"
    """``auto``, ``gpu`` or ``cpu``; ``auto`` takes the GPU when DALI, CuPy and a CUDA GPU are all
    there."""
    pipeline: str = AUTO
    """``auto``, or one of `pipelines.kinds.NAMES`. On the CPU, ``auto`` takes turbo if it is
    installed, else Pillow."""
    batch_size: int | None = None
    """Images per batch; None for what suits the pipeline."""
    gpu: int | Sequence[int] | str | None = None
    """Index of the CUDA device, or of several, or ``"all"``; kept as ``"all"`` or a tuple. None is
    the first, if there is one."""
    rule: PixelRule = DEFAULT
    """Which pixels to make of each image."""
    dali_processes: int | None = None
    """Processes of DALI for each GPU, or on the CPU; None for what suits the machine."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "gpu", _indices(self.gpu))
        object.__setattr__(self, "dali_processes", _processes(self.dali_processes))
        if self.device not in ("auto", "gpu", "cpu"):
            raise ValueError(f"device is auto, gpu or cpu, not {self.device!r}")
        if self.pipeline not in (AUTO, *NAMES):
            *others, last = (AUTO, *NAMES)
            raise ValueError(f"pipeline is {', '.join(others)} or {last}, not {self.pipeline!r}")
        if self.batch_size is not None and not 1 <= self.batch_size <= LARGEST_BATCH:
            raise ValueError(f"batch_size is 1 to {LARGEST_BATCH}, not {self.batch_size}")

    @property
    def wanted(self) -> Wanted:
        """GPUs by index, or ``"all"``."""
        return (0,) if self.gpu is None else cast(Wanted, self.gpu)

    @property
    def gpu_flag(self) -> str:
        """What the command line has for the GPUs that were asked for."""
        return f"--gpu {self.gpu if self.gpu == 'all' else ','.join(map(str, self.wanted))}"


def _indices(gpu: object) -> tuple[int, ...] | Literal["all"] | None:
    """GPUs as a tuple, ``"all"`` or None.

    Raises
    ------
    ValueError
        They are neither.
    """
    if gpu is None or (isinstance(gpu, str) and gpu == "all"):
        return cast('Literal["all"] | None', gpu)
    chosen: tuple[int, ...]
    try:
        chosen = (_index(gpu),)
    except TypeError:
        chosen = _several(gpu)
    if not chosen or len(set(chosen)) < len(chosen) or min(chosen) < 0:
        raise ValueError(f"gpu is an index from 0 on, several different ones or 'all', not {gpu!r}")
    return chosen


def _several(gpu: object) -> tuple[int, ...]:
    """Indices in a sequence, also one of NumPy's; empty if it is none."""
    if isinstance(gpu, str | bytes) or not isinstance(gpu, Iterable):
        return ()
    try:
        return tuple(map(_index, gpu))
    except TypeError:
        return ()


def _index(number: object) -> int:
    if isinstance(number, bool):
        raise TypeError(number)
    return operator.index(number)  # type: ignore[arg-type]


def _processes(count: object) -> int | None:
    """Processes of DALI; None if it isn't said.

    Raises
    ------
    ValueError
        It is no number that makes sense.
    """
    if count is None or (isinstance(count, str) and count == AUTO):
        return None
    try:
        number = _index(count)
    except TypeError:
        number = 0
    if not 1 <= number <= MOST_PROCESSES:
        raise ValueError(f"dali_processes is 1 to {MOST_PROCESSES}, or 'auto', not {count!r}")
    return number
