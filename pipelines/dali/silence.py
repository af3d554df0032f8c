"""When DALI refuses everything, Pillow's help must not hide it.

Pillow decodes what DALI refuses, so a graph that decodes nothing at all would go unnoticed, but for
a build that is many times slower.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipelines.base import Device, PipelineUnavailableError
from pipelines.dali.batches import Image
from pipelines.dali.errors import WORKS_WITHOUT

BATCHES = 3
"""In a row of which DALI refuses every image, and Pillow decodes some."""


class Silence:
    """Counts batches, as they were first launched, that DALI refused; also from run to run.

    Parameters
    ----------
    device : {"cpu", "gpu"}
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._row: list[int] = []
        """For each batch of the row, how many of its images Pillow decoded."""

    def heed(self, images: Iterable[Image[Any]]) -> None:
        """Count images that are done: who decoded each is known.

        Raises
        ------
        PipelineUnavailableError
            The row is too long.
        """
        for image in images:
            if image.tally is None:
                continue
            image.tally.left -= 1
            if image.roi is not None:
                image.tally.accepted = True
                self._row.clear()
            elif not image.failed:
                image.tally.by_pillow += 1
            if not image.tally.left:
                self._end(image.tally.by_pillow, image.tally.accepted, image.reason)

    def _end(self, by_pillow: int, accepted: bool, reason: str) -> None:
        """A batch is complete. Photos that nobody decodes say nothing about DALI."""
        if accepted or not by_pillow:
            return
        self._row.append(by_pillow)
        if len(self._row) == BATCHES:
            raise PipelineUnavailableError(
                f"DALI refuses one photo after the other, {sum(self._row)} in a row that Pillow "
                f"decodes ({reason}); imagenet-subset selftest shows more, "
                f"{WORKS_WITHOUT[self._device]}"
            )
