"""The quick pipeline for CPUs: the pixels of Pillow's, in about half the time.

libjpeg-turbo, with which Pillow decodes too, is called through simplejpeg. Then Pillow's two-pass
resample is done for the crop's window alone, by two functions that numba compiles
(`pipelines.turbo.kernel`). Both steps give the very bytes that Pillow gives. Where that isn't
certain, the image is left to Pillow itself: files that `pipelines.jpeg.route` names, JPEGs of which
libjpeg-turbo warns, and tall photos, whose passes Pillow does in another order from version 13 on.
"""

from __future__ import annotations

import functools
import io
import logging

import numpy as np
from numpy.typing import NDArray

from pipelines.base import PER_IMAGE_BATCH, PipelineUnavailableError, Settings, one_line
from pipelines.jpeg import route
from pipelines.packages import TURBO_INSTALL, TURBO_PACKAGES, wheel_version
from pipelines.per_image import PerImagePipeline
from pipelines.pillow import decode
from pipelines.rule import DEFAULT, PixelRule
from pipelines.taps import filter_taps

_KEPT_BYTES = 16 << 20
"""Memory for decoded photos that is used again and again; larger photos get their own."""


@functools.lru_cache(maxsize=1024)
def _columns(
    width: int, scaled: int, left: int, count: int
) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """What `pipelines.turbo.kernel` takes for the crop's columns of photos of one width."""
    from pipelines.turbo.simd import GROUP, arranged

    taps = filter_taps(width, scaled, left, count, group=GROUP)
    return taps.starts, arranged(taps.weights)


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

        from pipelines.turbo import kernel

        try:
            made = kernel.shrink_to(rule.crop)
        except Exception as error:
            raise _unavailable(error) from error
        if made.seconds:
            logging.getLogger(__name__).warning(
                "compiled the turbo pipeline in %.1f s; %s", made.seconds, made.note
            )
        self._decode_jpeg = simplejpeg.decode_jpeg
        self._shrink, self._slack = made.function, kernel.SLACK_BYTES
        self._photo = np.empty(1 << 20, np.uint8)
        self._rows = np.empty(1 << 18, np.uint8)
        self._sums = np.empty(rule.crop * 3 + 1, np.int32)
        self._check()

    def decode_into(self, data: bytes, out: NDArray[np.uint8]) -> str | None:
        """Decode, scale and crop one image into ``out``; see `PerImagePipeline.decode_into`."""
        header = route(data)
        if isinstance(header, str):
            return header
        width, height = header.width, header.height
        if height > 2 * width:
            return "a tall photo"
        photo = self._memory(width * height * 3 + self._slack)
        try:
            self._decode_jpeg(data, "RGB", buffer=photo)
        except ValueError as error:
            return f"libjpeg-turbo warns: {error}"
        self._resample(photo, width, height, out)
        return None

    def _memory(self, nbytes: int) -> NDArray[np.uint8]:
        if nbytes > _KEPT_BYTES:
            return np.empty(nbytes, np.uint8)
        if nbytes > len(self._photo):
            self._photo = np.empty(nbytes, np.uint8)
        return self._photo

    def _resample(
        self, photo: NDArray[np.uint8], width: int, height: int, out: NDArray[np.uint8]
    ) -> None:
        rule = self.rule
        scaled_width, scaled_height = rule.resized_size(width, height)
        left, top, _, _ = rule.crop_box(width, height)
        columns = _columns(width, scaled_width, left, rule.crop)
        lines = filter_taps(height, scaled_height, top, rule.crop)
        needed = (lines.end - lines.begin) * rule.crop * 3
        if needed > len(self._rows):
            self._rows = np.empty(needed, np.uint8)
        rows = lines.begin, lines.end, lines.starts, lines.weights
        scratch = self._rows, self._sums
        self._shrink(photo, width, *columns, *rows, *scratch, out.reshape(-1))

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
