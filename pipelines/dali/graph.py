"""The DALI graph: a batch of JPEGs in, ``(crop, crop, 3) uint8`` images out.

One definition serves the GPU and DALI's CPU backend: what is tested on the one holds for the other,
except for the decoder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.base import Device, PipelineUnavailableError
from pipelines.dali.errors import (
    WONT_START,
    WORKS_WITHOUT,
    OutOfMemoryError,
    is_out_of_memory,
    last_line,
    unavailable,
)
from pipelines.kinds import KINDS, LOAD, LOADS
from pipelines.rule import DEFAULT, Interpolation

Graph = Any
"""``nvidia.dali.Pipeline``, whose methods carry no types."""

Region = tuple[tuple[float, float], tuple[float, float]]
"""``(y, x)`` of the start and of the end, in pixels of the photo."""

OLDEST_DALI = (2, 2)
"""The first whose ``decoders.image`` is nvImageCodec's; before, it was another decoder with other
arguments."""

FAILED = KINDS["dali", "cpu"].failed
"""Prefix of the reason when DALI failed and Pillow decoded the image instead; `pipelines.kinds` has
it too."""

ENCODED, ROI_START, ROI_END = "encoded", "roi_start", "roi_end"


FILTERS: dict[Interpolation, str] = {
    "bilinear": "INTERP_LINEAR",
    "bicubic": "INTERP_CUBIC",
    "lanczos": "INTERP_LANCZOS3",
}
"""DALI's name for each filter that it has; the three curves are Pillow's."""

IN_TWO_PASSES: tuple[Interpolation, ...] = ("bicubic", "lanczos")
"""Filters with negative weights, which overshoot at hard edges. Pillow rounds and clips to 8 bits
between its two passes; in one go DALI keeps what is beyond black and white, and ends up to 55 of
255 elsewhere. Other filters don't overshoot."""


def define_graph(
    device: Device,
    crop: int,
    load: str = LOAD,
    interpolation: Interpolation = DEFAULT.interpolation,
) -> Any:
    """Decode and resize, as DALI operators; call it inside a DALI pipeline definition.

    The resize is a single fused one, or rows first and columns then: see `IN_TWO_PASSES`.

    Inputs, by name: ``encoded`` uint8 bytes of a JPEG; ``roi_start``, ``roi_end`` float32
    ``(y, x)``, the crop in source pixels. They stay on the CPU on either device, since
    ``fn.resize`` takes its ROI from CPU nodes only.

    Returns
    -------
    nvidia.dali.pipeline.DataNode
        ``(crop, crop, 3) uint8`` images, RGB.
    """
    from nvidia.dali import fn, types

    # no_copy: each flight keeps its arrays until its output has been taken.
    encoded = fn.external_source(name=ENCODED, dtype=types.UINT8, ndim=1, no_copy=True)
    start, end = (
        fn.external_source(name=name, dtype=types.FLOAT, ndim=1, no_copy=True)
        for name in (ROI_START, ROI_END)
    )
    on_gpu: dict[str, Any] = {
        # Off by default, and then chroma differs from libjpeg-turbo's.
        "jpeg_fancy_upsampling": True,
        "hw_decoder_load": LOADS[load],
    }
    images = fn.decoders.image(
        encoded,
        device="mixed" if device == "gpu" else "cpu",
        output_type=types.RGB,
        adjust_orientation=False,
        **(on_gpu if device == "gpu" else {}),
    )
    chosen = {"interp_type": getattr(types, FILTERS[interpolation]), "antialias": True}
    if interpolation in IN_TWO_PASSES:
        height = images.shape(dtype=types.FLOAT)[0:1]
        zero = height * 0.0
        width = zero + float(crop)
        images = fn.resize(
            images,
            size=fn.cat(height, width),
            roi_start=fn.cat(zero, start[1:2]),
            roi_end=fn.cat(height, end[1:2]),
            **chosen,
        )
        start, end = fn.cat(start[0:1], zero), fn.cat(end[0:1], width)
    return fn.resize(images, size=[crop, crop], roi_start=start, roi_end=end, **chosen)


def build_graph(
    device: Device,
    batch_size: int,
    threads: int,
    gpu: int,
    crop: int,
    load: str = LOAD,
    interpolation: Interpolation = DEFAULT.interpolation,
) -> Graph:
    """Make a DALI pipeline of `define_graph`, ready to be fed.

    Raises
    ------
    OutOfMemoryError
        Memory is short.
    PipelineUnavailableError
        DALI can't be imported, is too old, or won't start on this device.
    """
    # Errors only: nvImageCodec prints to stderr. Documented among DALI's environment variables.
    os.environ.setdefault("DALI_NVIMGCODEC_LOG_LEVEL", "1")
    from pipelines.dali.imports import failure

    if failure:
        raise PipelineUnavailableError(
            f"DALI can't be imported: {failure}; {WORKS_WITHOUT[device]}"
        )
    from nvidia.dali import __cuda_version__, __version__

    if tuple(map(int, __version__.split(".")[:2])) < OLDEST_DALI:
        oldest = ".".join(map(str, OLDEST_DALI))
        wheel = f"nvidia-dali-cuda{__cuda_version__ // 1000}0>={oldest}"
        raise PipelineUnavailableError(
            f'DALI {__version__} is installed, {oldest} is needed: pip install "{wheel}"'
        )
    try:
        return _build(device, batch_size, threads, gpu, crop, load, interpolation)
    except WONT_START as error:
        if is_out_of_memory(error):
            raise OutOfMemoryError(last_line(error)) from error
        raise unavailable(error, "DALI", device) from error


def _build(
    device: Device,
    batch_size: int,
    threads: int,
    gpu: int,
    crop: int,
    load: str,
    interpolation: Interpolation,
) -> Graph:
    from nvidia.dali import pipeline_def

    graph = pipeline_def(define_graph)(
        device,
        crop,
        load,
        interpolation,
        batch_size=batch_size,
        num_threads=threads,
        device_id=gpu if device == "gpu" else None,
        # `DaliPipeline` launches ahead itself. With more than 1, the first launch would ask for
        # as many batches at once, and a short run has no more than one.
        prefetch_queue_depth=1,
        # The executor that keeps an output valid for as long as it is referred to, and can put
        # it on a stream of ours.
        exec_dynamic=True,
    )
    graph.build()
    return graph


def inputs_of(photos: Sequence[bytes], regions: Sequence[Region]) -> dict[str, Any]:
    """What a graph is fed, by input: photos, and the region of each that the crop shows.

    DALI reads these arrays themselves; they must live until the output has been taken.
    """
    rois = np.array(regions, np.float32)
    return {
        ENCODED: [np.frombuffer(photo, np.uint8) for photo in photos],
        ROI_START: np.ascontiguousarray(rois[:, 0]),
        ROI_END: np.ascontiguousarray(rois[:, 1]),
    }


def launch(graph: Graph, inputs: dict[str, Any]) -> None:
    """Feed a graph and have it run."""
    for name, data in inputs.items():
        graph.feed_input(name, data)
    graph.schedule_run()
