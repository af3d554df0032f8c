"""SPDL: its pipeline of threads, in which FFmpeg decodes, scales and crops, into a memory map."""

from __future__ import annotations

import numpy as np
import spdl.io
from photo_list import SHAPE, scaled_size, task
from spdl.pipeline import PipelineBuilder

if __name__ == "__main__":
    job = task()
    out = np.lib.format.open_memmap(job.out, "w+", np.uint8, (len(job.photos), *SHAPE))

    def load(row: int) -> int:
        """Decode a photo and let FFmpeg's filters make its row."""
        packets = spdl.io.demux_image(str(job.photos[row]))
        width, height = scaled_size(packets.width, packets.height)
        filters = spdl.io.get_video_filter_desc(
            scale_width=width,
            scale_height=height,
            scale_algo="bilinear",
            scale_mode=None,
            crop_width=224,
            crop_height=224,
        )
        frames = spdl.io.decode_packets(packets, filter_desc=filters)
        out[row] = spdl.io.to_numpy(spdl.io.convert_frames(frames))
        return row

    pipeline = (
        PipelineBuilder()
        .add_source(range(len(job.photos)))
        .pipe(load, concurrency=job.workers)
        .add_sink(64)
        .build(num_threads=job.workers)
    )
    with pipeline.auto_stop():
        done = sum(1 for _ in pipeline)
    if done != len(job.photos):
        raise RuntimeError(f"{len(job.photos) - done} photos failed")
    out.flush()
