"""How turbo scales a decoded photo: by its kernel where that knows the filter, else by Pillow."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.resample import scale_crop_alone
from pipelines.rule import PixelRule
from pipelines.turbo.memory import Memory
from pipelines.turbo.planning import KERNEL_FILTER


class Scaler(Protocol):
    """Scales and crops decoded photos by a rule."""

    def plan(self, width: int, height: int) -> Any:
        """What `scale` needs to know of photos of a size, or why they are left to Pillow.

        A plan has ``photo_nbytes``, the memory that a decoded photo takes; a reason is a `str`.
        """
        ...

    def scale(self, photo: Memory, plan: Any, out: NDArray[np.uint8]) -> None:
        """Make ``out``, ``rule.shape uint8``, of a photo ``(height, width, 3) uint8``."""
        ...


@dataclass(frozen=True, slots=True)
class Size:
    """A photo's size, for Pillow."""

    width: int
    height: int

    @property
    def photo_nbytes(self) -> int:
        """Size of the decoded photo."""
        return self.width * self.height * 3


class ByPillow:
    """Pillow's own resize, for the filters that the kernel doesn't know."""

    def __init__(self, rule: PixelRule) -> None:
        self._rule = rule

    def plan(self, width: int, height: int) -> Size:
        """The size; none is left to Pillow as a whole."""
        return Size(width, height)

    def scale(self, photo: Memory, plan: Size, out: NDArray[np.uint8]) -> None:
        """See `Scaler.scale`."""
        pixels = photo.array[: plan.photo_nbytes]
        image = Image.frombuffer("RGB", (plan.width, plan.height), pixels, "raw", "RGB", 0, 1)
        out[:] = scale_crop_alone(image, self._rule)


def scaler_of(rule: PixelRule) -> Scaler:
    """What scales by a rule.

    Raises
    ------
    Exception
        The kernel can't be imported or compiled here: LLVM's own.
    """
    if rule.interpolation != KERNEL_FILTER:
        return ByPillow(rule)
    from pipelines.turbo.kernel_imports import failure

    if failure is not None:
        raise failure
    from pipelines.turbo.kernel import LOADED, ByKernel

    if LOADED.note:
        logging.getLogger(__name__).warning("each run compiles turbo's kernel: %s", LOADED.note)
    return ByKernel(rule)
