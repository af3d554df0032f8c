"""DALI on its CPU backend: what happens when DALI fails a batch."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")


from imagenet_subset.demo.photos import jpeg, photo
from pipelines.base import DecodeError
from pipelines.choice import resolve
from pipelines.dali.flights import AHEAD
from pipelines.dali.pipeline import DaliPipeline
from pipelines.jpeg import JpegHeader, route
from pipelines.request import PipelineRequest
from pipelines.rule import PixelRule
from tests.contracts.pipeline import Result, reference, run
from tests.harness.dali_graphs import PLAIN, poison
from tests.harness.tiers import thorough

BATCH = 8


@pytest.fixture
def pipeline() -> Iterator[DaliPipeline]:
    pipeline = DaliPipeline("cpu", BATCH, threads=2)
    yield pipeline
    pipeline.close()


def failed_by_dali(result: Result) -> list[int]:
    return [key for key, reason in result.fallbacks.items() if reason.startswith("DALI: ")]


def test_a_poisoned_file_passes_the_header_check() -> None:
    assert isinstance(route(poison(PLAIN[1])), JpegHeader)


@pytest.mark.parametrize("place", [0, 3, BATCH - 1, BATCH, 3 * BATCH + 1, 39])
def test_a_batch_that_dali_fails_costs_only_its_culprit(pipeline: DaliPipeline, place: int) -> None:
    fed = dict(enumerate(PLAIN[:40]))
    fed[place] = poison(fed[place])
    result = run(pipeline, fed.items())
    assert list(result.failures) == [place]
    assert result.keys == [key for key in fed if key != place]
    assert failed_by_dali(result) == [place]


def test_culprits_in_neighbouring_batches_and_in_a_row_are_all_named(
    pipeline: DaliPipeline,
) -> None:
    fed = dict(enumerate(PLAIN[:45]))
    culprits = [1, 2, 7, 8, 9, 15, 16, 24, 43, 44]
    for place in culprits:
        fed[place] = poison(fed[place])
    result = run(pipeline, fed.items())
    assert list(result.failures) == failed_by_dali(result) == culprits
    assert result.keys == [key for key in fed if key not in culprits]


@pytest.mark.parametrize("marker", [0x08, 0xC0, 0xD8, 0xF0])
def test_a_marker_amid_the_compressed_data_is_refused_as_by_pillow(
    pipeline: DaliPipeline, marker: int
) -> None:
    whole = jpeg(photo(1, 160, 120))
    middle = (whole.index(b"\xff\xda") + len(whole)) // 2
    broken = whole[:middle] + bytes([0xFF, marker]) + whole[middle:]
    with pytest.raises(DecodeError):
        reference(broken)
    result = run(pipeline, {0: whole, 1: broken, 2: whole}.items())
    assert result.keys == [0, 2]
    assert result.failures.keys() == {1}


def test_a_photos_pixels_do_not_depend_on_its_neighbours(pipeline: DaliPipeline) -> None:
    fed = dict(enumerate(PLAIN[:30]))
    alone = run(pipeline, fed.items()).images
    beside = run(pipeline, ({**fed, 5: poison(fed[5]), 29: b"no image"}).items()).images
    assert beside.keys() == alone.keys() - {5, 29}
    assert all((beside[key] == alone[key]).all() for key in beside)


def test_a_file_that_only_pillow_decodes_comes_out_in_its_place(pipeline: DaliPipeline) -> None:
    cmyk = jpeg(photo(1, 90, 60).convert("CMYK"))
    fed = dict(enumerate([*PLAIN[:10], cmyk, *PLAIN[10:20]]))
    result = run(pipeline, fed.items())
    assert result.keys == list(fed)
    assert result.fallbacks == {10: "CMYK"}
    assert (result.images[10] == reference(cmyk)).all()


def test_batches_of_nothing_but_leftovers_go_by_between_others(pipeline: DaliPipeline) -> None:
    cmyk = jpeg(photo(1, 90, 60).convert("CMYK"))
    fed = dict(enumerate([*PLAIN[:BATCH], *[cmyk] * (3 * BATCH), *PLAIN[:BATCH]]))
    result = run(pipeline, fed.items())
    assert result.keys == list(fed)
    assert len(result.fallbacks) == 3 * BATCH


def test_a_batch_without_leftovers_is_passed_on_without_a_copy(pipeline: DaliPipeline) -> None:
    (batch,) = pipeline.run(enumerate(PLAIN[1:3]))
    assert not batch.images.flags.owndata


def test_no_more_is_read_than_the_batches_under_way(pipeline: DaliPipeline) -> None:
    reader = enumerate(PLAIN)
    with contextlib.closing(pipeline.run(reader)) as batches:  # type: ignore[type-var]
        next(batches)
        assert next(reader)[0] == (AHEAD + 1) * BATCH


def test_a_closed_pipeline_has_no_threads_left() -> None:
    script = """
        import os
        import numpy, nvidia.dali, nvidia.dali.fn, pipelines.dali.pipeline
        from tests.contracts.pipeline import photos
        before = len(os.listdir("/proc/self/task"))
        pipeline = pipelines.dali.pipeline.DaliPipeline("cpu", 4, threads=3)
        for batch in pipeline.run(enumerate(photos(9))):
            pass
        during = len(os.listdir("/proc/self/task"))
        pipeline.close()
        after = len(os.listdir("/proc/self/task"))
        print(before, during, after)
    """
    before, during, after = map(int, _python(script).stdout.split())
    assert during >= before + 3
    assert after == before


def test_a_batch_of_large_photos_has_fewer_images() -> None:
    large, small = (jpeg(photo(3, *size), subsampling="4:2:0") for size in ((4000, 3000), (90, 70)))
    fed = dict(enumerate([large] * 12 + [small] * 20 + [large]))
    pipeline = DaliPipeline("cpu", 16, threads=2)
    sizes, keys = [], []
    for batch in pipeline.run(fed.items()):
        sizes.append(len(batch.keys))
        keys += batch.keys
        for key, image in zip(batch.keys, batch.images, strict=True):
            assert np.abs(image.astype(int) - reference(fed[key])).max() <= 1
    pipeline.close()
    assert keys == list(fed)
    assert sizes == [5, 5, 16, 7], "5 photos of 12 megapixels are just under 2 ** 26"


@thorough("takes memory away")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits its own address space")
def test_out_of_memory_halves_the_batch_and_goes_on() -> None:
    """64 images of 14 MB decoded, and 600 MB to be had."""
    script = """
        import resource
        from PIL import Image
        from tests.contracts.pipeline import photos
        from imagenet_subset.demo.photos import jpeg
        from pipelines.dali import graphs
        from pipelines.dali.pipeline import DaliPipeline
        graphs.BATCH_PIXELS["cpu"] = 1 << 30  # as on a machine with more memory than this one
        large = jpeg(Image.new("RGB", (2400, 2000), (9, 99, 199)), subsampling="4:2:0")
        pipeline = DaliPipeline("cpu", 64, threads=2)
        for batch in pipeline.run([("warm", photos(2)[1])]):
            pass
        pages = int(open("/proc/self/statm").read().split()[0])
        limit = pages * resource.getpagesize() + 600 * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        keys = []
        for batch in pipeline.run((k, large) for k in range(140)):
            assert not batch.failures and not batch.fallbacks
            assert abs(batch.images.astype(int) - (9, 99, 199)).max() <= 2
            keys += batch.keys
        print(keys == list(range(140)), pipeline.batch_size)
    """
    done = _python(script)
    assert done.stdout.split() == ["True", "32"]
    assert done.stderr == "out of memory: the batch goes from 64 to 32 images\n"


def test_a_dali_that_cannot_be_imported_is_told_in_a_line_with_its_own_words() -> None:
    done = subprocess.run(
        [sys.executable, "-OO", "-c", "import pipelines.dali.imports\n"
         "from pipelines.choice import resolve\n"
         "from pipelines.request import PipelineRequest\n"
         "resolve(PipelineRequest('cpu', 'dali'), 1).open()"],
        capture_output=True,
        text=True,
    )  # fmt: skip
    last = done.stderr.splitlines()[-1]
    error = "pipelines.base.PipelineUnavailableError: DALI can't be imported: TypeError: "
    assert last.startswith(error)
    assert last.endswith(
        " (Python leaves docstrings out: PYTHONOPTIMIZE=2 or -OO); --pipeline pillow works without"
    )


def test_what_runs_dali_may_be_imported_ahead() -> None:
    modules = resolve(PipelineRequest("cpu", "dali"), 1).kind.modules
    script = f"import importlib\nfor name in {modules}: importlib.import_module(name)"
    subprocess.run([sys.executable, "-OO", "-c", script], check=True)


def _python(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={"PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )


@pytest.mark.parametrize("sides", [(64, 64), (256, 256), (65, 64), (66, 64)])
def test_a_crop_up_to_the_photos_edge_is_left_to_pillow(sides: tuple[int, int]) -> None:
    rule = PixelRule(*sides)
    large, small = jpeg(photo(3, 900, 700), quality=95), jpeg(photo(4, 60, 47), quality=95)
    config = resolve(PipelineRequest("cpu", "dali", rule=rule), 2)
    pipeline = config.open()
    result = run(pipeline, enumerate([large, small]), rule)
    pipeline.close()
    touches = sides[0] - sides[1] < 2
    expected = {0: "a crop up to the photo's edge"} if touches else {}
    assert dict(result.fallbacks) == expected
    for key, data in enumerate((large, small)):
        difference = np.abs(result.images[key].astype(int) - reference(data, rule))
        assert config.bounds.judge((int(difference.max()), float(difference.mean()))) == ""
