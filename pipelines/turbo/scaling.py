"""How turbo scales a decoded photo: by its kernel where that knows the filter, else by Pillow."""

from __future__ import annotations

import functools
import logging
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipelines.resample import only_for_pillow, scale_and_crop
from pipelines.rule import Interpolation, PixelRule
from pipelines.taps import filter_taps

KERNEL_FILTER: Interpolation = "bilinear"
"""The filter of `pipelines.turbo.kernel`, whose sums have no room for weights below 0."""


class Scaler(Protocol):
    """Scales and crops decoded photos by a rule."""

    slack: int
    """Bytes that it may read after a photo's last pixel."""

    def leaves(self, width: int, height: int) -> str | None:
        """Why a photo of this size is left to Pillow as a whole; None if it isn't."""
        ...

    def scale(
        self, photo: NDArray[np.uint8], width: int, height: int, out: NDArray[np.uint8]
    ) -> None:
        """Make ``out``, ``rule.shape uint8``, of ``(height, width, 3)`` as one run of bytes."""
        ...


class ByKernel:
    """Pillow's two-pass resample for the crop's window alone, as machine code."""

    def __init__(self, rule: PixelRule) -> None:
        from pipelines.turbo import kernel

        made = kernel.shrink_to(rule.crop)
        if made.seconds:
            logging.getLogger(__name__).warning(
                "compiled the turbo pipeline in %.1f s; %s", made.seconds, made.note
            )
        self._rule = rule
        self._shrink, self.slack = made.function, kernel.SLACK_BYTES
        self._rows = np.empty(1 << 18, np.uint8)
        self._sums = np.empty(rule.crop * 3 + 1, np.int32)

    def leaves(self, width: int, height: int) -> str | None:
        """See `pipelines.resample.only_for_pillow`."""
        return only_for_pillow(width, height)

    def scale(
        self, photo: NDArray[np.uint8], width: int, height: int, out: NDArray[np.uint8]
    ) -> None:
        """See `Scaler.scale`."""
        rule = self._rule
        scaled_width, scaled_height = rule.resized_size(width, height)
        left, top, _, _ = rule.crop_box(width, height)
        columns = _columns(width, scaled_width, left, rule.crop)
        lines = filter_taps(height, scaled_height, top, rule.crop, KERNEL_FILTER)
        needed = (lines.end - lines.begin) * rule.crop * 3
        if needed > len(self._rows):
            self._rows = np.empty(needed, np.uint8)
        rows = lines.begin, lines.end, lines.starts, lines.weights
        scratch = self._rows, self._sums
        self._shrink(photo, width, *columns, *rows, *scratch, out.reshape(-1))


@functools.lru_cache(maxsize=1024)
def _columns(
    width: int, scaled: int, left: int, count: int
) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """What `pipelines.turbo.kernel` takes for the crop's columns of photos of one width."""
    from pipelines.turbo.simd import GROUP, arranged

    taps = filter_taps(width, scaled, left, count, KERNEL_FILTER, group=GROUP)
    return taps.starts, arranged(taps.weights)


class ByPillow:
    """Pillow's own resize, for the filters that the kernel doesn't know."""

    slack = 0

    def __init__(self, rule: PixelRule) -> None:
        self._rule = rule

    def leaves(self, width: int, height: int) -> str | None:
        """None is."""
        return None

    def scale(
        self, photo: NDArray[np.uint8], width: int, height: int, out: NDArray[np.uint8]
    ) -> None:
        """See `Scaler.scale`."""
        pixels = photo[: width * height * 3]
        image = Image.frombuffer("RGB", (width, height), pixels, "raw", "RGB", 0, 1)
        out[:] = np.asarray(scale_and_crop(image, self._rule))


def scaler_of(rule: PixelRule) -> Scaler:
    """What scales by a rule.

    Raises
    ------
    Exception
        The kernel can't be imported or compiled here: numba's own.
    """
    if rule.interpolation != KERNEL_FILTER:
        return ByPillow(rule)
    from pipelines.turbo.kernel_imports import failure

    if failure is not None:
        raise failure
    return ByKernel(rule)
