"""A full batch of usual photos, which goes through a new graph before any other.

nvImageCodec divides a batch between the hardware JPEG engine and CUDA by the first batch that it
sees (``assigned_batch_size_`` in its ``image_generic_codec.h``): after a first batch of one image
the engine all but rests for good. The engine refuses very small photos, so these have ImageNet's
size. The batch also shows at once that a GPU can't run the kernels, or has too little memory.
"""

from __future__ import annotations

import functools
import io
from itertools import cycle, islice
from typing import Any

import numpy as np
from PIL import Image

from pipelines.base import Device, PipelineUnavailableError
from pipelines.dali.errors import WORKS_WITHOUT, OutOfMemoryError, attempt
from pipelines.dali.graph import Graph, inputs_of, launch
from pipelines.dali.staging import Stage
from pipelines.rule import PixelRule

SIZE = (500, 375)
"""Width and height of most of ImageNet's photos."""
PIXELS = SIZE[0] * SIZE[1]
SAMPLINGS = ("4:4:4", "4:4:4", "4:4:4", "4:2:0")
"""As in ImageNet, where three photos of four have 4:4:4."""
QUALITY = 96
"""ImageNet's median."""


@functools.cache
def usual_photos() -> tuple[bytes, ...]:
    """JPEGs that are for a decoder what ImageNet's photos are: coarse shapes under fine grain."""
    rng = np.random.default_rng(0)
    shapes = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize(SIZE)
    grain = rng.normal(0, 6, (SIZE[1], SIZE[0], 1))
    image = Image.fromarray((np.asarray(shapes) + grain).clip(0, 255).astype(np.uint8))
    made = {}
    for sampling in set(SAMPLINGS):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=QUALITY, subsampling=sampling)
        made[sampling] = file.getvalue()
    return tuple(made[sampling] for sampling in SAMPLINGS)


def warm_up(
    graph: Graph, device: Device, count: int, rule: PixelRule, stage: Stage | None = None
) -> None:
    """Have a new graph decode ``count`` usual photos.

    Parameters
    ----------
    stage
        What brings the pixels to the host, to be tried too. None if other batches are in it.

    Raises
    ------
    OutOfMemoryError
        Memory is short.
    PipelineUnavailableError
        The graph doesn't decode.
    """
    photos = list(islice(cycle(usual_photos()), count))
    inputs = inputs_of(photos, [rule.crop_roi(*SIZE)] * count)
    failure = attempt(_run, graph, inputs, stage)
    if failure and failure.out_of_memory:
        raise OutOfMemoryError(failure.text)
    if failure:
        raise PipelineUnavailableError(
            f"DALI starts on the {device.upper()}, but a first batch fails: {failure.text}; "
            f"imagenet-subset selftest shows versions, {WORKS_WITHOUT[device]}"
        )


def _run(graph: Graph, inputs: dict[str, Any], stage: Stage | None) -> None:
    launch(graph, inputs)
    # Without a stream, DALI waits for the GPU.
    (output,) = graph.outputs(stage.stream if stage else None)
    if stage:
        stage.copy(output).wait()
