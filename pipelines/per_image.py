"""Pipelines that decode one image after the other on one core; the reference is one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pipelines.base import PER_IMAGE_BATCH, Batch, DecodeError, Key, Settings
from pipelines.jpeg import doubt
from pipelines.pillow import decode
from pipelines.resample import scale_crop_alone
from pipelines.rule import DEFAULT, PixelRule


class PerImagePipeline:
    """Base of these pipelines: one that decodes an image as `decode_into` does is complete."""

    is_pillow = False
    """Whether `decode_into` is Pillow itself."""

    def __init__(self, batch_size: int = PER_IMAGE_BATCH, rule: PixelRule = DEFAULT) -> None:
        self.rule = rule
        self._images = np.empty((batch_size, *rule.shape), np.uint8)

    def decode_into(self, data: bytes, out: NDArray[np.uint8]) -> str | None:
        """Decode, scale and crop one image by ``self.rule`` into ``out``, ``rule.shape uint8``.

        Returns
        -------
        str or None
            None when done; else why the image is left to Pillow, which then decodes it.

        Raises
        ------
        DecodeError
            The image can't be decoded at all.
        """
        raise NotImplementedError

    def run(self, encoded: Iterable[tuple[Key, bytes]]) -> Iterator[Batch[Key]]:
        """Decode ``(key, file contents)`` pairs batch by batch, in their order."""
        pairs = iter(encoded)
        while True:
            # Each is decoded before the next is asked for: so it is known which one kills a
            # worker, and a stop waits for one photo and not for a batch of them.
            batch = self._decode_batch(islice(pairs, len(self._images)))
            if not batch.keys and not batch.failures:
                return
            yield batch

    def _decode_batch(self, pairs: Iterable[tuple[Key, bytes]]) -> Batch[Key]:
        keys: list[Key] = []
        batch = Batch(keys, self._images[:0])
        for key, data in pairs:
            out = self._images[len(keys)]
            try:
                reason = self.decode_into(data, out)
                if reason is not None:
                    batch.fallbacks.append((key, reason))
                    out[:] = decode(data, self.rule, scale_crop_alone)
            except DecodeError as error:
                batch.failures.append((key, str(error)))
                continue
            keys.append(key)
            if (reason or self.is_pillow) and (what := doubt(data)):
                batch.doubts.append((key, what))
        batch.images = self._images[: len(keys)]
        return batch

    def close(self) -> None:
        """Do nothing: only the batch's memory is held."""


class PillowPipeline(PerImagePipeline):
    """Pillow alone: the pixels of the reference, `pipelines.pillow.decode`, in less time."""

    is_pillow = True

    def decode_into(self, data: bytes, out: NDArray[np.uint8]) -> str | None:
        """Decode, scale and crop one image into ``out``."""
        out[:] = decode(data, self.rule, scale_crop_alone)
        return None


def open_pipeline(settings: Settings) -> PillowPipeline:
    """Open Pillow's pipeline."""
    return PillowPipeline(settings.batch_size, settings.rule)
