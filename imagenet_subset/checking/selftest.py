"""Whether this machine's pipeline gives the pixels that it should, and how fast.

Every file goes through the pipeline and through Pillow, and the two are compared. The GPU's tests
call the same function as ``imagenet-subset selftest``.
"""

from __future__ import annotations

import itertools
import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from imagenet_subset.checking import rates
from imagenet_subset.checking.rates import Rate
from imagenet_subset.checking.yours import your_photos
from imagenet_subset.demo.photos import jpeg, odd_images, photo
from imagenet_subset.execution.runner import nothing
from imagenet_subset.system.cores import available_cores
from pipelines.base import DecodeError, Pipeline
from pipelines.bounds import Bounds
from pipelines.choice import PipelineConfig
from pipelines.driver import Driver, dotted, find_driver
from pipelines.jpeg import route
from pipelines.packages import wheel_version
from pipelines.pillow import decode

DRIVER_VERSION = Path("/proc/driver/nvidia/version")

SAMPLE = 300
"""Photos taken of the user's."""
Begins = Callable[[str], object]
"""Called with the step that begins; each takes another time, so that no share of all is known."""
_STEPS = (
    "step 1 of 4: compares with Pillow",
    "step 2 of 4: decodes from memory",
    "step 3 of 4: goes from file to file",
    "step 4 of 4: times all pipelines in turns",
)


@dataclass(slots=True)
class Kind:
    """What came out for one kind of image."""

    name: str
    images: int = 0
    by_pillow: int = 0
    """Images that the pipeline left to Pillow."""
    largest: int = 0
    mean: float = 0.0
    """Of the image with the largest mean."""


@dataclass(slots=True)
class SelftestReport:
    """Findings of a selftest."""

    config: PipelineConfig
    versions: dict[str, str]
    bounds: Bounds
    kinds: list[Kind] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What is not as it should be, each in a line; empty when all is well."""
    decode_rate: float = 0.0
    """Images/s of one pipeline on files in memory, pixels dropped."""
    whole_rate: float = 0.0
    """Images/s with reading each file, and writing and checksumming each row."""
    side_by_side: list[Rate] = field(default_factory=list)
    """Of this pipeline and of those of the CPU that are installed, measured in turns; the fastest
    first."""
    cores: int = field(default_factory=available_cores)
    """Cores that this process may use."""
    decoders: str = ""
    """Which decoders run, in one line; empty where the pipeline doesn't say."""

    @property
    def ok(self) -> bool:
        """Whether all images came out within the bounds."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON takes it.

        Keys
        ----
        ok, problems
            Whether all is as it should be, and what isn't, a line each.
        pipeline, device, versions, decoders, cores
            What was tested, and where.
        allowed, kinds
            The bounds, and what came out for each `Kind` of image; differences of 255.
        decode_rate, whole_rate
            Images/s of one process: from memory, and from files to a file.
        side_by_side
            A `imagenet_subset.checking.rates.Rate` of each pipeline, the fastest first.
        """
        return {
            "ok": self.ok,
            "pipeline": self.config.name,
            "device": self.config.device,
            "versions": self.versions,
            "allowed": asdict(self.bounds),
            "kinds": [asdict(kind) for kind in self.kinds],
            "problems": self.problems,
            "decode_rate": self.decode_rate,
            "whole_rate": self.whole_rate,
            "side_by_side": [asdict(rate) for rate in self.side_by_side],
            "cores": self.cores,
            "decoders": self.decoders,
        }


def selftest(
    config: PipelineConfig,
    data_dir: Path | None = None,
    *,
    sample: int = SAMPLE,
    rate_photos: int = rates.PHOTOS,
    begins: Begins = nothing,
) -> SelftestReport:
    """Compare a pipeline with Pillow, and time it.

    Parameters
    ----------
    data_dir
        A folder with images, at any depth, or ImageNet in another form; ``sample`` of them are
        compared too.
    rate_photos
        Photos of each measurement, if they don't take longer than `rates.SECONDS`.
    begins
        Called with each step that begins, in words.

    Raises
    ------
    pipelines.base.PipelineUnavailableError
        The pipeline won't start.
    imagenet_subset.errors.SourceError
        There is no image at ``data_dir``, or one of the sample can't be read.
    """
    report = SelftestReport(config, machine_versions(config), config.bounds)
    begins(_STEPS[0])
    pipeline = config.open()
    try:
        report.decoders = config.kind.running_decoders(config.gpu)
        odd = ((image.name, image.data) for image in odd_images())
        photos = your_photos(data_dir, sample) if data_dir is not None else ()
        yours = ((_yours(data), data) for data in photos)
        compare(pipeline, itertools.chain(generated_photos(), odd, yours), report)
        _measure(pipeline, report, rate_photos, begins)
    finally:
        pipeline.close()
    return report


