"""Graphs of DALI's CPU backend, watched or made to fail, and photos that no graph takes."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from pipelines.dali.graph import ENCODED, build_graph
from pipelines.jpeg import JpegHeader, route
from tests.contracts.pipeline import photos

PLAIN = [data for data in photos(75) if isinstance(route(data), JpegHeader)]
"""Photos that are for DALI."""
SHORT = "Can't allocate 8589934592 bytes on device 0."
"""``dali::CUDABadAlloc`` in ``dali/core/cuda_error.h``."""
LOST = "CUDA runtime API error cudaErrorIllegalAddress (700):\nan illegal memory access"
"""``dali::CUDAError`` there."""


def poison(data: bytes) -> bytes:
    """Spoil the Huffman table: the header stays whole, and no decoder can decode it."""
    table = data.index(b"\xff\xc4") + 5
    return data[:table] + b"\xff" * 16 + data[table + 16 :]


def raising(error: Exception) -> Callable[..., Any]:
    """A function that does nothing else."""

    def function(*_: object, **__: object) -> Any:
        raise error

    return function


class Watched:
    """A graph that writes down what it is fed, and fails some batches as DALI would.

    Parameters
    ----------
    fails
        Says of the photos of a batch in which words it fails; None if it doesn't.
    """

    def __init__(self, graph: Any, fails: Callable[[list[bytes]], str | None]) -> None:
        self._graph, self._fails = graph, fails
        self.fed: list[dict[str, Any]] = [{}]
        """By batch and input; the last isn't launched yet."""
        self._taken = 0

    def feed_input(self, name: str, data: Any) -> None:
        self._graph.feed_input(name, data)
        self.fed[-1][name] = data

    def schedule_run(self) -> None:
        self._graph.schedule_run()
        self.fed.append({})

    def outputs(self, stream: Any = None) -> Any:
        words = self._fails([bytes(data) for data in self.fed[self._taken][ENCODED]])
        self._taken += 1
        if words is not None:
            raise RuntimeError(
                f"Critical error in pipeline:\nError in MIXED operator\n\nencountered:\n\n{words}\n"
                "Current pipeline object is no longer valid."
            )
        return self._graph.outputs(stream)


class Builds(list[weakref.ref[Any]]):
    """In place of ``build_graph``: graphs that were built, and how many of them lived then."""

    def __init__(self) -> None:
        self.alive: list[int] = []
        self.fails: Callable[[list[bytes]], str | None] = lambda _: None
        """How graphs fail, see `Watched`; a test sets it."""
        self.keep: list[Watched] | None = None
        """Where they are kept, for a test that looks at them later."""

    def __call__(self, *settings: Any) -> Watched:
        self.alive.append(sum(ref() is not None for ref in self))
        inner = build_graph(*settings)
        self.append(weakref.ref(inner))
        graph = Watched(inner, self.fails)
        if self.keep is not None:
            self.keep.append(graph)
        return graph
