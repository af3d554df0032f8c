"""Which of nvImageCodec's decoders run here."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")


from pipelines.base import PipelineUnavailableError
from pipelines.dali import decoders
from pipelines.dali.decoders import BACKENDS, Decoders, decoders_of
from pipelines.dali.pipeline import DaliPipeline
from pipelines.dali.staging import PinnedRing
from pipelines.driver import find_driver
from tests.harness.cupy_stand_in import staged_pipeline
from tests.harness.dali_graphs import PLAIN

ENGINE, CUDA = "the GPU's JPEG engine", "CUDA"
NVJPEG = "libnvjpeg.so.13.0.1"
UNSEEN = "libnvjpeg unknown"
NO_ENGINE = "Internal error - Could not create decoder. Code: 7"
"""As nvImageCodec's Python module says it; 7 is ``NVIMGCODEC_STATUS_ARCH_MISMATCH``."""
without_gpu = pytest.mark.skipif(
    not isinstance(find_driver(), str), reason="shows what a machine without a GPU says"
)


@pytest.fixture
def asked_anew() -> Iterator[None]:
    decoders_of.cache_clear()
    yield
    decoders_of.cache_clear()


def test_the_cpu_decodes_by_itself() -> None:
    found = decoders_of("cpu", 0)
    assert found.refused == {"libjpeg-turbo on the CPU": ""}
    assert not found.none
    assert found.line == "decodes with libjpeg-turbo on the CPU"


def test_each_device_is_asked_once() -> None:
    assert decoders_of("cpu", 0) is decoders_of("cpu", 0)


@without_gpu
def test_without_a_gpu_none_of_its_decoders_starts() -> None:
    found = decoders_of("gpu", 0)
    assert found.none
    assert list(found.refused) == [ENGINE, CUDA]
    assert found.line.startswith(f"decodes with nothing: not with {ENGINE} (Internal error - Could")


@without_gpu
def test_a_decoder_that_refuses_the_photo_is_told_from_one_that_does_not_start(
    monkeypatch: pytest.MonkeyPatch, asked_anew: None
) -> None:
    """Without a device to run on, CUDA's decoder is made, and then gives no image."""
    monkeypatch.setattr(decoders, "CPU", "HYBRID_CPU_GPU")
    monkeypatch.setitem(BACKENDS, "gpu", {"HYBRID_CPU_GPU": CUDA})
    assert decoders_of("gpu", 0).refused == {CUDA: "it refuses a usual photo, and doesn't say why"}


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (Decoders({ENGINE: "", CUDA: ""}, NVJPEG), f"decodes with {ENGINE} and CUDA ({NVJPEG})"),
        (
            Decoders({ENGINE: NO_ENGINE, CUDA: ""}, NVJPEG),
            f"decodes with CUDA ({NVJPEG}), but not with {ENGINE} ({NO_ENGINE})",
        ),
        (
            Decoders({ENGINE: "", CUDA: "no luck"}, UNSEEN),
            f"decodes with {ENGINE} (libnvjpeg unknown), but not with CUDA (no luck)",
        ),
        (
            Decoders({ENGINE: NO_ENGINE, CUDA: "no luck"}, NVJPEG),
            f"decodes with nothing: not with {ENGINE} ({NO_ENGINE}), not with CUDA (no luck)",
        ),
        (
            Decoders({}, "", "nvImageCodec can't be imported (no luck)"),
            "decodes with what nvImageCodec chooses, unknown here: nvImageCodec can't be imported "
            "(no luck)",
        ),
    ],
)
def test_people_get_one_line(found: Decoders, line: str) -> None:
    assert found.line == line
    assert found.none == ("nothing" in line)


def test_an_nvimagecodec_that_cannot_be_imported_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, asked_anew: None
) -> None:
    monkeypatch.setitem(sys.modules, "nvidia.nvimgcodec", None)
    monkeypatch.delattr("nvidia.nvimgcodec", raising=False)
    found = decoders_of("gpu", 0)
    assert found.unknown.startswith("nvImageCodec can't be imported (")
    assert not found.none


def test_an_odd_nvimagecodec_refuses_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, asked_anew: None
) -> None:
    """Another version's module may lack a name."""
    monkeypatch.setattr("nvidia.nvimgcodec", ModuleType("odd"), raising=False)
    assert all("no attribute" in why for why in decoders_of("gpu", 0).refused.values())


def test_the_nvjpeg_that_is_mapped_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    maps = tmp_path / "maps"
    monkeypatch.setattr(decoders, "MAPPED", maps)
    assert decoders._mapped_nvjpeg() == UNSEEN
    lines = [
        "7f01 r-xp 00000000 08:01 1 /usr/lib/nvidia/nvjpeg/lib/libnvjpeg.so.12",
        "7f02 r--p 00000000 08:01 1 /usr/lib/nvidia/nvjpeg/lib/libnvjpeg.so.12",
        "7f03 r-xp 00000000 08:01 2 /usr/lib/nvidia/nvjpeg2k/lib/libnvjpeg2k.so.0",
    ]
    maps.write_text("\n".join(lines) + "\n")
    assert decoders._mapped_nvjpeg() == "libnvjpeg.so.12"
    maps.write_text(lines[2])
    assert decoders._mapped_nvjpeg() == UNSEEN


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_a_real_list_of_mappings_is_read() -> None:
    found = decoders._mapped_nvjpeg()
    assert found == UNSEEN or found.startswith("libnvjpeg.so")


def test_the_first_batch_says_which_decoders_run(ring: PinnedRing) -> None:
    pipeline = staged_pipeline(ring, warm_up=True)
    notices = [batch.notices for _ in range(2) for batch in pipeline.run(enumerate(PLAIN[:30]))]
    assert notices == [["DALI decodes with libjpeg-turbo on the CPU"]] + [[]] * (len(notices) - 1)
    assert len(notices) > 2
    pipeline.close()


def test_a_cpu_pipeline_says_nothing() -> None:
    pipeline = DaliPipeline("cpu", 8, threads=2)
    assert not any(batch.notices for batch in pipeline.run(enumerate(PLAIN[:30])))
    pipeline.close()


@without_gpu
def test_a_gpu_on_which_nothing_decodes_is_not_used(
    monkeypatch: pytest.MonkeyPatch, asked_anew: None
) -> None:
    """What a machine without a GPU answers, for a graph of the CPU backend."""
    monkeypatch.setitem(BACKENDS, "cpu", BACKENDS["gpu"])
    with pytest.raises(PipelineUnavailableError) as caught:
        DaliPipeline("cpu", 8, threads=2, warm_up=True)
    said = str(caught.value)
    assert said.startswith(f"DALI starts on the CPU, but decodes with nothing: not with {ENGINE} (")
    assert said.endswith(
        "); imagenet-subset selftest shows versions, --pipeline pillow works without"
    )
