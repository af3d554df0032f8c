"""The selftest: passes where all is well, and tells what isn't."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest

from imagenet_subset.checking import rates
from imagenet_subset.checking.rates import Rate
from imagenet_subset.checking.selftest import Kind, SelftestReport, compare, selftest
from imagenet_subset.cli.selftest_report import full, short
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
    rates_here = found["side_by_side"]
    here = [n for n in NAMES if not KINDS[n, "cpu"].missing() and KINDS[n, "cpu"].fits_system]
    assert sorted(rate["pipeline"] for rate in rates_here) == sorted(here)
    assert {rate["device"] for rate in rates_here} == {"cpu"}
    speeds = [rate["images_per_second"] for rate in rates_here]
    assert speeds == sorted(speeds, reverse=True)
    assert speeds[-1] > 0
    threads = {rate["pipeline"]: rate["threads"] for rate in rates_here}
    assert threads["pillow"] == 1
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
@pytest.mark.parametrize("every", [False, True], ids=["ten lines", "--all"])
def test_the_command_prints_the_worst_or_all_and_its_verdict(cli, every: bool) -> None:
    flags = ("--device", "cpu", "--pipeline", "pillow", "--workers", 1, "--progress", "none")
    done = cli("selftest", *flags, *["--all"] * every)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "cpu (pillow): as asked"
    assert ("photos 4:2:0" in done.stdout) == every
    assert "images/s" in done.stdout
    assert len(done.stdout.splitlines()) <= (40 if every else 10), "it fits on a screen"
    assert done.stdout.endswith("selftest passed\n")
    assert done.stderr == ""


VERSIONS = {"Python": "3.13", "system": "Linux", "simplejpeg": "1.9.0", "pillow": "13.0.0"}


def a_report() -> SelftestReport:
    """Two sorts of photos, of which one pipeline is 1 off and has left some to Pillow."""
    config = resolve(PipelineRequest("cpu", "turbo"), 1)
    report = SelftestReport(config, VERSIONS, DALI_CPU, whole_rate=400.0)
    report.kinds = [
        Kind("photos 4:4:4", 10, 0, 0, 0.0),
        Kind("photos 4:2:0", 10, 0, 1, 0.25),
        Kind("photos 4:2:0 progressive", 5, 5),
        Kind("gray", 1, 0, 0, 0.0),
        Kind("yours: colour", 30, 0, 1, 0.125),
    ]
    report.side_by_side = [Rate("turbo", "cpu", 1, 700.4), Rate("dali", "cpu", 2, 600.0)]
    return report


def test_ten_lines_have_the_worst_of_each_sort_and_all_rates() -> None:
    pytest.importorskip("simplejpeg")
    assert [*short(a_report())] == [
        "simplejpeg 1.9.0, pillow 13.0.0",
        "off Pillow (0 to 255)  images  largest    mean  allowed: 1, 0.500 in the mean",
        "photos                     20        1   0.250  worst: photos 4:2:0",
        "odd images                  1        0   0.000",
        "yours                      30        1   0.125  worst: colour",
        "left to Pillow: 5 of 56 images, 8.9%; of yours 0 of 30, 0.0% (see --all)",
        "decode, images/s: turbo 700, dali 300 on each CPU core",
        "whole, images/s: turbo 400 from file to file in one process",
        "selftest passed",
    ]


def test_of_many_problems_a_few_are_shown_and_the_others_counted() -> None:
    pytest.importorskip("simplejpeg")
    report = a_report()
    report.problems = [f"photo {k}: off" for k in range(20)]
    *_, last, verdict = short(report)
    assert (last, verdict) == ("WRONG  17 more, which --all shows", "selftest failed")
    wrong = [line for line in full(report) if line.startswith("WRONG")]
    assert len(wrong) == 20


def test_a_selftest_names_each_of_its_steps_as_it_begins() -> None:
    begun: list[str] = []
    selftest(resolve(PipelineRequest("cpu", "pillow"), 1), rate_photos=1, begins=begun.append)
    assert [step.partition(":")[0] for step in begun] == [f"step {k} of 4" for k in (1, 2, 3, 4)]


def test_a_folder_without_photos_is_an_error_in_one_line(cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = cli("selftest", "--device", "cpu", "--data_dir", "empty")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("imagenet-subset: empty has neither train/ nor val/ in it, ")
