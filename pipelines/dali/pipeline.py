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
from collections.abc import Generator, Iterable, Iterator

from pipelines.base import Batch, Device, Key, PipelineUnavailableError, Settings
from pipelines.dali.batches import Image, delivered, divided, parts, routed
from pipelines.dali.decoders import decoders_of
from pipelines.dali.errors import WORKS_WITHOUT, Failure, attempt
from pipelines.dali.flights import Flight
from pipelines.dali.graph import FAILED
from pipelines.dali.graphs import Graphs
from pipelines.dali.silence import Silence
from pipelines.dali.staging import HostStage, Stage, Staged, open_stage
from pipelines.kinds import LOAD
from pipelines.rule import DEFAULT, PixelRule

AHEAD = 2
"""Batches that DALI has in hand besides the one being taken: one that it decodes, and one after
it, so that its threads never wait for reading, routing and writing, which all happen here."""


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
        PipelineUnavailableError
            DALI refuses one photo after the other, and Pillow decodes them.
        """
        staged: deque[tuple[Flight[Key], Staged | None]] = deque()
        try:
            with contextlib.closing(self._taken(encoded)) as taken:
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
                    pixels.wait()

    def _taken(
        self, encoded: Iterable[tuple[Key, bytes]]
    ) -> Generator[tuple[Flight[Key], Staged | None], None, None]:
        """Launch batch after batch, with `AHEAD` others under way when one is taken from DALI."""
        batches = divided((routed(key, data, self.rule) for key, data in encoded), self._graphs)
        again: deque[list[Image[Key]]] = deque()
        flights: deque[Flight[Key]] = deque()
        try:
            while True:
                failure, at = self._launch(flights, again, batches), len(flights) - 1
                if failure is None:
                    if not flights:
                        return
                    staged, at = attempt(flights[0].output, self._stage), 0
                    if not isinstance(staged, Failure):
                        yield flights.popleft(), staged
                        continue
                    failure = staged
                again.extendleft(reversed(self._recover(flights, at, failure)))
        finally:
            if flights:
                # The run was given up, or an image couldn't be read; the next run starts clean.
                self._let_go(flights)

    def _launch(
        self,
        flights: deque[Flight[Key]],
        again: deque[list[Image[Key]]],
        batches: Iterator[list[Image[Key]]],
    ) -> Failure | None:
        """Launch what is missing to `AHEAD`; stops at the first that DALI doesn't take."""
        while len(flights) <= AHEAD and (
            batch := again.popleft() if again else next(batches, None)
        ):
            flights.append(Flight(batch))
            if any(image.roi is not None for image in batch):
                failure = attempt(flights[-1].launch, self._graphs.ready())
                if failure:
                    return failure
        return None

    def _let_go(self, flights: deque[Flight[Key]]) -> list[list[Image[Key]]]:
        """Free the graph, and give back the batches that were under way in it."""
        self._graphs.drop()
        # The graph goes before the flights do, since it may be reading what they hold.
        for flight in flights:
            flight.graph = None
        batches = [flight.images for flight in flights]
        flights.clear()
        return batches

    def _recover(
        self, flights: deque[Flight[Key]], at: int, failure: Failure
    ) -> list[list[Image[Key]]]:
        """Batches to launch again after DALI failed one of them: none lost, none twice.

        The batch is taken apart, so that an image's pixels depend on that image alone and never
        on its neighbours. One that fails by itself goes to Pillow, which decodes or names it.
        """
        # After an error a graph can't be used, says DALI; building another takes milliseconds.
        batches = self._let_go(flights)
        for_dali = [image for image in batches[at] if image.roi is not None]
        if len(for_dali) == 1:
            for_dali[0].roi, for_dali[0].reason = None, f"{FAILED}{failure.text}"
        elif failure.out_of_memory:
            self._graphs.halve()
            return [part for batch in batches for part in parts(batch, -(-len(batch) // 2))]
        else:
            batches[at : at + 1] = parts(batches[at], 1)
        return batches

    def _delivered(self, flight: Flight[Key], staged: Staged | None) -> Batch[Key]:
        batch = delivered(flight.images, staged.wait() if staged else None, self.rule)
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
