"""The quick pipeline for CPUs: the pixels of Pillow's, in about half the time.

libjpeg-turbo, with which Pillow decodes too, is called through simplejpeg. Then Pillow's two-pass
resample is done for the crop's window alone, by machine code that LLVM makes
(`pipelines.turbo.kernel`), or by Pillow itself for filters that it doesn't know. All give the very
bytes that Pillow gives. Where that isn't certain, the image is left to Pillow: files that
`pipelines.jpeg.route` names, JPEGs of which libjpeg-turbo warns, and tall photos, whose passes
Pillow does in another order from version 13 on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.base import PER_IMAGE_BATCH, PipelineUnavailableError, Settings, one_line
from pipelines.jpeg import route
from pipelines.packages import TURBO_INSTALL, TURBO_OLDEST, UNKNOWN, too_old, wheel_version
from pipelines.per_image import PerImagePipeline
from pipelines.rule import DEFAULT, PixelRule
from pipelines.turbo.memory import Memory
from pipelines.turbo.scaling import scaler_of

_KEPT_BYTES = 16 << 20
"""Memory for decoded photos that is used again and again; larger photos get their own."""


class TurboPipeline(PerImagePipeline):
    """Decodes with libjpeg-turbo, resamples the window only; bit-identical to Pillow.

    Raises
    ------
    PipelineUnavailableError
        A package is missing or won't start, or decodes otherwise than Pillow.
    """

    def __init__(self, batch_size: int = PER_IMAGE_BATCH, rule: PixelRule = DEFAULT) -> None:
        super().__init__(batch_size, rule)
        from pipelines.turbo.imports import failure

        if failure is not None:
            raise _unavailable(failure) from failure
        import simplejpeg

        try:
            self._scaler = scaler_of(rule)
        except Exception as error:
            raise _unavailable(error) from error
        self._decode_jpeg = simplejpeg.decode_jpeg
        self._photo = Memory(1 << 20)

    def decode_into(self, data: bytes, out: NDArray[np.uint8]) -> str | None:
        """Decode, scale and crop one image into ``out``; see `PerImagePipeline.decode_into`."""
        header = route(data)
        if isinstance(header, str):
            return header
        plan = self._scaler.plan(header.width, header.height)
        if isinstance(plan, str):
            return plan
        photo = self._photo
        if photo.nbytes < plan.photo_nbytes:
            photo = self._more(plan.photo_nbytes)
        try:
            self._decode_jpeg(data, "RGB", buffer=photo.array)
        except ValueError as error:
            return f"libjpeg-turbo warns: {error}"
        self._scaler.scale(photo, plan, out)
        return None

    def _more(self, nbytes: int) -> Memory:
        """Memory for a larger photo, kept unless it is too much."""
        memory = Memory(nbytes)
        if nbytes <= _KEPT_BYTES:
            self._photo = memory
        return memory


def _unavailable(failure: Exception) -> PipelineUnavailableError:
    what, remedy = one_line(failure), "--pipeline pillow works without"
    name = failure.name or "" if isinstance(failure, ModuleNotFoundError) else ""
    package, _, part = name.partition(".")
    if old := too_old(TURBO_OLDEST):
        what, remedy = old, TURBO_INSTALL
    elif package in TURBO_OLDEST:
        remedy = TURBO_INSTALL
        if part and (version := wheel_version(package)) != UNKNOWN:
            what = f"{package} {version} is installed in part: {what}"
            remedy = remedy.replace("install", "install --force-reinstall", 1)
    return PipelineUnavailableError(f"the turbo pipeline: {what}; {remedy}")


def open_pipeline(settings: Settings) -> TurboPipeline:
    """Open turbo; raises as `TurboPipeline` does."""
    return TurboPipeline(settings.batch_size, settings.rule)
