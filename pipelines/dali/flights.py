"""A batch that was launched, from its bytes to its pixels' way to the host."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic

from pipelines.base import Key
from pipelines.dali.batches import Image
from pipelines.dali.graph import Graph, inputs_of, launch
from pipelines.dali.staging import Stage, Staged


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
    def for_dali(self) -> list[Image[Key]]:
        """Images that aren't left to Pillow."""
        return [image for image in self.images if image.roi is not None]

    def launch(self, graph: Graph) -> None:
        """Feed the images to a graph, and have it run."""
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
