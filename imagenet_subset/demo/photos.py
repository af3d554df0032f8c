"""Generated photos, and every odd kind of file that ImageNet has: no download needed.

They serve the demo, the selftest, the tests and the benchmarks. Everything is decided by a seed.
Markers and their layout are those of ITU-T T.81, annex B.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

Subsampling = Literal["4:4:4", "4:2:2", "4:2:0"]

STRAY = {"a scan": 0xDA, "a frame": 0xC0, "a restart interval": 0xDD}
"""Markers that don't belong in a scan; ITU-T T.81, table B.1."""

ORIENTATION_TAG = 0x0112  # EXIF 2.32, table 4


def photo(seed: int, width: int, height: int) -> Image.Image:
    """Paint a picture that compresses, scales and looks a little like a photo.

    Smooth light, some shapes with hard edges, and grain whose strength varies over the picture.
    At 500x375 and quality 90 its JPEG weighs about 110 KB, as ImageNet's do.

    Examples
    --------
    >>> photo(7, 500, 375).size
    (500, 375)
    """
    from PIL import Image, ImageDraw

    rng = np.random.Generator(np.random.PCG64(seed))
    size = (width, height)
    light = _cloud(rng, size, cell=90).convert("RGB")
    picture = Image.blend(light, _cloud(rng, size, cell=160, mode="RGB"), 0.45)
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(4, 10))):
        _draw_shape(rng, draw, width, height)
    grain = _cloud(rng, size, cell=60)
    texture = Image.blend(_cloud(rng, size, cell=1), _cloud(rng, size, cell=6), 0.4)
    mixed = np.asarray(picture, np.int16)
    strength = np.asarray(grain, np.int16)
    texture_pixels = np.asarray(texture, np.int16)
    mixed = mixed + ((texture_pixels - 128) * strength >> 8)[..., None]
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def _cloud(
    rng: np.random.Generator, size: tuple[int, int], *, cell: int, mode: str = "L"
) -> Image.Image:
    """Random values on a grid of ``cell`` pixels, smoothly filled in."""
    from PIL import Image

    grid = (size[0] // cell + 2, size[1] // cell + 2) if cell > 1 else size
    values = rng.bytes(grid[0] * grid[1] * len(mode))
    image = Image.frombytes(mode, grid, values)
    return image if cell == 1 else image.resize(size, Image.Resampling.BILINEAR)


def _draw_shape(rng: np.random.Generator, draw: Any, width: int, height: int) -> None:
    """Draw an ellipse, a box or a line, anywhere."""
    colour = tuple((int(rng.integers(40, 220)) + rng.integers(-40, 41, 3)).clip(0, 255).tolist())
    (x0, x1) = sorted(rng.integers(-width // 4, width + width // 4 + 1, 2).tolist())
    (y0, y1) = sorted(rng.integers(-height // 4, height + height // 4 + 1, 2).tolist())
    kind = int(rng.integers(0, 3))
    if kind == 0:
        draw.ellipse((x0, y0, x1, y1), fill=colour)
    elif kind == 1:
        draw.rectangle((x0, y0, x1, y1), fill=colour)
    else:
        draw.line((x0, y1, x1, y0), fill=colour, width=int(rng.integers(1, 9)))


def jpeg(
    image: Image.Image,
    *,
    quality: int = 90,
    subsampling: Subsampling = "4:4:4",
    progressive: bool = False,
    exif_orientation: int | None = None,
    **options: Any,
) -> bytes:
    """Encode as JPEG.

    Parameters
    ----------
    image : PIL.Image.Image
        Mode ``L``, ``RGB`` or ``CMYK``.
    exif_orientation : int, optional
        1 to 8: how a viewer should turn the picture. The pixels stay as they are.
    **options
        Further ones of Pillow's JPEG writer: ``optimize``, ``comment``, ``icc_profile``,
        ``restart_marker_rows``, ...
    """
    if exif_orientation is not None:
        options["exif"] = exif(exif_orientation)
    sink = io.BytesIO()
    image.save(
        sink,
        "JPEG",
        quality=quality,
        subsampling=subsampling,
        progressive=progressive,
        **options,
    )
    return sink.getvalue()


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    """Encode in any format that Pillow writes, such as ``"PNG"``."""
    sink = io.BytesIO()
    image.save(sink, file_format, **options)
    return sink.getvalue()


def exif(orientation: int) -> bytes:
    """EXIF block with the orientation as its one entry (TIFF 6.0, section 2: a big-endian IFD)."""
    entry = struct.pack(">HHIHH", ORIENTATION_TAG, 3, 1, orientation, 0)
    return b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)


@dataclass(frozen=True, slots=True)
class OddImage:
    """A file that some decoder somewhere gets wrong."""

    name: str
    """What is odd about it, in a few words."""
    data: bytes
    decodable: bool
    """Whether Pillow decodes it; if not, it must end as a named failure."""


def odd_images(width: int = 320, height: int = 240) -> list[OddImage]:
    """Every odd kind of file, each small; all are meant to be named ``.JPEG``.

    Parameters
    ----------
    width, height : int
        Size of all but those with an odd size; multiples of 32 and of 16.
    """
    size = (width, height)
    good = _odd_jpegs(*size) | _unlike_jpegs(*size) | _odd_sizes()
    return [OddImage(name, data, True) for name, data in good.items()] + [
        OddImage(name, data, False) for name, data in _undecodable(*size).items()
    ]


def _odd_jpegs(width: int, height: int) -> dict[str, bytes]:
    picture = photo(100, width, height)
    plain = jpeg(picture)
    half = jpeg(picture, subsampling="4:2:2")
    quarter = jpeg(picture, subsampling="4:2:0")
    cmyk = jpeg(picture.convert("CMYK"))
    thumbnail = b"Exif\0\0" + jpeg(photo(101, 64, 48))
    return {
        "4:4:4": plain,
        "4:2:2": half,
        "4:2:0": quarter,
        "4:4:0": _sampled(half, 0x21, 0x12),
        "4:1:1": _sampled(quarter, 0x22, 0x41),
        "quality 30": jpeg(picture, quality=30, subsampling="4:2:0"),
        "progressive": jpeg(picture, progressive=True, subsampling="4:2:0"),
        "optimized": jpeg(picture, optimize=True),
        "grayscale": jpeg(picture.convert("L")),
        "grayscale progressive": jpeg(picture.convert("L"), progressive=True),
        "CMYK": cmyk,
        "YCCK": _adobe_transform(cmyk, 2),
        # Without JFIF's marker it is Adobe's that names the colour space.
        "RGB": _with_segment(plain[:2] + plain[20:], 0xEE, b"Adobe\0\x64\0\0\0\0\0"),
        **{f"EXIF orientation {k}": jpeg(picture, exif_orientation=k) for k in (2, 3, 6, 8)},
        "broken EXIF": _with_segment(
            plain, 0xE1, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x01\x12" * 9
        ),
        "EXIF of noise": _with_segment(plain, 0xE1, b"Exif\0\0" + bytes(range(7, 250, 3))),
        "EXIF cut short": _with_segment(plain, 0xE1, exif(6)[:-9]),
        "EXIF thumbnail": _with_segment(plain, 0xE1, thumbnail),
        "ICC profile": jpeg(picture, icc_profile=bytes(range(256)) * 2),
        "comment": jpeg(picture, comment=b"caf\xe9 \xff\xd9"),
        "restart markers": jpeg(picture, restart_marker_rows=1),
        "JFIF of no resolution": plain[:4] + b"\0\x09JFIF\0\1\2" + plain[20:],
        "Photoshop cut short": _with_segment(plain, 0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\0"),
        "progressive that ends early": _first_scans(
            jpeg(picture, progressive=True, subsampling="4:2:0", quality=60), 2
        ),
        "multi-picture": encoded(picture, "MPO", save_all=True, append_images=[photo(102, 64, 48)]),
        "garbage after the end": plain + bytes(range(1, 200)),
        "zeros after the end": plain + bytes(512),
        "fill bytes": plain[:2] + b"\xff\xff\xff" + plain[2:],
    }


def _unlike_jpegs(width: int, height: int) -> dict[str, bytes]:
    from PIL import features

    picture = photo(103, width, height)
    gray = picture.convert("L")
    colours = picture.quantize(64)
    veil = picture.convert("RGBA")
    veil.putalpha(gray)
    deep = gray.convert("I").point(lambda value: value * 257).convert("I;16")
    images = {
        "PNG": encoded(picture, "PNG"),
        "PNG gray": encoded(gray, "PNG"),
        "PNG palette": encoded(colours, "PNG"),
        "PNG palette with transparency": encoded(colours, "PNG", transparency=3),
        "PNG gray 16 bit": encoded(deep, "PNG"),
        "PNG RGBA": encoded(veil, "PNG"),
        "PNG gray with alpha": encoded(veil.convert("LA"), "PNG"),
        "PNG 1 bit": encoded(gray.convert("1"), "PNG"),
        "GIF": encoded(colours, "GIF"),
        "GIF of two frames": encoded(colours, "GIF", save_all=True, append_images=[gray]),
        "BMP": encoded(picture, "BMP"),
    }
    if features.check("webp"):
        images["WebP"] = encoded(picture, "WEBP", quality=80)
    return images


def _odd_sizes() -> dict[str, bytes]:
    tiny = [(1, 1), (1, 300), (300, 1), (3, 5), (7, 2)]
    near_the_rule = [(224, 224), (256, 256), (256, 300), (511, 256), (257, 255)]
    sizes = [*tiny, *near_the_rule, (100, 900), (900, 100)]
    return {
        f"{width}x{height}": jpeg(photo(200 + k, width, height), subsampling="4:2:0")
        for k, (width, height) in enumerate(sizes)
    }


def _undecodable(width: int, height: int) -> dict[str, bytes]:
    picture = photo(104, width, height)
    plain = jpeg(picture, subsampling="4:2:0")
    progressive = jpeg(picture, progressive=True)
    png = encoded(picture, "PNG")
    scan = plain.index(b"\xff\xda")
    thumbnail = b"Exif\0\0" + jpeg(photo(105, 64, 48))
    return {
        "empty": b"",
        "garbage": bytes(range(3, 256, 5)) * 20,
        "HTML": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
        "cut in half": plain[: len(plain) // 2],
        "progressive cut in half": progressive[: len(progressive) // 2],
        "cut in half, with an EXIF thumbnail": _with_segment(plain, 0xE1, thumbnail)[
            : len(plain) // 2
        ],
        "without its last 2 bytes": plain[:-2],
        "without its last byte": plain[:-1],
        "progressive without its last 2 bytes": progressive[:-2],
        "header only": plain[:scan],
        "two bytes": plain[:2],
        "JFIF without a version": plain[:4] + b"\0\x07JFIF\0" + plain[20:],
        "ICC profile without its number": _with_segment(plain, 0xE2, b"ICC_PROFILE\0"),
        "Photoshop without a name": _with_segment(plain, 0xED, b"Photoshop 3.0\x008BIM\4\4"),
        "Adobe without a version": _with_segment(plain, 0xEE, b"Adobe"),
        **{
            f"scan broken by {name}": _amid_the_scan(plain, marker)
            for name, marker in STRAY.items()
        },
        "12 bits a sample": _with_frame(plain, bits=12),
        "height of 0": _with_frame(plain, height=0),
        "two components": _with_frame(plain, components=2),
        "lossless": plain.replace(b"\xff\xc0", b"\xff\xc3", 1),
        "PNG cut in half": png[: len(png) // 2],
    }


def _with_segment(data: bytes, marker: int, payload: bytes) -> bytes:
    """Put a marker segment right after the start of image."""
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload + data[2:]


def _first_scans(data: bytes, count: int) -> bytes:
    """End a progressive JPEG after its first scans, as an unfinished download has it."""
    end = 0
    for _ in range(count + 1):
        end = data.index(b"\xff\xda", end + 1)
    return data[: data.rindex(b"\xff\xc4", 0, end)] + b"\xff\xd9"


def _amid_the_scan(data: bytes, marker: int) -> bytes:
    """Put an empty segment into the compressed data."""
    middle = (data.index(b"\xff\xda") + len(data)) // 2
    return data[:middle] + bytes((0xFF, marker, 0, 2)) + data[middle:]


def _with_frame(data: bytes, **fields: int) -> bytes:
    """Change what the frame header says."""
    at = data.index(b"\xff\xc0") + 4
    bits, height, width, components = struct.unpack_from(">BHHB", data, at)
    frame = {"bits": bits, "height": height, "width": width, "components": components} | fields
    return data[:at] + struct.pack(">BHHB", *frame.values()) + data[at + 6 :]


def _adobe_transform(data: bytes, transform: int) -> bytes:
    """Let the Adobe marker call the same numbers another colour space."""
    at = data.index(b"\xff\xee\0\x0eAdobe") + 15
    return data[:at] + bytes([transform]) + data[at + 1 :]


def _sampled(data: bytes, luma_before: int, luma: int) -> bytes:
    """Declare another sampling with as many blocks per MCU: another picture, as valid."""
    at = data.index(b"\xff\xc0") + 11
    if data[at] != luma_before:
        raise ValueError(f"sampling factors are {data[at]:#x}, not {luma_before:#x}")
    return data[:at] + bytes([luma]) + data[at + 1 :]