def machine_versions(config: PipelineConfig) -> dict[str, str]:
    """Versions that matter for the pipeline, by name."""
    versions = {
        "Python": platform.python_version(),
        "system": platform.platform(),
        **config.versions(),
    }
    if config.device == "gpu":
        driver = find_driver()
        if isinstance(driver, Driver):
            versions["GPU"] = driver.gpus[config.gpu].name
            versions["driver for CUDA"] = dotted(driver.cuda)
        if DRIVER_VERSION.exists():
            versions["driver"] = DRIVER_VERSION.read_text().splitlines()[0]
        versions["cupy"] = wheel_version("cupy-cuda12x", "cupy-cuda13x", "cupy")
    return versions


def generated_photos() -> Iterator[tuple[str, bytes]]:
    """Photos of every sampling, size and quality, with their kind."""
    sizes = [(500, 375), (375, 500), (333, 251), (64, 47), (1200, 900)]
    for sampling in ("4:4:4", "4:2:2", "4:2:0"):
        for (width, height), quality in itertools.product(sizes, (50, 90, 98)):
            picture = photo(width + quality, width, height)
            kind = f"photos {sampling}"
            yield kind, jpeg(picture, quality=quality, subsampling=sampling)
            if quality == 90:
                kind = f"photos {sampling} progressive"
                yield kind, jpeg(picture, subsampling=sampling, progressive=True)
    for width, height in sizes:
        yield "photos gray", jpeg(photo(width, width, height).convert("L"))


def compare(
    pipeline: Pipeline, images: Iterable[tuple[str, bytes]], report: SelftestReport
) -> None:
    """Decode ``(kind, file contents)`` pairs both ways and report what differs."""
    kinds: dict[str, Kind] = {}
    waiting: dict[int, tuple[str, bytes]] = {}
    failed = report.config.kind.failed

    def numbered() -> Iterator[tuple[int, bytes]]:
        for number, (name, data) in enumerate(images):
            waiting[number] = name, data
            yield number, data

    for batch in pipeline.run(numbered()):
        left = dict(batch.fallbacks)
        came_out: dict[int, np.ndarray | str] = dict(zip(batch.keys, batch.images, strict=True))
        came_out |= dict(batch.failures)
        for number, pixels in came_out.items():
            name, data = waiting.pop(number)
            kind = kinds.setdefault(name, Kind(name))
            kind.images += 1
            kind.by_pillow += number in left
            by_failure = failed and left.get(number, "").startswith(failed)
            if by_failure and not isinstance(pixels, str):
                report.problems.append(f"{name}: decoded by Pillow alone: {left[number]}")
            _judge(kind, pixels, data, report)
    report.problems += [f"{name}: an image was lost" for name, _ in waiting.values()]
    report.kinds += kinds.values()


def _judge(kind: Kind, pixels: np.ndarray | str, data: bytes, report: SelftestReport) -> None:
    try:
        expected = decode(data, report.config.rule)
    except DecodeError as error:
        if not isinstance(pixels, str):
            report.problems.append(f"{kind.name}: refused by Pillow alone: {error}")
        return
    if isinstance(pixels, str):
        report.problems.append(f"{kind.name}: decoded by Pillow alone: {pixels}")
        return
    difference = np.abs(pixels.astype(np.int16) - expected)
    largest, mean = int(difference.max()), float(difference.mean())
    kind.largest, kind.mean = max(kind.largest, largest), max(kind.mean, mean)
    if report.bounds.judge((largest, mean)):
        report.problems.append(
            f"{kind.name}: {largest} of 255 off Pillow, {mean:.3f} in the mean; "
            f"{report.bounds.largest} and {report.bounds.mean} are allowed"
        )


def _yours(data: bytes) -> str:
    header = route(data)
    if isinstance(header, str):
        return f"yours: {header}"
    return "yours: colour" if header.components == 3 else "yours: gray"


def _measure(pipeline: Pipeline, report: SelftestReport, count: int, begins: Begins) -> None:
    photos = rates.usual_photos(count)
    begins(_STEPS[1])
    report.decode_rate = rates.decode_rate(pipeline, photos, count)
    begins(_STEPS[2])
    report.whole_rate = rates.whole_rate(pipeline, photos, count)
    begins(_STEPS[3])
    with rates.others_opened(report.config, report.cores) as others:
        both = [(report.config, pipeline), *others]
        report.side_by_side = rates.side_by_side(both, photos, count)
