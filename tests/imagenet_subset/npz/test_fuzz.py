"""Mutated inputs of every kind: a word in one line or the right result, and nothing else.

Each kind has a short form for every day and a long one. Seeds are fixed: a failure comes again.
Run as a program, this file decodes mutants under a limit on its memory::

    python test_fuzz.py SEED COUNT
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import struct
import subprocess
import sys
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagenet_subset.building import journal
from imagenet_subset.checking.file import verify
from imagenet_subset.demo.photos import encoded, jpeg, odd_images, photo
from imagenet_subset.errors import ReadError, ResumeMismatchError, SourceError, SubsetError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.ilsvrc.train_list import TrainList
from imagenet_subset.npz.comment import encode_comment
from imagenet_subset.npz.layout import Layout, finish
from imagenet_subset.reading.subset import ImagenetSubset
from imagenet_subset.records import SPLITS
from imagenet_subset.selection.subset import load_subset
from imagenet_subset.system.files import open_for_update
from imagenet_subset.system.text import first_unprintable
from pipelines.base import DecodeError
from pipelines.jpeg import JpegHeader, route
from pipelines.rule import DEFAULT
from tests.harness.tiers import thorough

MEMORY = 4 << 30
"""Address space that decoding may take beyond what a bare process has: Pillow takes up to 2.6 GB
for a WebP of just under the pixel limit."""
SECONDS = 120
"""Of a processor's time, a hundred times what any image takes."""

counts = pytest.mark.parametrize(
    ("seed", "count"), [(1, 150), pytest.param(2, 3000, marks=pytest.mark.long)]
)
quick = pytest.mark.parametrize(
    ("seed", "count"), [(1, 400), pytest.param(2, 10_000, marks=pytest.mark.long)]
)


