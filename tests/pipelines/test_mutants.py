"""Mutated JPEGs through all pipelines: the rows that a build keeps don't depend on which it was.

Seeds are fixed: a failure comes again. Run as a program, this file looks for mutants on which a
pipeline and Pillow differ, and says how many went where::

    $ python tests/pipelines/test_mutants.py turbo 20000
    turbo, scan: 20000 mutants, 15420 kept, 4580 refused, 0 differ; 17186 left to Pillow
    turbo, header: 20000 mutants, 9570 kept, 10430 refused, 0 differ; 12969 left to Pillow
"""

from __future__ import annotations

import random
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from imagenet_subset.demo.photos import Subsampling, jpeg, photo
from pipelines.base import DecodeError, PipelineUnavailableError
from pipelines.bounds import Bounds
from pipelines.choice import resolve
from pipelines.kinds import TABLE
from pipelines.pillow import decode
from pipelines.request import PipelineRequest
from tests.contracts.pipeline import run
from tests.harness.tiers import thorough

OTHERS = [kind.name for kind in TABLE if kind.device == "cpu" and not kind.is_pillow]
SAMPLINGS: tuple[Subsampling, ...] = ("4:4:4", "4:2:2", "4:2:0")
SIZES = ((64, 48), (48, 64), (33, 57), (96, 72))
TOGETHER = 500
"""Mutants in one run of a pipeline."""


def parents() -> list[bytes]:
    """Sound files to be mutated: each sampling, gray, restarts, comments, metadata, progressive."""
    made = []
    for k, (size, sampling) in enumerate((size, s) for size in SIZES for s in SAMPLINGS):
        image = photo(k, *size)
        made.append(jpeg(image, subsampling=sampling, quality=(50, 85, 95)[k % 3]))
        made.append(jpeg(image, subsampling=sampling, restart_marker_blocks=1 + k % 4))
        made.append(jpeg(image, subsampling=sampling, comment=b"made up", exif_orientation=6))
    made.append(jpeg(photo(20, 64, 48).convert("L")))
    made.append(jpeg(photo(21, 64, 48).convert("L"), restart_marker_rows=1))
    made.append(jpeg(photo(22, 64, 48), icc_profile=bytes(range(200)), optimize=True))
    made.append(jpeg(photo(23, 64, 48), progressive=True, subsampling="4:2:0"))
    return made


def scan_mutant(rng: random.Random, data: bytes) -> bytes:
    """The same file with one to three changes in its compressed data."""
    start = data.index(b"\xff\xda")
    start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    scan = bytearray(data[start:-2])
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(scan))
        match rng.randrange(9):
            case 0 | 1:
                scan[at] ^= 1 << rng.randrange(8)
            case 2:
                scan[at] = rng.choice((0, 0xFF, rng.randrange(256)))
            case 3:
                scan[at:at] = bytes((0xFF, rng.randrange(256)))
            case 4:
                scan[at:at] = bytes((0xFF, 0xD0 + rng.randrange(8)))
            case 5:
                scan[at:at] = rng.choice(segments(data))
            case 6:
                del scan[at : at + rng.randint(1, 40)]
            case 7:
                del scan[at + 1 :]
            case 8:
                scan[at:at] = scan[at : at + rng.randint(1, 40)]
    return data[:start] + scan + rng.choice((b"\xff\xd9",) * 8 + (b"", b"\xff\xd9 and more"))


