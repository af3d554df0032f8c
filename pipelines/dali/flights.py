"""Batches under way in DALI, from their bytes to their pixels' way to the host; none is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic

from pipelines.base import DeviceFailedError, Key, PipelineUnavailableError
from pipelines.dali.batches import Image, parts
from pipelines.dali.errors import Failure, OutOfMemoryError, attempt
from pipelines.dali.graph import FAILED, Graph, inputs_of, launch
from pipelines.dali.graphs import Graphs
from pipelines.dali.staging import Stage, Staged

AHEAD = 2
"""Batches that DALI has in hand besides the one being taken: one that it decodes, and one after
it, so that its threads never wait for reading, routing and writing, which all happen elsewhere."""


@dataclass(slots=True, eq=False)
class Flight(Generic[Key]):
    """A batch, and what DALI needs until its pixels have arrived."""

    images: list[Image[Key]]
    graph: Graph | None = None
    """Where it was launched, until its output has been taken: a graph that nothing refers to is
    freed at once. None also when all images are left to Pillow."""
    fed: dict[str, Any] = field(default_factory=dict)
    """What DALI reads, by input. It must live until the pixels are on the host."""

    @property
    def keys(self) -> list[Key]:
        """Keys of all its images."""
        return [image.key for image in self.images]

    def launch(self, graph: Graph) -> None:
        """Feed a graph with the images that are for it, and have it run."""
        images = [(image.data, image.roi) for image in self.images if image.roi is not None]
        self.graph, self.fed = graph, inputs_of(*zip(*images, strict=True))
        launch(graph, self.fed)

    def output(self, stage: Stage) -> Staged | None:
        """Wait for DALI and start to bring its pixels over; None if Pillow decodes all of them."""
        if self.graph is None:
            return None
        (output,) = self.graph.outputs(stage.stream)
        staged = stage.copy(output)
        self.graph = None
        return staged


class Flights(Generic[Key]):
    """The batches of one run that are in DALI.

    Parameters
    ----------
    graphs : Graphs
    batches : iterator of list of Image
        What to launch, in this order.
    """

    def __init__(self, graphs: Graphs, batches: Iterator[list[Image[Key]]]) -> None:
        self._graphs = graphs
        self._batches = batches
        self._again: deque[list[Image[Key]]] = deque()
        """To be launched before the others, since they were once already."""
        self._flights: deque[Flight[Key]] = deque()
        self._failed: tuple[Failure, list[Key]] | None = None
        """What DALI failed at last, and the keys of that batch."""

    def taken(self, stage: Stage) -> Generator[tuple[Flight[Key], Staged | None], None, None]:
        """Launch batch after batch, with `AHEAD` others under way when one is taken from DALI.

        Raises
        ------
        DeviceFailedError
            CUDA can't be used any more, or DALI doesn't start again after an error.
        OutOfMemoryError
            Memory is short for even small batches.
        """
        flights = self._flights
        try:
            while True:
                failure, at = self._launch(), len(flights) - 1
                if failure is None:
                    if not flights:
                        return
                    staged, at = attempt(flights[0].output, stage), 0
                    if not isinstance(staged, Failure):
                        yield flights.popleft(), staged
                        continue
                    failure = staged
                self._recover(at, failure)
        finally:
            if flights:
                # The run was given up, or an image couldn't be read; the next run starts clean.
                self._let_go()

    def _launch(self) -> Failure | None:
        """Launch what is missing to `AHEAD`; stops at the first that DALI doesn't take."""
        while len(self._flights) <= AHEAD and (batch := self._next()):
            if all(image.roi is None for image in batch):
                self._flights.append(Flight(batch))
                continue
            self._ready()
            # The graph may be one for smaller batches than this was made for.
            batch, *rest = parts(batch, self._graphs.batch_size)
            self._again.extendleft(reversed(rest))
            flight = Flight(batch)
            self._flights.append(flight)
            if failure := attempt(flight.launch, self._ready()):
                return failure
        return None

    def _next(self) -> list[Image[Key]] | None:
        return self._again.popleft() if self._again else next(self._batches, None)

    def _ready(self) -> Graph:
        """Give the graph; another one after a failure."""
        try:
            return self._graphs.ready()
        except OutOfMemoryError:
            raise
        except PipelineUnavailableError as error:
            if self._failed is None:
                raise
            failure, keys = self._failed
            raise DeviceFailedError(f"{failure.text}; and after that, {error}", keys) from error

    def _recover(self, at: int, failure: Failure) -> None:
        """Launch all batches again after DALI failed one of them: none lost, none twice.

        The batch is taken apart, so that an image's pixels depend on that image alone and never
        on its neighbours. One that fails by itself goes to Pillow, which decodes or names it.
        """
        keys = self._flights[at].keys
        # After an error a graph can't be used, says DALI; building another takes milliseconds.
        batches = self._let_go()
        if failure.lost:
            raise DeviceFailedError(failure.text, keys)
        self._failed = failure, keys
        for_dali = [image for image in batches[at] if image.roi is not None]
        if len(for_dali) == 1:
            for_dali[0].roi, for_dali[0].reason = None, f"{FAILED}{failure.text}"
        elif failure.out_of_memory:
            self._graphs.halve()
            batches = [part for batch in batches for part in parts(batch, -(-len(batch) // 2))]
        else:
            batches[at : at + 1] = parts(batches[at], 1)
        self._again.extendleft(reversed(batches))

    def _let_go(self) -> list[list[Image[Key]]]:
        """Free the graph, and give back the batches that were under way in it."""
        self._graphs.drop()
        # The graph goes before the flights do, since it may be reading what they hold.
        for flight in self._flights:
            flight.graph = None
        batches = [flight.images for flight in self._flights]
        self._flights.clear()
        return batches
