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

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.base import Batch, DecodeError, Device, Key, Settings
from pipelines.dali.graph import (
    ENCODED,
    FAILED,
    ROI_END,
    ROI_START,
    Graph,
    build_graph,
    is_out_of_memory,
    last_line,
)
from pipelines.jpeg import doubt, has_stray_marker, route
from pipelines.kinds import LOAD
from pipelines.pillow import decode
from pipelines.rule import DEFAULT, PixelRule

AHEAD = 2
"""Batches that DALI has in hand besides the one being taken: one that it decodes, and one after
it, so that its threads never wait for reading, routing and writing, which all happen here."""

BATCH_PIXELS: dict[Device, int] = {"cpu": 1 << 26, "gpu": 1 << 29}
"""Pixels of a batch before scaling; one of larger photos has fewer images. ImageNet's batches have
a third of this, or a tenth. It bounds what the decoder takes: 200 MB of the host's memory, 1.6 GB
of the GPU's, unless a single photo has more."""

_MARGIN = 2
"""Pixels of the scaled photo around the crop, both sides together. With fewer, scaling down needs
pixels beyond the photo's edge: DALI repeats the last one, and Pillow goes without."""

SMALLEST_BATCH = 8
"""Out of memory halves the batch for good down to this size; below, it is the images that are
large, and only they are taken apart."""

_log = logging.getLogger(__name__)


class Staged(Protocol):
    """A batch of pixels on its way to the host."""

    def wait(self) -> NDArray[np.uint8]:
        """Pixels as a host array, once they are all there."""
        ...


class Stage(Protocol):
    """Brings DALI's output to the host."""

    depth: int
    """Batches that can be on their way while the consumer has another."""
    stream: Any
    """CUDA stream that DALI orders its output on; None on the CPU."""

    def copy(self, output: Any) -> Staged:
        """Start to bring a batch over."""
        ...


class HostStage:
    """Stage of the CPU backend: its output is host memory already, passed on without a copy."""

    depth = 0
    stream = None

    def copy(self, output: Any) -> Staged:
        """Wrap the output."""
        return _OnHost(output)


@dataclass(slots=True)
class _OnHost:
    output: Any

    def wait(self) -> NDArray[np.uint8]:
        # The array refers to the DALI tensor, which keeps the memory.
        return np.asarray(self.output.as_tensor())


@dataclass(slots=True)
class _Image(Generic[Key]):
    key: Key
    data: bytes
    roi: tuple[tuple[float, float], tuple[float, float]] | None
    """For DALI; None leaves the image to Pillow."""
    reason: str
    """Why it is left to Pillow."""
    pixels: int = 0
    """Of the whole photo, where it is for DALI."""


