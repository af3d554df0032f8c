"""What only a machine with a CUDA GPU can show; elsewhere these tests say why they are skipped."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from PIL import Image

from imagenet_subset.checking.selftest import selftest
from imagenet_subset.demo.photos import jpeg, photo
from pipelines.bounds import DALI_GPU
from pipelines.choice import PipelineRequest, resolve
from pipelines.cuda import Missing, find_gpu
from pipelines.kinds import KINDS
from tests.contracts.pipeline import photos, run

if isinstance(missing := find_gpu(KINDS["dali", "gpu"], 0), Missing):
    pytest.skip(missing.everything, allow_module_level=True)
pytestmark = pytest.mark.gpu


def test_the_selftest_passes() -> None:
    report = selftest(resolve(PipelineRequest("gpu"), 2), rate_photos=2048)
    assert report.problems == []
    assert report.decode_rate > 0


def test_the_ring_of_pinned_buffers_mixes_no_batches() -> None:
    """Flat colours: a row that a later copy overwrote would have another batch's."""
    colours = [(k * 37 % 256, k * 91 % 256, k * 53 % 256) for k in range(200)]
    fed = [jpeg(Image.new("RGB", (300, 260), colour)) for colour in colours]
    pipeline = resolve(PipelineRequest("gpu", batch_size=4), 2).open()
    images = run(pipeline, enumerate(fed)).images
    pipeline.close()
    for k, colour in enumerate(colours):
        assert np.abs(images[k].astype(int) - colour).max() <= DALI_GPU.largest


def test_a_batch_too_large_for_the_gpu_is_halved(caplog: pytest.LogCaptureFixture) -> None:
    """256 photos of 24 megapixels take 18 GB decoded; a GPU with more memory just does it."""
    large = jpeg(photo(1, 6000, 4000), subsampling="4:2:0")
    pipeline = resolve(PipelineRequest("gpu", batch_size=256), 2).open()
    with caplog.at_level(logging.WARNING, logger="pipelines.dali.graphs"):
        result = run(pipeline, ((k, large) for k in range(256)))
    pipeline.close()
    assert result.keys == list(range(256))
    assert all("out of memory" in record.message for record in caplog.records)


def test_photos_after_a_failed_batch_are_right() -> None:
    pipeline = resolve(PipelineRequest("gpu", batch_size=8), 2).open()
    good = photos(75)[1]
    table = good.index(b"\xff\xc4") + 5
    poisoned = good[:table] + b"\xff" * 16 + good[table + 16 :]
    result = run(pipeline, enumerate([*photos(75)[:20], poisoned, *photos(75)[20:40]]))
    pipeline.close()
    assert list(result.failures) == [20]
    assert len(result.keys) == 40
