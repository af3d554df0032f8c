"""The graph that decodes: built when it is needed, and never two at a time."""

from __future__ import annotations

import logging

from pipelines.base import Device
from pipelines.dali.errors import OutOfMemoryError, out_of_memory
from pipelines.dali.graph import Graph, build_graph
from pipelines.dali.staging import Stage
from pipelines.dali.warmup import PIXELS, warm_up
from pipelines.rule import PixelRule

BATCH_PIXELS: dict[Device, int] = {"cpu": 1 << 26, "gpu": 1 << 29}
"""Pixels of a batch before scaling; one of larger photos has fewer images. ImageNet's batches have
a third of this, or a tenth. It bounds what the decoder takes: 200 MB of the host's memory, 1.6 GB
of the GPU's, unless a single photo has more."""

SMALLEST_BATCH = 8
"""Out of memory halves the batch for good down to this size; below, it is the images that are
large, and only they are taken apart."""

_log = logging.getLogger(__name__)


class Graphs:
    """One graph after the other, of the same rule on the same device.

    Parameters
    ----------
    device : {"cpu", "gpu"}
    batch_size : int
        Images per batch.
    threads : int
        CPU threads of DALI.
    gpu : int
        Index of the CUDA device.
    rule : PixelRule
        Which pixels to make of each image.
    load : str
        Name of the hardware JPEG engine's share.
    warm_up : bool
        Whether a batch of usual photos goes through each new graph first.
    """

    def __init__(
        self,
        device: Device,
        batch_size: int,
        threads: int,
        gpu: int,
        rule: PixelRule,
        load: str,
        warm_up: bool,
    ) -> None:
        self.device: Device = device
        self.batch_size = batch_size
        self.batch_pixels = BATCH_PIXELS[device]
        self._threads = threads
        self._gpu = gpu
        self._rule = rule
        self._load = load
        self._warm_up = warm_up
        self._graph: Graph | None = None

    def ready(self, stage: Stage | None = None) -> Graph:
        """Give the graph; built and warmed up first, if there is none.

        Parameters
        ----------
        stage
            What brings pixels to the host, to be tried with the warm-up; only while it is empty.

        Raises
        ------
        OutOfMemoryError
            Even small batches are too large for the memory.
        PipelineUnavailableError
            DALI won't start on this device.
        """
        while self._graph is None:
            short = self._build(stage)
            if short and not self.halve():
                raise out_of_memory(f"even for batches of {self.batch_size}", short, self.device)
        return self._graph

    def _build(self, stage: Stage | None) -> str:
        """Build the graph, or say in DALI's words that memory is short; then none is left of it."""
        try:
            graph = build_graph(
                self.device,
                self.batch_size,
                self._threads,
                self._gpu,
                self._rule.crop,
                self._load,
                self._rule.interpolation,
            )
            if self._warm_up:
                count = max(1, min(self.batch_size, self.batch_pixels // PIXELS))
                warm_up(graph, self.device, count, self._rule, stage)
        except OutOfMemoryError as error:
            return str(error)
        self._graph = graph
        return ""

    def drop(self) -> None:
        """Let go of the graph: its memory is free once no flight refers to it either."""
        self._graph = None

    def halve(self) -> bool:
        """Make batches smaller, as far as it is they that are too large and not the images."""
        half = -(-self.batch_size // 2)
        if half < SMALLEST_BATCH:
            return False
        notice = "out of memory: the batch goes from %d to %d images"
        _log.warning(notice, self.batch_size, half)
        self.batch_size, self.batch_pixels = half, self.batch_pixels // 2
        return True
