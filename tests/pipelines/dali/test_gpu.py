"""What only a machine with a CUDA GPU can show; elsewhere these tests say why they are skipped."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

from imagenet_subset.checking.selftest import selftest
from imagenet_subset.demo.photos import jpeg, photo
from pipelines.base import PipelineUnavailableError
from pipelines.bounds import DALI_GPU
from pipelines.choice import resolve
from pipelines.cuda import Missing, find_gpu
from pipelines.kinds import KINDS, LOADS
from pipelines.request import PipelineRequest
from tests.contracts.pipeline import Result, reference, run

if isinstance(missing := find_gpu(KINDS["dali", "gpu"]), Missing):
    pytest.skip(missing.everything, allow_module_level=True)

from pipelines.dali.decoders import decoders_of
from pipelines.dali.pipeline import DaliPipeline
from pipelines.dali.warmup import usual_photos
from tests.harness.dali_graphs import PLAIN, poison

pytestmark = pytest.mark.gpu


@contextmanager
def opened(batch_size: int, load: str = "split") -> Iterator[DaliPipeline]:
    pipeline = DaliPipeline("gpu", batch_size, threads=2, load=load)
    try:
        yield pipeline
    finally:
        pipeline.close()


@contextmanager
def memory_left(nbytes: int) -> Iterator[None]:
    """Let somebody else have all of the GPU's memory but this."""
    from cupy.cuda import runtime
    from nvidia.dali import backend

    backend.ReleaseUnusedMemory()  # type: ignore[attr-defined]  # DALI keeps what earlier tests had
    held = runtime.malloc(runtime.memGetInfo()[0] - nbytes)
    try:
        yield
    finally:
        runtime.free(held)


def assert_near(result: Result, fed: Iterable[bytes]) -> None:
    for key, data in enumerate(fed):
        if key in result.failures:
            continue
        off = np.abs(result.images[key].astype(int) - reference(data))
        assert not DALI_GPU.judge((int(off.max()), float(off.mean()))), key


def test_the_selftest_passes() -> None:
    report = selftest(resolve(PipelineRequest("gpu"), 2), rate_photos=2048)
    assert report.problems == []
    assert report.decode_rate > 0


def test_the_ring_of_pinned_buffers_mixes_no_batches() -> None:
    """Flat colours: a row that a later copy overwrote would have another batch's."""
    colours = [(k * 37 % 256, k * 91 % 256, k * 53 % 256) for k in range(200)]
    fed = [jpeg(Image.new("RGB", (300, 260), colour)) for colour in colours]
    with opened(4) as pipeline:
        images = run(pipeline, enumerate(fed)).images
    for k, colour in enumerate(colours):
        assert np.abs(images[k].astype(int) - colour).max() <= DALI_GPU.largest


def test_a_decoder_that_uses_the_gpu_runs_and_the_first_batch_names_it() -> None:
    found = decoders_of("gpu", 0)
    assert not found.unknown
    assert not found.none
    assert found.nvjpeg.startswith("libnvjpeg.so")
    with opened(8) as pipeline:
        notices = [batch.notices for batch in pipeline.run(enumerate(PLAIN[:30]))]
    assert notices == [[f"DALI {found.line}"]] + [[]] * (len(notices) - 1)


@pytest.mark.parametrize("load", LOADS)
def test_each_load_is_within_the_bounds(load: str) -> None:
    fed = [*usual_photos(), *PLAIN]
    with opened(16, load) as pipeline:
        result = run(pipeline, enumerate(fed))
    assert not result.fallbacks
    assert_near(result, fed)


@pytest.mark.parametrize("load", ["engine", "cuda"])
def test_a_photos_bytes_do_not_depend_on_its_neighbours(load: str) -> None:
    with opened(16, load) as pipeline:
        alone = {k: run(pipeline, [(k, PLAIN[k])]).images[k] for k in (0, 7, 20)}
        among = run(pipeline, enumerate(PLAIN)).images
        others = run(pipeline, reversed(list(enumerate(PLAIN)))).images
    for key, image in among.items():
        assert (image == others[key]).all(), key
        assert key not in alone or (image == alone[key]).all(), key


def test_two_runs_of_a_pipeline_are_right() -> None:
    with opened(8) as pipeline:
        for fed in (PLAIN[:1], PLAIN[:30], PLAIN[10:]):
            result = run(pipeline, enumerate(fed))
            assert result.keys == list(range(len(fed)))
            assert_near(result, fed)


def test_a_batch_too_large_for_the_gpu_is_halved(caplog: pytest.LogCaptureFixture) -> None:
    """A batch of 44 photos of 12 megapixels takes 1.6 GB decoded, and 1 GB is left."""
    large = jpeg(photo(1, 4000, 3000), subsampling="4:2:0")
    with opened(256) as pipeline, memory_left(1 << 30):
        with caplog.at_level(logging.WARNING, logger="pipelines.dali.graphs"):
            result = run(pipeline, ((k, large) for k in range(96)))
        assert pipeline.batch_size < 256
    assert result.keys == list(range(96))
    assert_near(result, [large] * 96)
    messages = [record.getMessage() for record in caplog.records]
    assert messages[0] == "out of memory: the batch goes from 256 to 128 images"
    assert all(message.startswith("out of memory: ") for message in messages)


def test_a_gpu_with_hardly_any_memory_decodes_small_batches_or_says_so_in_one_line() -> None:
    with memory_left(16 << 20):
        try:
            pipeline = DaliPipeline("gpu", 256, threads=2)
        except PipelineUnavailableError as error:
            said = str(error)
            assert "\n" not in said
            assert said.endswith("--device cpu works without")
            return
        result = run(pipeline, enumerate(PLAIN))
        pipeline.close()
    assert result.keys == list(range(len(PLAIN)))
    assert_near(result, PLAIN)


def test_photos_after_a_failed_batch_are_right() -> None:
    fed = [*PLAIN[:20], poison(PLAIN[1]), *PLAIN[20:40]]
    with opened(8) as pipeline:
        result = run(pipeline, enumerate(fed))
    assert list(result.failures) == [20]
    assert result.keys == [key for key in range(41) if key != 20]
    assert_near(result, fed)
