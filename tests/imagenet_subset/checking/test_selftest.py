"""The selftest: passes where all is well, and tells what isn't."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from imagenet_subset.checking import rates
from imagenet_subset.checking.selftest import SelftestReport, compare, selftest
from imagenet_subset.demo.photos import encoded, jpeg, photo
from imagenet_subset.system.cores import available_cores
from pipelines.base import PipelineUnavailableError
from pipelines.bounds import DALI_CPU, EXACT
from pipelines.choice import PipelineConfig, resolve
from pipelines.dali.graph import FAILED
from pipelines.kinds import KINDS, NAMES
from pipelines.per_image import PillowPipeline
from pipelines.request import PipelineRequest
from pipelines.rule import INTERPOLATIONS, Interpolation, PixelRule
from tests.harness.tiers import thorough


@pytest.mark.parametrize("name", NAMES)
def test_each_cpu_pipeline_passes(name: str) -> None:
    try:
        config = resolve(PipelineRequest("cpu", name), 1)
    except PipelineUnavailableError as error:
        pytest.skip(str(error))
    report = selftest(config, rate_photos=32)
    assert report.problems == []
    assert report.ok
    assert report.decode_rate > 0
    assert report.whole_rate > 0
    assert report.versions.items() >= config.versions().items()
    found = json.loads(json.dumps(report.to_dict()))
    assert (found["ok"], found["pipeline"], found["device"]) == (True, name, "cpu")
    assert [kind["name"] for kind in found["kinds"]] == [kind.name for kind in report.kinds]
    others = {"pillow", "turbo"} - {name}
    assert set(found["references"]) == {n for n in others if not KINDS[n, "cpu"].missing()}
    assert all(rate > 0 for rate in found["references"].values())
    assert found["cores"] == available_cores()
    assert found["allowed"] == {"largest": report.bounds.largest, "mean": report.bounds.mean}


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_a_pipeline_of_another_rule_is_compared_by_that_rule(interpolation: Interpolation) -> None:
    rule = PixelRule(72, 64, interpolation)
    report = selftest(resolve(PipelineRequest("cpu", rule=rule), 1), rate_photos=1)
    assert report.ok, report.problems
    assert report.bounds == EXACT


def test_your_photos_are_compared_and_what_pillow_took_is_counted(tmp_path: Path) -> None:
    folder = tmp_path / "train" / "n01440764"
    folder.mkdir(parents=True)
    for k in range(3):
        (folder / f"{k}.JPEG").write_bytes(jpeg(photo(k, 90, 70)))
    (folder / "png.JPEG").write_bytes(encoded(photo(4, 90, 70), "PNG"))
    (folder / "notes.txt").write_text("no image")
    report = selftest(resolve(PipelineRequest("cpu", "pillow"), 1), tmp_path, rate_photos=1)
    yours = {kind.name: kind.images for kind in report.kinds if kind.name.startswith("yours")}
    assert yours == {"yours: colour": 3, "yours: not a JPEG": 1}
    assert report.ok


class Brighter(PillowPipeline):
    """Off by 2, and blind to errors."""

    def decode_into(self, data: bytes, out: np.ndarray) -> str | None:
        if data:
            super().decode_into(data, out)
        else:
            out[:] = 0
        out[:] = np.minimum(out, 253) + 2
        return None


def test_pixels_out_of_bounds_and_a_decoded_ruin_are_problems() -> None:
    report = SelftestReport(resolve(PipelineRequest("cpu", "pillow"), 1), {}, DALI_CPU)
    images = [("fine", jpeg(photo(1, 60, 50))), ("empty", b"")]
    compare(Brighter(), images, report)
    assert not report.ok
    assert [problem.split(":")[0] for problem in report.problems] == ["fine", "empty"]
    assert "2 of 255 off Pillow" in report.problems[0]
    assert "refused by Pillow alone" in report.problems[1]


class Forgetful(PillowPipeline):
    """Loses every second image."""

    def run(self, encoded):
        return super().run(pair for k, pair in enumerate(encoded) if k % 2)


def test_a_lost_image_is_a_problem() -> None:
    report = SelftestReport(resolve(PipelineRequest("cpu", "pillow"), 1), {}, DALI_CPU)
    compare(Forgetful(), [("one", b""), ("two", b"")], report)
    assert report.problems == ["one: an image was lost"]


class Excused(PillowPipeline):
    """Has Pillow do the work, since DALI fails."""

    def decode_into(self, data: bytes, out: np.ndarray) -> str | None:
        return f"{FAILED}no such decoder"


def test_a_photo_that_dali_should_have_decoded_is_a_problem() -> None:
    report = SelftestReport(PipelineConfig("dali", "cpu", 16, 1, 1), {}, DALI_CPU)
    compare(Excused(), [("fine", jpeg(photo(1, 60, 50))), ("empty", b"")], report)
    assert report.problems == ["fine: decoded by Pillow alone: DALI: no such decoder"]


def test_the_decoders_that_run_are_in_the_report_where_a_pipeline_knows_them() -> None:
    pytest.importorskip("nvidia.dali", reason="DALI isn't installed (it is for Linux only)")
    report = selftest(resolve(PipelineRequest("cpu", "dali"), 1), rate_photos=8)
    assert report.decoders == "decodes with libjpeg-turbo on the CPU"
    assert report.to_dict()["decoders"] == report.decoders
    assert selftest(resolve(PipelineRequest("cpu", "pillow"), 1), rate_photos=8).decoders == ""


class Endless(PillowPipeline):
    """Takes a moment for each photo, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.decoded = 0

    def decode_into(self, data: bytes, out: np.ndarray) -> str | None:
        self.decoded += 1
        time.sleep(0.001)
        return None


@pytest.mark.parametrize("measure", [rates.decode_rate, rates.whole_rate])
def test_a_measurement_ends_in_time_and_counts_what_is_done(measure) -> None:
    pipeline, photos = Endless(), rates.usual_photos(2)
    start = time.perf_counter()
    rate = measure(pipeline, photos, 1_000_000, 0.3)
    assert time.perf_counter() - start < 10
    assert 0 < rate <= 1000
    assert pipeline.decoded < 1000
    pipeline.decoded = 0
    assert measure(pipeline, photos, 40, 60) > 0
    assert pipeline.decoded in (40, 42), "where it warms up, by two photos"


@thorough("measures rates for a while")
def test_the_command_prints_a_table_and_its_verdict(cli) -> None:
    done = cli("selftest", "--device", "cpu", "--pipeline", "pillow", "--workers", 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "cpu (pillow): as asked"
    assert "photos 4:2:0" in done.stdout
    assert "images/s" in done.stdout
    assert len(done.stdout.splitlines()) < 40, "it fits on a screen"
    assert done.stdout.endswith("selftest passed\n")
    assert done.stderr == ""


def test_a_folder_without_photos_is_an_error_in_one_line(cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = cli("selftest", "--device", "cpu", "--data_dir", "empty")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("imagenet-subset: empty has neither train/ nor val/ in it, ")
