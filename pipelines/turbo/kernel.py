"""The resample of the crop's window as machine code: the two passes of Pillow's resize.

Importing this module loads it, so that processes that are forked later have it. Where no earlier
process has kept it on disk, it is compiled.
"""

from __future__ import annotations

import ctypes
import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.resample import only_for_pillow, scale_and_crop
from pipelines.rule import DEFAULT, PixelRule
from pipelines.turbo.compiling import load
from pipelines.turbo.memory import Memory
from pipelines.turbo.planning import KEPT, NAME, SizePlan, plan_of
from pipelines.turbo.proving import image_to_try

_SHRINKING = PixelRule(11, 9)
"""Makes so little of the picture that is tried that a column has several groups of taps, and an odd
number of columns. The default rule enlarges that picture."""


def _write_ir() -> str:
    from pipelines.turbo.kernel_code import kernel_ir

    return kernel_ir()


SOURCES = (
    Path(__file__).parents[1] / "taps.py",
    *(
        Path(__file__).with_name(f"{name}.py")
        for name in ("lanes", "planning", "kernel_code", "compiling")
    ),
)
"""All that decides the machine code. They are read for the name of the file; what
generates the code, ``kernel_code``, is imported only to compile."""
LOADED = load(NAME, SOURCES, _write_ir)
"""The kernel; it is kept alive as long as the program runs."""
_SHRINK = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4)(LOADED.address)
"""Takes the addresses of a photo, a plan, scratch and an image. Other threads run
meanwhile: ctypes releases the GIL."""


class ByKernel:
    """Pillow's two-pass resample for the crop's window alone, as machine code."""

    def __init__(self, rule: PixelRule) -> None:
        self._scratch = Memory(1 << 18)
        self._image = ctypes.c_ubyte * rule.nbytes
        self.plan = functools.lru_cache(KEPT)(functools.partial(_plan, rule))

    def scale(self, photo: Memory, plan: SizePlan, out: NDArray[np.uint8]) -> None:
        """See `pipelines.turbo.scaling.Scaler`."""
        if photo.nbytes < plan.photo_nbytes:
            raise ValueError(f"a photo of {plan.photo_nbytes} bytes in {photo.nbytes}")
        if self._scratch.nbytes < plan.scratch_nbytes:
            self._scratch = Memory(plan.scratch_nbytes)
        # `from_buffer` refuses an array that isn't writable, is in pieces or has too few bytes.
        # It takes one that has more, and any dtype.
        image = self._image.from_buffer(out)  # type: ignore[arg-type]
        _SHRINK(photo.address, plan.address, self._scratch.address, image)


def _plan(rule: PixelRule, width: int, height: int) -> SizePlan | str:
    return only_for_pillow(width, height) or plan_of(rule, width, height)


def prove_kernel() -> None:
    """Compare with Pillow on a small picture, enlarged and made smaller, lying and upright.

    Raises
    ------
    RuntimeError
        The pixels are others.
    """
    lying = image_to_try()
    upright = lying.transpose(Image.Transpose.ROTATE_90)
    for image, rule in ((lying, DEFAULT), (lying, _SHRINKING), (upright, _SHRINKING)):
        if _by_kernel(image, rule).tobytes() != scale_and_crop(image, rule).tobytes():
            raise RuntimeError(
                "the machine code that LLVM makes gives other pixels than Pillow here"
            )


def _by_kernel(image: Image.Image, rule: PixelRule) -> NDArray[np.uint8]:
    plan = plan_of(rule, *image.size)
    photo, out = Memory(plan.photo_nbytes), np.empty(rule.shape, np.uint8)
    photo.array[: image.width * image.height * 3] = np.asarray(image).reshape(-1)
    ByKernel(rule).scale(photo, plan, out)
    return out
