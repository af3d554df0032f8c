"""Write down what torchvision makes of some hundred photos.

::

    $ python tests/golden/make_golden.py --odd    # the encoded odd files: odd.zip
    $ python tests/golden/make_golden.py          # torchvision-pillow13.json
    $ python tests/golden/make_golden.py --rules  # only what other rules make, added to it

Needs torchvision, which the project itself does not. Run it once with Pillow 13 or later and once
with an older one: since version 13 Pillow scales photos more than twice as tall as wide down by
their height first, which rounds otherwise, so each side has its own file.

Each case is an encoded file. Those made here are lossless and come from integer arithmetic alone,
so every version of numpy and Pillow makes the same pixels; the lossy ones lie in ``odd.zip``.
Written down are two SHA-256 of each case: of the decoded RGB pixels, and of the finished ones. For
the cases that `by_other_rules` chooses, so is one of what each of `RULES` makes of them.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, features

HERE = Path(__file__).parent
ODD = HERE / "odd.zip"

SIZES = [
    (1, 1), (1, 2), (2, 1), (1, 17), (17, 1), (1, 240), (1, 300), (300, 1), (2, 700), (700, 2),
    (3, 5), (5, 3), (224, 224), (223, 225), (225, 223), (255, 256), (256, 255), (256, 256),
    (256, 257), (257, 256), (256, 341), (256, 342), (256, 343), (343, 256), (345, 256), (512, 512),
    (500, 375), (375, 500), (500, 333), (333, 500), (500, 334), (640, 427), (480, 640),
    (256, 512), (256, 513), (257, 514), (257, 515), (300, 601), (601, 300), (500, 1000),
    (500, 1001), (400, 1500), (1500, 400), (100, 201), (40, 90), (90, 40), (260, 2600),
    (1600, 1200), (997, 1409),
]  # fmt: skip
RANDOM_SIZES = 150
RULES = [
    (72, 64, "bicubic"), (64, 64, "bilinear"), (288, 256, "lanczos"), (72, 64, "box"),
    (232, 224, "nearest"), (584, 512, "bicubic"), (512, 512, "lanczos"), (8, 8, "bicubic"),
    (40, 33, "nearest"), (300, 255, "box"),
]  # fmt: skip
"""Resize, crop and interpolation of other rules; some blow most of the photos up."""
MODES = ("L", "1", "LA", "P", "P with transparency", "RGBA", "I;16", "GIF", "BMP")
MODE_SIZES = [(300, 260), (61, 150), (280, 600)]


def golden_file() -> Path:
    """Where the expectations for the Pillow that runs here stand."""
    major = int(PIL.__version__.split(".")[0])
    return HERE / f"torchvision-pillow{13 if major >= 13 else 12}.json"


def hashed(*values: Any) -> Any:
    """Mix integers, or arrays of them, to 32 bits that look random."""
    mixed: Any = np.uint64(0x9E3779B9)
    for value in values:
        mixed = (mixed ^ np.asarray(value, np.uint64)) * np.uint64(0x85EBCA6B)
        mixed = mixed & np.uint64(0xFFFFFFFF)
        mixed = mixed ^ (mixed >> np.uint64(15))
    return mixed


def paint(seed: int, width: int, height: int, bands: int) -> NDArray[np.uint8]:
    """``(height, width, bands) uint8`` of slopes, edges and noise."""
    y, x, band = np.ogrid[:height, :width, :bands]
    slope = x * (seed % 5 + band) // 2 + y * (seed % 3 + 1)
    edge = ((x // 37 + y // 23 + band) % 3) * 45
    noise = hashed(seed, x, y, band).astype(np.int64) % 64
    return ((slope + edge + noise) % 256).astype(np.uint8)


def encode(seed: int, size: tuple[int, int], mode: str) -> bytes:
    """Encode the picture losslessly, in a mode or format of `MODES` or as an RGB PNG."""
    pixels = paint(seed, *size, 4)
    gray = np.ascontiguousarray(pixels[..., 0])
    options: dict[str, Any] = {"format": "PNG", "compress_level": 1}
    if mode in ("P", "P with transparency", "GIF"):
        image = Image.fromarray(gray)
        image.putpalette(bytes(hashed(seed, np.arange(768)).astype(np.uint8)))
        options = {"format": "GIF"} if mode == "GIF" else options
        if mode == "P with transparency":
            options["transparency"] = 7
    elif mode == "1":
        image = Image.fromarray((gray > 127).astype(np.uint8) * 255).convert("1")
    elif mode == "I;16":
        image = Image.fromarray(gray.astype(np.uint16) * 257 // 90)
    elif mode in ("L", "BMP"):
        image = Image.fromarray(gray)
        options = {"format": "BMP"} if mode == "BMP" else options
    else:
        bands = {"RGB": 3, "LA": 2, "RGBA": 4}[mode]
        image = Image.fromarray(np.ascontiguousarray(pixels[..., :bands]))
    sink = io.BytesIO()
    image.save(sink, **options)
    return sink.getvalue()


Encoder = Callable[[], bytes]


def cases() -> Iterator[tuple[str, Encoder]]:
    """Names and what encodes their files, the odd ones last."""
    drawn = hashed(np.arange(RANDOM_SIZES), 1), hashed(np.arange(RANDOM_SIZES), 2)
    random_sizes = [(int(w) % 700 + 1, int(h) % 700 + 1) for w, h in zip(*drawn, strict=True)]
    for seed, size in enumerate(SIZES + random_sizes):
        yield f"RGB {size[0]}x{size[1]} #{seed}", partial(encode, seed, size, "RGB")
    for mode in MODES:
        for size in MODE_SIZES:
            yield f"{mode} {size[0]}x{size[1]}", partial(encode, len(mode), size, mode)
    with zipfile.ZipFile(ODD) as archive:
        for name in archive.namelist():
            yield f"odd: {name}", partial(bytes, archive.read(name))


def by_other_rules() -> dict[str, Encoder]:
    """Cases that every one of `RULES` is tried on: each size, some drawn at random, each mode."""
    chosen = {}
    for name, encoder in cases():
        number = int(name.rpartition("#")[2]) if "#" in name else 0
        if not name.startswith("odd: ") and (number < len(SIZES) or number % 10 == 0):
            chosen[name] = encoder
    return chosen


def rule_name(resize: int, crop: int, interpolation: str) -> str:
    return f"{resize} {crop} {interpolation}"


def decoded(data: bytes) -> Image.Image:
    """Read as torchvision's ``pil_loader`` does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broken EXIF
        return Image.open(io.BytesIO(data)).convert("RGB")