def mutant(rng: random.Random, data: bytes) -> bytes:
    """The same bytes with one to four changes."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        # Headers are short and stand in front; half of the changes hit them.
        at = rng.randrange(min(len(changed), 700) if rng.random() < 0.5 else len(changed))
        match rng.randrange(6):
            case 0 | 1:
                changed[at] ^= 1 << rng.randrange(8)
            case 2:
                del changed[at + 1 :]
            case 3:
                changed[at:at] = rng.randbytes(rng.randint(1, 20))
            case 4:
                changed[at : at + rng.randint(1, 8)] = rng.choice((b"\0", b"\xff", b"\x7f")) * 4
            case 5:
                del changed[at + 1 : at + rng.randint(2, 30)]
    return bytes(changed)


def one_line(error: Exception) -> bool:
    return bool(str(error)) and first_unprintable(str(error)) is None


# Images

EXTREMES = (0, 1, 2, 255, 8191, 9400, 13_300, 16_383, 16_384, 30_000, 32_768, 65_535)


def extreme(rng: random.Random, data: bytes) -> bytes:
    """The same image with another size in its header."""
    width, height = rng.choice(EXTREMES), rng.choice(EXTREMES)
    if data[:2] == b"\xff\xd8":
        frame = re.search(rb"\xff[\xc0-\xc2]\0\x11\x08|\xff[\xc0-\xc2]\0\x0b\x08", data)
        at = frame.end() if frame else 2
        return data[:at] + struct.pack(">2H", height, width) + data[at + 4 :]
    if data[:4] == b"\x89PNG":
        header = b"IHDR" + struct.pack(">2I", width, height) + data[24:29]
        return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
    if data[:3] == b"GIF":
        screen = struct.pack("<2H", width, height)
        return data[:6] + screen + data[10:].replace(data[6:10], screen, 1)
    if data[:2] == b"BM":
        return data[:18] + struct.pack("<2i", width, -height) + data[26:]
    return webp_bomb(width + 1, height + 1)


def webp_bomb(width: int, height: int) -> bytes:
    """An animated WebP of a few bytes that claims a large canvas."""
    size = [struct.pack("<I", n - 1)[:3] for n in (width, height)]
    chunks = (b"VP8X", b"\2\0\0\0" + b"".join(size)), (b"ANIM", bytes(6))
    body = b"WEBP" + b"".join(tag + struct.pack("<I", len(d)) + d for tag, d in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def png_bomb(width: int, height: int, chunk: bytes = b"") -> bytes:
    """A gray PNG of zeros, every checksum right; a thousandth of its pixels in bytes, or less."""
    rows = zlib.compressobj(9)
    data = b"".join(rows.compress(bytes(1 + (width + 7) // 8)) for _ in range(height))
    header = struct.pack(">2I5B", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", data + rows.flush()), (b"IEND", b"")]
    if chunk:
        chunks.insert(1, (chunk[:4], chunk[4:]))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + tag + d + struct.pack(">I", zlib.crc32(tag + d))
        for tag, d in chunks
    )


def bombs() -> dict[str, bytes]:
    """Tiny files that grow: each has to be refused, or to decode within the bounds."""
    many = zlib.compress(bytes(300_000_000), 9)
    return {
        "PNG just over the limit": png_bomb(13_400, 13_400),
        "PNG just under the limit": png_bomb(13_300, 13_300),
        "PNG strip": png_bomb(160_000_000, 1),
        "PNG column": png_bomb(1, 500_000),
        "PNG of 4 gigapixels": png_bomb(65_535, 65_535)[:5000],
        "PNG with a large text": png_bomb(8, 8, b"zTXtComment\0\0" + many),
        "PNG with a large profile": png_bomb(8, 8, b"iCCPname\0\0" + many),
        "WebP": webp_bomb(16_384, 16_384),
        "WebP just under the limit": webp_bomb(13_300, 13_300),
        "WebP of 2^48 pixels": webp_bomb(1 << 24, 1 << 24),
        "BMP": b"BM" + bytes(12) + struct.pack("<I2i2H", 40, 65_535, -65_535, 1, 24) + bytes(24),
        "GIF": b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x08\x01\0\0;",
        "JPEG": extreme(_Always(65_535), jpeg(photo(1, 8, 8))),
    }


class _Always(random.Random):
    """Chooses one value, whatever there is to choose from."""

    def __init__(self, value: int) -> None:
        super().__init__(0)
        self.value = value

    def choice(self, seq: Any) -> Any:
        return self.value


def images(rng: random.Random, count: int) -> list[tuple[str, bytes]]:
    """Mutants of every odd image, and as many with an extreme size as there are tenths."""
    sound = [(odd.name, odd.data) for odd in odd_images() if odd.data]
    sound += [("animated WebP", webp_bomb(30, 40)), ("BMP gray", encoded(photo(2, 9, 9), "BMP"))]
    found = list(bombs().items())
    for k in range(count):
        name, data = rng.choice(sound)
        found.append((f"{k}: {name}", (extreme if k % 10 == 0 else mutant)(rng, data)))
    return found


def decode_all(seed: int, count: int) -> dict[str, int]:
    """Decode mutants one by one and hold each outcome to its promise."""
    from pipelines.pillow import decode

    outcomes = {"decoded": 0, "refused": 0, "routed": 0}
    for name, data in images(random.Random(seed), count):
        start = time.process_time()
        routed = route(data)
        try:
            image = decode(data)
        except DecodeError as error:
            if not one_line(error):
                raise ValueError(f"{name}: not one line: {error!r}") from error
            outcomes["refused"] += 1
        else:
            if image.shape != (224, 224, 3) or image.dtype != np.uint8:
                raise ValueError(f"{name}: {image.dtype} {image.shape}")
            outcomes["decoded"] += 1
        if isinstance(routed, JpegHeader):
            check_header(name, routed, data)
            outcomes["routed"] += 1
        elif not routed or first_unprintable(routed) is not None:
            raise ValueError(f"{name}: not one line: {routed!r}")
        if time.process_time() - start > SECONDS:
            raise ValueError(f"{name}: took {time.process_time() - start:.0f} s")
    return outcomes


def check_header(name: str, routed: JpegHeader, data: bytes) -> None:
    """The header that the fast pipelines go by has to be the one that Pillow sees."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings(action="ignore"):
            image = Image.open(io.BytesIO(data), formats=("JPEG",))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError):
        return
    if image.size != (routed.width, routed.height):
        raise ValueError(f"{name}: {image.size} by Pillow, {routed} by route")


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space")
@pytest.mark.parametrize(
    ("seed", "count"),
    [
        pytest.param(1, 500, marks=thorough("decodes bombs and 500 mutants")),
        pytest.param(2, 8000, marks=pytest.mark.long),
    ],
)
def test_mutated_images_and_bombs_decode_or_are_refused_in_bounded_memory_and_time(
    seed: int, count: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", __file__, str(seed), str(count)],
        capture_output=True,
        text=True,
        timeout=1800 + count,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = json.loads(done.stdout)
    assert outcomes["decoded"] + outcomes["refused"] == count + len(bombs())
    assert min(outcomes.values()) > count // 20, outcomes


# Texts


@quick
def test_a_mutated_subset_file_gives_known_classes_or_a_line(
    tmp_path: Path, seed: int, count: int
) -> None:
    rng = random.Random(seed)
    wnids = list(load_subset("imagenet30").wnids[:5])
    text = "# five\n" + "".join(f"{wnid}  # {class_table()[wnid].human_label}\n" for wnid in wnids)
    path = tmp_path / "five.txt"
    outcomes = {True: 0, False: 0}
    for _ in range(count):
        data = mutant(rng, text.encode(rng.choice(("utf-8", "utf-16", "utf-8-sig"))))
        path.write_bytes(data)
        try:
            subset = load_subset(path)
        except SubsetError as error:
            assert one_line(error)  # noqa: PT017 - either outcome will do
            outcomes[False] += 1
        else:
            plain = data.replace(b"\0", b"")  # as if UTF-16 were ASCII
            assert all(wnid.encode() in plain for wnid in subset.wnids)
            assert len(set(subset.wnids)) == len(subset.wnids) > 0
            outcomes[True] += 1
    assert min(outcomes.values()) > count // 10, outcomes


@quick
def test_a_mutated_train_list_gives_its_own_numbers_or_a_line(
    tmp_path: Path, seed: int, count: int
) -> None:
    rng = random.Random(seed)
    wnids = ("n01440764", "n12267677", "n09472597")
    first = {wnid: class_table()[wnid].first_train_id for wnid in wnids}
    lines = [f"{w}/{w}_{k * 37} {first[w] + k}" for w in wnids for k in range(10)]
    path = tmp_path / "train_cls.txt"
    outcomes = {True: 0, False: 0}
    for _ in range(count):
        data = mutant(rng, "\n".join(lines).encode() + b"\n")
        path.write_bytes(data)
        try:
            listed = TrainList.read(path, wnids[1:])
            numbers = {wnid: listed.numbers(wnid) for wnid in wnids[1:]}
        except SourceError as error:
            assert one_line(error)  # noqa: PT017 - either outcome will do
            outcomes[False] += 1
            continue
        outcomes[True] += 1
        assert set(numbers) == set(wnids[1:])
        found = [(w, n, i) for w, of_class in numbers.items() for n, i in of_class.items()]
        assert len({i for _, _, i in found}) == len(found)
        for wnid, name, number in found:
            assert 0 <= number - first[wnid] < class_table()[wnid].num_train_images
            entry = f"{wnid}/{name} ".encode("utf-8", "surrogateescape")
            assert re.search(re.escape(entry) + b"0*%d\\b" % number, data)
    assert min(outcomes.values()) > count // 10, outcomes


@quick
def test_a_mutated_journal_is_refused_or_opens_with_its_own_fingerprint(
    tmp_path: Path, seed: int, count: int
) -> None:
    rng = random.Random(seed)
    path = tmp_path / "j"
    fingerprint = {"records": "3f", "provenance": {"pipeline": {"name": "pillow"}}}
    journal.create(path, fingerprint, 12)
    with journal.opened(path, 12) as opened:
        crcs = [zlib.crc32(bytes([k])) if k % 3 else None for k in range(12)]
        opened.record(range(12), crcs)
    data = path.read_bytes()
    outcomes = {True: 0, False: 0}
    for _ in range(count):
        path.write_bytes(mutant(rng, data))
        try:
            with journal.opened(path, 12) as opened:
                assert opened.fingerprint == fingerprint
                assert opened.done.shape == opened.crcs.shape == (12,)
                outcomes[True] += 1
        except ResumeMismatchError as error:
            assert one_line(error)  # noqa: PT017 - either outcome will do
            outcomes[False] += 1
    assert min(outcomes.values()) > count // 10, outcomes


# NPZs


def subset_arrays() -> dict[str, Any]:
    """One train and one val image, with labels and ids of ILSVRC's."""
    rng = np.random.default_rng(6)
    made: dict[str, np.ndarray] = {}
    for split, image_id in (("train", class_table()["n12267677"].first_train_id), ("val", 1)):
        made[f"X_{split}"] = rng.integers(0, 256, (1, 224, 224, 3), np.uint8)
        made[f"y_{split}"] = np.zeros(1, np.int32)
        made[f"{split}_id"] = np.array([image_id], np.int32)
    return made


def ours(path: Path, **arrays: np.ndarray) -> None:
    """Write as a build does."""
    provenance = {
        "format": "imagenet-subset",
        "format_version": 1,
        "subset": {"name": "one", "wnids": []},
        "pipeline": {"name": "pillow", "device": "cpu", "versions": {}},
    }
    layout = Layout.of({"train": 1, "val": 1}, DEFAULT.shape, encode_comment(provenance))
    crcs = {s: np.array([zlib.crc32(arrays[f"X_{s}"].data)], np.uint32) for s in SPLITS}
    columns = {key: a for key, a in arrays.items() if not key.startswith("X")}
    fd = open_for_update(path, create=True)
    finish(fd, layout, crcs, columns)
    for split in SPLITS:
        os.lseek(fd, layout.rows.offset_of(split, 0), os.SEEK_SET)
        os.write(fd, arrays[f"X_{split}"].tobytes())
    os.close(fd)


def npz_mutant(rng: random.Random, data: bytes) -> bytes:
    """A mutant, its changes near the headers, or with blocks lost or exchanged."""
    if rng.random() < 0.3:
        blocks = [data[i : i + 4096] for i in range(0, len(data), 4096)]
        a, b = rng.randrange(len(blocks)), rng.randrange(len(blocks))
        if rng.random() < 0.5:
            blocks[a] = bytes(len(blocks[a]))
        else:
            blocks[a], blocks[b] = blocks[b], blocks[a]
        return b"".join(blocks)
    marks = [m.start() for m in re.finditer(rb"PK|\x93NUMPY", data)]
    at = max(0, rng.choice(marks) - 10)
    return data[:at] + mutant(rng, data[at : at + 250]) + data[at + 250 :]


@counts
@pytest.mark.parametrize("save", [ours, np.savez, np.savez_compressed])
def test_a_mutated_npz_has_a_problem_or_the_right_arrays(
    tmp_path: Path, save: Callable[..., None], seed: int, count: int
) -> None:
    rng = random.Random(seed)
    arrays = subset_arrays()
    path = tmp_path / "one.npz"
    save(path, **arrays)
    data = path.read_bytes()
    assert verify(path).ok
    outcomes = {"opened": 0, "refused": 0}
    for k in range(count):
        path.write_bytes(npz_mutant(rng, data))
        report = verify(path)
        assert all(first_unprintable(problem) is None for problem in report.problems), (
            report.problems
        )
        try:
            subset = ImagenetSubset(path)
        except ReadError as error:
            assert one_line(error)  # noqa: PT017 - either outcome will do
            assert not report.ok
            outcomes["refused"] += 1
            continue
        outcomes["opened"] += 1
        if report.ok:
            for key, array in arrays.items():
                assert np.array_equal(getattr(subset, key), array), f"{k}: {key} silently wrong"
        if save is ours and path.read_bytes() != data:
            assert not report.ok, f"{k}: a changed file of ours passed"
    assert min(outcomes.values()) > 0, outcomes


@quick
def test_a_forged_directory_is_refused_or_read_right(tmp_path: Path, seed: int, count: int) -> None:
    rng = random.Random(seed)
    path = tmp_path / "forged.npz"
    np.savez(path, **subset_arrays())
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    for _ in range(count // 4):
        directory = bytearray(data[start:])
        at = rng.randrange(len(directory) - 8)
        size = rng.choice((2, 4, 8))
        value = rng.choice((0, 1, 2**15, 2**16 - 1, 2**31, 2**32 - 1, 2**63, 2**64 - 1))
        directory[at : at + size] = struct.pack("<Q", value)[:size]
        path.write_bytes(data[:start] + directory)
        report = verify(path)
        if report.ok:
            for key, array in subset_arrays().items():
                assert np.array_equal(getattr(ImagenetSubset(path), key), array)


if __name__ == "__main__":
    import resource

    with open("/proc/self/statm") as statm:
        bare = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (bare + MEMORY, bare + MEMORY))
    print(json.dumps(decode_all(int(sys.argv[1]), int(sys.argv[2]))))
