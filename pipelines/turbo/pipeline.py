"""The quick pipeline for CPUs: the pixels of Pillow's, in about half the time.

libjpeg-turbo, with which Pillow decodes too, is called through simplejpeg. Then Pillow's two-pass
resample is done for the crop's window alone, by two functions that numba compiles
(`pipelines.turbo.kernel`), or by Pillow itself for filters that these don't know. All give the very
bytes that Pillow gives. Where that isn't certain, the image is left to Pillow: files that
`pipelines.jpeg.route` names, JPEGs of which libjpeg-turbo warns, and tall photos, whose passes
Pillow does in another order from version 13 on.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from pipelines.base import PER_IMAGE_BATCH, PipelineUnavailableError, Settings, one_line
from pipelines.jpeg import route
from pipelines.packages import TURBO_INSTALL, TURBO_PACKAGES, wheel_version
from pipelines.per_image import PerImagePipeline
from pipelines.pillow import decode
from pipelines.rule import DEFAULT, PixelRule
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
        self._photo = np.empty(1 << 20, np.uint8)
        self._check()

    def decode_into(self, data: bytes, out: NDArray[np.uint8]) -> str | None:
        """Decode, scale and crop one image into ``out``; see `PerImagePipeline.decode_into`."""
        header = route(data)
        if isinstance(header, str):
            return header
        width, height = header.width, header.height
        if reason := self._scaler.leaves(width, height):
            return reason
        photo = self._memory(width * height * 3 + self._scaler.slack)
        try:
            self._decode_jpeg(data, "RGB", buffer=photo)
        except ValueError as error:
            return f"libjpeg-turbo warns: {error}"
        self._scaler.scale(photo, width, height, out)
        return None

    def _memory(self, nbytes: int) -> NDArray[np.uint8]:
        if nbytes > _KEPT_BYTES:
            return np.empty(nbytes, np.uint8)
        if nbytes > len(self._photo):
            self._photo = np.empty(nbytes, np.uint8)
        return self._photo

    def _check(self) -> None:
        """Compare with Pillow on a small photo of each sampling.

        simplejpeg and Pillow each bring a libjpeg-turbo of their own, and versions may differ.
        """
        from PIL import Image

        noise = np.random.default_rng(0).integers(0, 256, (19, 27, 3), np.uint8)
        image = Image.fromarray(noise).resize((90, 70), Image.Resampling.BICUBIC)
        out = np.empty(self.rule.shape, np.uint8)
        for sampling in ("4:4:4", "4:2:2", "4:2:0"):
            sink = io.BytesIO()
            image.save(sink, "JPEG", quality=80, subsampling=sampling)
            data = sink.getvalue()
            if self.decode_into(data, out) or (out != decode(data, self.rule)).any():
                raise PipelineUnavailableError(
                    f"the turbo pipeline: simplejpeg {wheel_version('simplejpeg')} decodes "
                    f"{sampling} otherwise than Pillow here; use --pipeline pillow"
                )


def _unavailable(failure: Exception) -> PipelineUnavailableError:
    missing = isinstance(failure, ModuleNotFoundError) and failure.name in TURBO_PACKAGES
    remedy = TURBO_INSTALL if missing else "--pipeline pillow works without"
    return PipelineUnavailableError(f"the turbo pipeline: {one_line(failure)}; {remedy}")


def open_pipeline(settings: Settings) -> TurboPipeline:
    """Open turbo; raises as `TurboPipeline` does."""
    return TurboPipeline(settings.batch_size, settings.rule)