@dataclass(slots=True)
class _Flight(Generic[Key]):
    """A batch that was launched."""

    images: list[_Image[Key]]
    graph: Graph | None = None
    """Where it was launched; None when all images are left to Pillow."""
    fed: dict[str, Any] = field(default_factory=dict)
    """What DALI reads, by input. It must live until the pixels are on the host."""


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
    ) -> None:
        self.device: Device = device
        self.batch_size = batch_size
        self._batch_pixels = BATCH_PIXELS[device]
        self.threads = threads
        self.gpu = gpu
        self.rule = rule
        self.load = load
        self._graph: Graph | None = self._new_graph()
        self._stage: Stage = _stage(device, (batch_size, *rule.shape), gpu)

    def _new_graph(self) -> Graph:
        return build_graph(
            self.device, self.batch_size, self.threads, self.gpu, self.rule.crop, self.load
        )

    def close(self) -> None:
        """Free DALI's threads and memory and, on a GPU, the pinned ring."""
        self._graph = None
        self._stage = HostStage()

    def run(self, encoded: Iterable[tuple[Key, bytes]]) -> Iterator[Batch[Key]]:
        """See `pipelines.base.Pipeline.run`."""
        staged: deque[tuple[_Flight[Key], Staged | None]] = deque()
        try:
            for item in self._taken(encoded):
                staged.append(item)
                if len(staged) > self._stage.depth:
                    yield _deliver(*staged.popleft(), self.rule)
            while staged:
                yield _deliver(*staged.popleft(), self.rule)
        finally:
            # Given up midway: the GPU must not go on writing to memory that is about to be freed.
            for _, pixels in staged:
                if pixels is not None:
                    pixels.wait()

    def _taken(
        self, encoded: Iterable[tuple[Key, bytes]]
    ) -> Iterator[tuple[_Flight[Key], Staged | None]]:
        """Launch batch after batch, with `AHEAD` others under way when one is taken from DALI."""
        batches = self._batches(_routed(key, data, self.rule) for key, data in encoded)
        again: deque[list[_Image[Key]]] = deque()
        flights: deque[_Flight[Key]] = deque()
        try:
            while True:
                while len(flights) <= AHEAD and (
                    batch := again.popleft() if again else next(batches, None)
                ):
                    flights.append(self._launch(batch))
                if not flights:
                    return
                try:
                    staged = self._output(flights[0])
                except (RuntimeError, MemoryError) as error:
                    again.extendleft(reversed(self._recover(flights, error)))
                else:
                    yield flights.popleft(), staged
        finally:
            if flights:
                # The run was given up, or an image couldn't be read; the next run starts clean.
                self._graph = None

    def _batches(self, images: Iterator[_Image[Key]]) -> Iterator[list[_Image[Key]]]:
        """Divide images into batches, each as soon as it is full."""
        batch: list[_Image[Key]] = []
        pixels = 0
        for image in images:
            if batch and pixels + image.pixels > self._batch_pixels:
                yield batch
                batch, pixels = [], 0
            batch.append(image)
            pixels += image.pixels
            if len(batch) >= self.batch_size:
                yield batch
                batch, pixels = [], 0
        if batch:
            yield batch

    def _launch(self, images: list[_Image[Key]]) -> _Flight[Key]:
        for_dali = [image for image in images if image.roi is not None]
        if not for_dali:
            return _Flight(images)
        if self._graph is None:
            self._graph = self._new_graph()
        rois = np.array([image.roi for image in for_dali], np.float32)
        fed = {
            ENCODED: [np.frombuffer(image.data, np.uint8) for image in for_dali],
            ROI_START: np.ascontiguousarray(rois[:, 0]),
            ROI_END: np.ascontiguousarray(rois[:, 1]),
        }
        for name, data in fed.items():
            self._graph.feed_input(name, data)
        self._graph.schedule_run()
        return _Flight(images, self._graph, fed)

    def _output(self, flight: _Flight[Key]) -> Staged | None:
        """Wait for DALI and start to bring its pixels over; None if Pillow decodes all of them."""
        if flight.graph is None:
            return None
        (output,) = flight.graph.outputs(self._stage.stream)
        return self._stage.copy(output)

    def _recover(self, flights: deque[_Flight[Key]], error: Exception) -> list[list[_Image[Key]]]:
        """Batches to launch again after DALI failed the first flight: none lost, none twice.

        The flight is taken apart, so that an image's pixels depend on that image alone and never
        on its neighbours. One that fails by itself goes to Pillow, which decodes or names it.
        """
        # After an error a graph can't be used, says DALI; building another takes milliseconds.
        self._graph = None
        failed, *others = (flight.images for flight in flights)
        flights.clear()
        for_dali = [image for image in failed if image.roi is not None]
        if len(for_dali) == 1:
            for_dali[0].roi, for_dali[0].reason = None, f"{FAILED}{last_line(error)}"
            return [failed, *others]
        if is_out_of_memory(error):
            self._halve()
            batches = (failed, *others)
            return [part for batch in batches for part in _parts(batch, -(-len(batch) // 2))]
        return [*_parts(failed, 1), *others]

    def _halve(self) -> None:
        """Make batches smaller, as far as it is they that are too large and not the images."""
        half = -(-self.batch_size // 2)
        if half >= SMALLEST_BATCH:
            notice = "out of memory: the batch goes from %d to %d images"
            _log.warning(notice, self.batch_size, half)
            self.batch_size, self._batch_pixels = half, self._batch_pixels // 2


def _stage(device: Device, shape: tuple[int, ...], gpu: int) -> Stage:
    if device == "cpu":
        return HostStage()
    from pipelines.dali.staging import PinnedRing

    return PinnedRing(shape, gpu)


def _routed(key: Key, data: bytes, rule: PixelRule) -> _Image[Key]:
    header = route(data)
    if isinstance(header, str):
        return _Image(key, data, None, header)
    if has_stray_marker(data, header.scan):
        return _Image(key, data, None, "a marker amid the compressed data")
    width, height = header.width, header.height
    if rule.resize - rule.crop < _MARGIN and min(width, height) > rule.resize:
        return _Image(key, data, None, "a crop up to the photo's edge")
    return _Image(key, data, rule.crop_roi(width, height), "", width * height)


def _parts(images: list[_Image[Key]], size: int) -> list[list[_Image[Key]]]:
    return [images[i : i + size] for i in range(0, len(images), size)]


def _deliver(flight: _Flight[Key], staged: Staged | None, rule: PixelRule) -> Batch[Key]:
    """Put DALI's pixels and Pillow's together, in the order in which the images were fed."""
    images = flight.images
    if staged and all(image.roi is not None for image in images):
        return Batch([image.key for image in images], staged.wait())
    rows = iter(staged.wait() if staged else ())
    batch = Batch[Key]([], np.empty((len(images), *rule.shape), np.uint8))
    for image in images:
        try:
            pixels = next(rows) if image.roi is not None else decode(image.data, rule)
        except DecodeError as error:
            batch.failures.append((image.key, str(error)))
        else:
            batch.images[len(batch.keys)] = pixels
            batch.keys.append(image.key)
            if image.roi is None and (what := doubt(image.data)):
                batch.doubts.append((image.key, what))
        if image.roi is None:
            batch.fallbacks.append((image.key, image.reason))
    batch.images = batch.images[: len(batch.keys)]
    return batch


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
