"""DALI: one graph decodes, resizes and crops a whole batch, on a GPU or on DALI's CPU backend.

::

    read, route  ->  launch  ->  DALI decodes, resizes  ->  copy to the host  ->  Batch
    (this thread)               (its own threads, GPU)      (`pipelines.dali.staging`)

The region of each photo that the crop shows is computed here and fed beside its bytes, so that
one fused resize does the whole of `pipelines.rule` and that module stays the only place that
knows the rule. Pillow decodes what `pipelines.jpeg.route` doesn't let through, and the images on
which DALI fails.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterable, Iterator

from pipelines.base import (
    Batch,
    Device,
    DeviceFailedError,
    Key,
    PipelineUnavailableError,
    Settings,
)
from pipelines.dali.batches import delivered, divided, routed
from pipelines.dali.decoders import decoders_of
from pipelines.dali.errors import WORKS_WITHOUT, Failure, attempt
from pipelines.dali.flights import Flight, Flights
from pipelines.dali.graphs import Graphs
from pipelines.dali.silence import Silence
from pipelines.dali.staging import HostStage, Stage, Staged, open_stage
from pipelines.kinds import LOAD
from pipelines.rule import DEFAULT, PixelRule


class DaliPipeline:
    """Implements `pipelines.base.Pipeline` on DALI.

    Parameters
    ----------
    device : {"cpu", "gpu"}
    batch_size : int
        Images per batch.
    threads : int
        CPU threads of DALI. On a GPU they parse and prepare what the GPU decodes.
    gpu : int
        Index of the CUDA device.
    rule : PixelRule
        Which pixels to make of each image.
    load : str
        Name of the hardware JPEG engine's share, of `pipelines.kinds.LOADS`.
    warm_up : bool, optional
        Whether a batch of usual photos goes through each new graph before any other, and after the
        first, each decoder is tried by itself; None for what the device needs: a GPU needs it.

    Raises
    ------
    PipelineUnavailableError
        DALI won't start on this device.
    """

    def __init__(
        self,
        device: Device,
        batch_size: int,
        threads: int,
        gpu: int = 0,
        rule: PixelRule = DEFAULT,
        load: str = LOAD,
        warm_up: bool | None = None,
    ) -> None:
        self.rule = rule
        self._stage: Stage = open_stage(device, (batch_size, *rule.shape), gpu)
        warm_up = device == "gpu" if warm_up is None else warm_up
        self._graphs = Graphs(device, batch_size, threads, gpu, rule, load, warm_up)
        self._graphs.ready(self._stage)
        self._silence = Silence(device)
        self._notices = [_decoders(device, gpu)] if warm_up else []
        """For the first batch that comes out."""

    @property
    def batch_size(self) -> int:
        """Images per batch; out of memory makes it smaller."""
        return self._graphs.batch_size

    def close(self) -> None:
        """Free DALI's threads and memory and, on a GPU, the pinned ring."""
        self._graphs.drop()
        self._stage = HostStage()

    def run(self, encoded: Iterable[tuple[Key, bytes]]) -> Iterator[Batch[Key]]:
        """See `pipelines.base.Pipeline.run`.

        Raises
        ------
        DeviceFailedError
            CUDA can't be used any more, or DALI doesn't start again after an error.
        PipelineUnavailableError
            DALI refuses one photo after the other, and Pillow decodes them; or memory is short for
            even small batches.
        """
        batches = divided((routed(key, data, self.rule) for key, data in encoded), self._graphs)
        flights = Flights(self._graphs, batches)
        staged: deque[tuple[Flight[Key], Staged | None]] = deque()
        try:
            with contextlib.closing(flights.taken(self._stage)) as taken:
                for item in taken:
                    staged.append(item)
                    if len(staged) > self._stage.depth:
                        yield self._delivered(*staged.popleft())
            while staged:
                yield self._delivered(*staged.popleft())
        finally:
            # Given up midway: the GPU must not go on writing to memory that is about to be freed.
            for _, pixels in staged:
                if pixels is not None:
                    attempt(pixels.wait)

    def _delivered(self, flight: Flight[Key], staged: Staged | None) -> Batch[Key]:
        pixels = attempt(staged.wait) if staged else None
        if isinstance(pixels, Failure):
            # Its copy was enqueued, and CUDA has failed since.
            raise DeviceFailedError(pixels.text, flight.keys)
        batch = delivered(flight.images, pixels, self.rule)
        self._silence.heed(flight.images)
        batch.notices, self._notices = self._notices, []
        return batch


def _decoders(device: Device, gpu: int) -> str:
    """Say which decoders run; where only the CPU's would, without a word, that is an error."""
    decoders = decoders_of(device, gpu)
    if decoders.none:
        raise PipelineUnavailableError(
            f"DALI starts on the {device.upper()}, but {decoders.line}; imagenet-subset selftest "
            f"shows versions, {WORKS_WITHOUT[device]}"
        )
    return f"DALI {decoders.line}"


def open_pipeline(settings: Settings) -> DaliPipeline:
    """Open DALI; raises as `DaliPipeline` does."""
    return DaliPipeline(
        settings.device,
        settings.batch_size,
        settings.threads,
        settings.gpu,
        settings.rule,
        settings.load,
    )