def sha256(image: Image.Image | NDArray[np.uint8]) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def write_odd() -> None:
    """Encode the odd files, small, with whatever Pillow there is: they are kept from then on."""
    from imagenet_subset.demo.photos import odd_images

    with zipfile.ZipFile(ODD, "w", zipfile.ZIP_DEFLATED) as archive:
        for odd in odd_images(96, 64):
            if odd.decodable and not re.fullmatch(r"\d+x\d+", odd.name):
                archive.writestr(zipfile.ZipInfo(odd.name), odd.data)


def write_expectations() -> None:
    from torchvision import transforms

    rule = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])
    expected = {}
    for name, encoder in cases():
        image = decoded(encoder())
        expected[name] = [sha256(image), sha256(rule(image))]
    made_with = versions()
    text = json.dumps({"made_with": made_with, "cases": expected}, indent=0)
    golden_file().write_text(text + "\n")
    print(f"{golden_file().name}: {len(expected)} cases")


def versions() -> dict[str, str | None]:
    import torchvision

    return {
        "torchvision": torchvision.__version__,
        "pillow": PIL.__version__,
        "libjpeg_turbo": features.version("libjpeg_turbo"),
        "libwebp": features.version("webp"),
    }


def add_rules() -> None:
    """Add to the file what torchvision makes by other rules; the rest of it stays."""
    from torchvision import transforms

    made: dict[str, dict[str, str]] = {}
    for resize, crop, interpolation in RULES:
        mode = transforms.InterpolationMode(interpolation)
        rule = transforms.Compose([transforms.Resize(resize, mode), transforms.CenterCrop(crop)])
        made[rule_name(resize, crop, interpolation)] = {
            name: sha256(rule(decoded(encoder()))) for name, encoder in by_other_rules().items()
        }
    whole = json.loads(golden_file().read_text())
    whole |= {"rules_made_with": versions(), "rules": made}
    golden_file().write_text(json.dumps(whole, indent=0) + "\n")
    print(f"{golden_file().name}: {len(by_other_rules())} cases by {len(made)} rules")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--odd", action="store_true", help="write odd.zip instead")
    parser.add_argument("--rules", action="store_true", help="add what other rules make")
    args = parser.parse_args()
    if args.odd:
        write_odd()
    elif not args.rules:
        write_expectations()
    if not args.odd:
        add_rules()


if __name__ == "__main__":
    main()
