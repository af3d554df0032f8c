"""What a pipeline is: encoded images in, ``(n, crop, crop, 3) uint8`` batches out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipelines.rule import PixelRule

Key = TypeVar("Key")
Device = Literal["cpu", "gpu"]

PER_IMAGE_BATCH = 16
"""Images per batch of pipelines that decode one after the other: 2.3 MiB of pixels, so that they
are still in the cache when they are written."""

WARN_PIXELS = 89_478_485
"""Where Pillow begins to warn of a decompression bomb: 256 MiB at 3 bytes a pixel. Photos with more
pixels are left to Pillow, each by itself."""

MAX_PIXELS = 2 * WARN_PIXELS
"""Photos with more pixels are refused from their header, before any memory is taken: there Pillow
raises an error (``Image._decompression_bomb_check``)."""


class PipelineUnavailableError(RuntimeError):
    """A pipeline can't run here: a package, a driver or a GPU is missing.

    The text is one line and ends in what to do, as a rule the exact ``pip install`` line.
    """


class DeviceFailedError(RuntimeError):
    """A GPU failed in a way that no other batch gets over: its context is lost, or it is.

    The text is the cause, in one line.
    """

    def __init__(self, cause: str, keys: Sequence[Any]) -> None:
        super().__init__(cause, keys)
        self.cause = cause
        self.keys = keys
        """Keys of the images that it had in hand, in the order in which they were fed."""

    def __str__(self) -> str:
        return self.cause


class DecodeError(Exception):
    """One image can't be decoded; the text is the reason, in one line."""


@dataclass(slots=True)
class Batch(Generic[Key]):
    """Some images, decoded, and what became of the others that were in the same batch."""

    keys: list[Key]
    """Keys of the decoded images, in the order in which they were fed."""
    images: NDArray[np.uint8]
    """``(len(keys), *rule.shape) uint8``, RGB, C-contiguous. Valid until the next batch is
    asked for: a pipeline may use the memory again."""
    failures: list[tuple[Key, str]] = field(default_factory=list)
    """Images that can't be decoded, each with the reason in one line."""
    fallbacks: list[tuple[Key, str]] = field(default_factory=list)
    """Images that were left to Pillow, each with the reason; they are among ``keys`` or
    ``failures`` too. Always empty for the Pillow pipeline."""
    doubts: list[tuple[Key, str]] = field(default_factory=list)
    """Images among ``keys`` that Pillow decoded though their files look damaged, each with what
    does."""
    notices: list[str] = field(default_factory=list)
    """Lines for the user to read, such as which decoders run."""


class Settings(Protocol):
    """What a pipeline is opened with; `pipelines.choice.PipelineConfig` is one."""

    @property
    def device(self) -> Device:
        """Where to decode."""
        ...

    @property
    def batch_size(self) -> int:
        """Images per batch."""
        ...

    @property
    def threads(self) -> int:
        """Threads within the pipeline."""
        ...

    @property
    def gpu(self) -> int:
        """Index of the CUDA device."""
        ...

    @property
    def load(self) -> str:
        """Name of the hardware JPEG engine's share, of `pipelines.kinds.LOADS`."""
        ...

    @property
    def rule(self) -> PixelRule:
        """Which pixels to make of each image."""
        ...


class Pipeline(Protocol):
    """Decodes, resizes and crops by a rule, a `pipelines.rule.PixelRule`.

    A pipeline object is built once per worker and used for many runs, one after the other.
    """

    def run(self, encoded: Iterable[tuple[Key, bytes]]) -> Iterator[Batch[Key]]:
        """Decode ``(key, file contents)`` pairs, in their order, batch by batch.

        Each key comes out exactly once, in ``keys`` or in ``failures``; one bad image costs no
        other. The last batch may be short.
        """
        ...

    def close(self) -> None:
        """Free what the pipeline holds: threads, pinned memory, the GPU. Idempotent."""
        ...


def one_line(error: BaseException) -> str:
    r"""Words of somebody else's error in one printable line, or the name of its type.

    Examples
    --------
    >>> one_line(OSError("broken data\n stream")), one_line(KeyError())
    ('broken data stream', 'KeyError')
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.isprintable() else ascii(text)
