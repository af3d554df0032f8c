"""What all steps share: on which device, with which photos, and where findings go."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imagenet_subset.system.cores import available_cores
from pipelines.base import PipelineUnavailableError
from pipelines.choice import resolve
from pipelines.jpeg import JpegHeader, route
from pipelines.request import PipelineRequest

Numbers = dict[str, Any]


def say(*words: object) -> None:
    """Print a line at once."""
    print(*words, flush=True)


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a proof runs; it travels to each step as JSON."""

    device: str
    why: str
    """Which GPU, or why there is none."""
    cores: int
    work: Path = Path(tempfile.gettempdir())
    """Folder for photos and builds, which stays."""
    photos: Path | None = None
    """Folder of real photos."""
    build_photos: int | None = None
    result: Path | None = None
    """File for the step's findings."""

    @classmethod
    def here(cls) -> Setting:
        """The GPU if there is one, else DALI's CPU backend."""
        cores = available_cores()
        try:
            config = resolve(PipelineRequest("gpu"), cores)
        except PipelineUnavailableError as error:
            return cls("cpu", str(error), cores)
        return cls("gpu", config.why, cores)

    def to_json(self) -> str:
        """The setting as `from_json` takes it."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> Setting:
        """The setting that `to_json` gave."""
        fields = json.loads(text)
        for name in ("work", "photos", "result"):
            fields[name] = fields[name] and Path(fields[name])
        return cls(**fields)

    @property
    def on_gpu(self) -> bool:
        """Whether there is a GPU."""
        return self.device == "gpu"

    @property
    def threads(self) -> int:
        """DALI's threads where a step doesn't vary them."""
        return min(self.cores, 16)

    @property
    def batch(self) -> int:
        """Images of a batch where a step doesn't vary them."""
        return 256 if self.on_gpu else 16

    @property
    def made(self) -> Path:
        """Folder of the generated photos."""
        return self.work / ("made" if self.on_gpu else "made-few")

    def keep(self, found: Numbers) -> None:
        """Write what a step has found so far, in case it runs out of time."""
        if self.result:
            beside = self.result.with_suffix(".new")
            beside.write_text(json.dumps(found, default=str))
            beside.replace(self.result)  # whole, even if the step is killed

    def files(self) -> list[Path]:
        """Real photos if there are any, else the generated ones."""
        real = self.photos.rglob("*") if self.photos else ()
        paths = [p for p in real if p.suffix.lower() in (".jpeg", ".jpg")]
        return sorted(paths)[:2000] or sorted(self.made.glob("0*.JPEG"))

    def for_dali(self) -> list[bytes]:
        """Contents of the photos that aren't left to Pillow."""
        contents = (path.read_bytes() for path in self.files())
        return [data for data in contents if isinstance(route(data), JpegHeader)]

    def large(self) -> bytes:
        """Contents of a photo of many pixels."""
        return (self.made / "large.jpg").read_bytes()


def difference(pairs: Sequence[tuple[Any, Any]]) -> Numbers:
    """How far images lie apart, in steps of 255: `pipelines.bounds` is set by it."""
    import numpy as np

    largest, means, share = 0, [], []
    for a, b in pairs:
        d = np.abs(a.astype(np.int16) - b.astype(np.int16))
        largest = max(largest, int(d.max()))
        means.append(float(d.mean()))
        share.append(float((d > 0).mean()))
    if not pairs:
        return {}
    return {
        "largest": largest,
        "worst_mean": round(max(means), 4),
        "mean": round(sum(means) / len(means), 4),
        "differ": round(sum(share) / len(share), 4),
    }


def memory_of(pids: Sequence[int]) -> int:
    """Memory of processes, shared pages divided among them, in bytes."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) << 10
    return total


def descendants(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for one in found:
        try:
            tasks = os.listdir(f"/proc/{one}/task")
            for task in tasks:
                found += map(int, Path(f"/proc/{one}/task/{task}/children").read_text().split())
        except OSError:
            continue
    return found