def segments(data: bytes) -> list[bytes]:
    """Segments of a sound file up to its first scan, the header of that included."""
    found: list[bytes] = []
    at = 2
    while not found or found[-1][1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        found.append(data[at:end])
        at = end
    return found


NAMES = (b"JFIF\0", b"JFIF", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08", b"ICC_PROFILE\0", b"MPF\0",
         b"MPF\0MM\0*\0\0\0\x08\0\1", b"Adobe", b"Adobe\0\x64\0\0\0\0\1", b"Photoshop 3.0\0",
         b"Photoshop 3.0\x008BIM", b"Photoshop 3.0\x008BIM\3\xed\0\0\0\0\0\x10", b"FPXR\0",
         b"http://ns.adobe.com/xap/1.0/\0", b"Ducky\0", b"")  # fmt: skip


def header_mutant(rng: random.Random, data: bytes) -> bytes:
    """The same file with one to three changes before its compressed data."""
    parts = segments(data)
    rest = data[2 + sum(map(len, parts)) :]
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        k = rng.randrange(len(parts))
        part = bytearray(parts[k]) or bytearray(1)
        at = rng.randrange(len(part))
        match rng.randrange(9):
            case 0:
                part[at] ^= 1 << rng.randrange(8)
            case 1:
                part[at] = rng.choice((0, 1, 2, 0xFF, rng.randrange(256)))
            case 2:
                del part[at : at + rng.randint(1, 5)]
            case 3:
                part[at:at] = rng.randbytes(rng.randint(1, 5))
            case 4:
                at = min(rng.randint(1, 20), len(part))
                part[at:at] = part[at : at + rng.randint(1, 9)]
            case 5:
                part = bytearray(rng.choice(parts))
            case 6:
                parts.insert(rng.randrange(len(parts)), parts[k])
            case 7 | 8:
                payload = rng.choice(NAMES) + rng.randbytes(rng.choice((0, 0, 1, 2, 5, 30)))
                marker = rng.choice((0xE0, 0xE1, 0xE2, 0xED, 0xEE, 0xFE, rng.randrange(0xC0, 0xFF)))
                new = struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
                parts.insert(rng.randrange(len(parts)), new)
                continue
        if len(part) > 3 and rng.random() < 0.5:  # so that its length is right
            part[2:4] = (len(part) - 2).to_bytes(2, "big")
        parts[k] = bytes(part)
    return data[:2] + b"".join(parts) + rest


MUTATE: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "scan": scan_mutant,
    "header": header_mutant,
}


@dataclass
class Outcome:
    """What became of the mutants of one kind in one pipeline."""

    mutants: int = 0
    kept: int = 0
    refused: int = 0
    left: int = 0
    """Left to Pillow."""
    differ: list[tuple[str, bytes]] = field(default_factory=list)
    """What differs from Pillow, and the file."""


def compare(name: str, where: str, seed: int, count: int) -> Outcome:
    """Decode mutants with a pipeline and with Pillow."""
    rng, sound, outcome = random.Random(seed), parents(), Outcome()
    config = resolve(PipelineRequest("cpu", name, batch_size=16), 2)
    pipeline, bounds = config.open(), config.bounds
    for first in range(0, count, TOGETHER):
        batch = range(first, min(count, first + TOGETHER))
        fed = {k: MUTATE[where](rng, rng.choice(sound)) for k in batch}
        result = run(pipeline, fed.items())
        for key, data in fed.items():
            what = difference(result.images.get(key), result.failures.get(key), data, bounds)
            if what:
                outcome.differ.append((f"{name}, {where}, seed {seed}, {key}: {what}", data))
        outcome.mutants += len(fed)
        outcome.kept += len(result.keys)
        outcome.refused += len(result.failures)
        outcome.left += len(result.fallbacks)
    pipeline.close()
    return outcome


def difference(
    image: NDArray[np.uint8] | None, failure: str | None, data: bytes, bounds: Bounds
) -> str | None:
    """How the outcome differs from Pillow's."""
    try:
        expected = decode(data)
    except DecodeError as error:
        if image is not None:
            return f"kept, though Pillow refuses it: {error}"
        return None if failure == str(error) else f"refused for {failure}, by Pillow for {error}"
    if image is None:
        return f"refused, though Pillow keeps it: {failure}"
    off = np.abs(image.astype(np.int16) - expected)
    if bounds.judge((int(off.max()), float(off.mean()))):
        return f"{off.max()} off, {off.mean():.3f} in the mean"
    return None


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(2000, marks=thorough("decodes thousands of mutants")),
        pytest.param(20_000, marks=pytest.mark.long),
        500,
    ],
)
@pytest.mark.parametrize("where", MUTATE)
@pytest.mark.parametrize("name", OTHERS)
def test_mutants_are_kept_or_refused_as_by_pillow_with_its_pixels(
    name: str, where: str, count: int
) -> None:
    try:
        outcome = compare(name, where, 1, count)
    except PipelineUnavailableError as error:
        pytest.skip(str(error))
    assert [what for what, _ in outcome.differ] == []
    assert outcome.mutants == count
    # The mutants are neither all sound nor all broken, and the pipeline has its share of them.
    assert min(outcome.kept, outcome.refused, outcome.mutants - outcome.left) > count // 20


def main() -> None:
    name, count = sys.argv[1], int(sys.argv[2])
    for where in MUTATE:
        outcome = compare(name, where, 2, count)
        print(
            f"{name}, {where}: {outcome.mutants} mutants, {outcome.kept} kept, "
            f"{outcome.refused} refused, {len(outcome.differ)} differ; "
            f"{outcome.left} left to Pillow"
        )
        for what, data in outcome.differ[:5]:
            print(f"    {what}; {len(data)} bytes")


if __name__ == "__main__":
    main()
