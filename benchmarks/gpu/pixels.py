"""Pixels against Pillow's: each decoder alone, and the whole rule by kind and load."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.gpu.setting import Numbers, Setting, difference, say
from imagenet_subset.demo.photos import jpeg, photo
from pipelines.bounds import DALI_CPU_BY_FILTER
from pipelines.dali.pipeline import DaliPipeline
from pipelines.kinds import LOADS
from pipelines.pillow import decode
from pipelines.rule import PixelRule

SAMPLINGS = ("4:4:4", "4:2:2", "4:2:0")
SIZES = ((500, 375), (375, 500), (333, 251), (64, 47), (1200, 900), (500, 33), (2592, 3888))


def codecs(setting: Setting) -> Numbers:
    """Each decoder of nvImageCodec by itself, whole photos, with and without smooth chroma."""
    from nvidia import nvimgcodec

    kinds = _whole_photos(setting)
    backends = ["CPU_ONLY"]
    if setting.on_gpu:
        backends += ["HYBRID_CPU_GPU", "HW_GPU_ONLY", "GPU_ONLY"]
    how = nvimgcodec.DecodeParams(apply_exif_orientation=False)
    found: Numbers = {}
    for name, fancy in itertools.product(backends, (1, 0)):
        key = f"{name} fancy={fancy}"
        try:
            decoder = nvimgcodec.Decoder(
                device_id=nvimgcodec.NVIMGCODEC_DEVICE_CPU_ONLY if name == "CPU_ONLY" else 0,
                backends=[nvimgcodec.Backend(getattr(nvimgcodec.BackendKind, name))],
                options=f":fancy_upsampling={fancy}",
            )
        except Exception as error:
            found[key] = {"error": f"{type(error).__name__}: {error}"}
            continue
        for kind, files in kinds.items():
            images = [decoder.decode(data, params=how) for data in files]
            row = found[f"{key} {kind}"] = _against_pillow(images, files)
            say(f"{key:26} {kind:24} {row}")
        setting.keep(found)
    found["libnvjpeg"] = mapped("/libnvjpeg.so")
    return found


def _whole_photos(setting: Setting) -> dict[str, list[bytes]]:
    sizes = ((500, 375), (375, 500), (333, 251), (1200, 900))
    kinds = {
        f"{sampling} {'progressive' if progressive else 'baseline'} q{quality}": [
            jpeg(photo(k, *size), subsampling=sampling, progressive=progressive, quality=quality)
            for k, size in enumerate(sizes)
        ]
        for sampling in SAMPLINGS for progressive in (False, True) for quality in (75, 96)
    }  # fmt: skip
    kinds["gray"] = [jpeg(photo(k, 500, 375).convert("L")) for k in range(4)]
    if setting.photos:
        kinds["real"] = setting.for_dali()[:100]
    return kinds


def _against_pillow(images: list[Any], files: list[bytes]) -> Numbers:
    pairs = []
    for image, data in zip(images, files, strict=True):
        if image is not None:
            expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
            pairs.append((np.broadcast_to(np.asarray(image.cpu()), expected.shape), expected))
    return {"refused": len(files) - len(pairs), **difference(pairs)}


def mapped(part: str) -> list[str]:
    """Shared libraries of this process whose path has ``part``."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return sorted({line.split()[-1] for line in lines if part in line})


def parity(setting: Setting) -> Numbers:
    """The whole rule, decoded and scaled, by kind and by load."""
    kinds = _scaled_photos(setting)
    expected = {kind: [decode(data) for data in files] for kind, files in kinds.items()}
    found: Numbers = {}
    for load in LOADS if setting.on_gpu else ("split",):
        pipeline = DaliPipeline(setting.device, 64, min(setting.cores, 8), load=load)
        for kind, files in kinds.items():
            images: dict[int, Any] = {}
            for batch in pipeline.run(enumerate(files)):
                images |= zip(batch.keys, batch.images.copy(), strict=True)
            pairs = [(images[k], e) for k, e in enumerate(expected[kind]) if k in images]
            row = difference(pairs) | {"lost": len(files) - len(images)}
            found[f"{load} {kind}"] = row
            say(f"load {load:6} {kind:20} {row}")
        pipeline.close()
        found[f"{load} repeats"] = repeats(setting, load, kinds["4:2:0"])
        say(f"load {load:6} same bytes whatever the neighbours: {found[f'{load} repeats']}")
        setting.keep(found)
    return found


def filters(setting: Setting) -> Numbers:
    """Each filter and two sizes, on photos and on what no photo is as bad as."""
    kinds = extremes(setting)
    found: Numbers = {}
    for interpolation, (resize, crop) in itertools.product(
        DALI_CPU_BY_FILTER, ((256, 224), (72, 64))
    ):
        rule = PixelRule(resize, crop, interpolation)
        expected = {kind: [decode(data, rule) for data in files] for kind, files in kinds.items()}
        for load in LOADS if setting.on_gpu else ("split",):
            pipeline = DaliPipeline(
                setting.device, 64, min(setting.cores, 8), rule=rule, load=load, warm_up=False
            )
            for kind, files in kinds.items():
                pairs = []
                for batch in pipeline.run(enumerate(files)):
                    images = batch.images.copy()
                    pairs += [
                        (i, expected[kind][k]) for k, i in zip(batch.keys, images, strict=True)
                    ]
                row = difference(pairs) | {"lost": len(files) - len(pairs)}
                found[f"{interpolation} {resize}/{crop} {load} {kind}"] = row
                say(f"{interpolation:9} {resize}/{crop} load {load:6} {kind:12} {row}")
            pipeline.close()
            setting.keep(found)
    return found


def extremes(setting: Setting) -> dict[str, list[bytes]]:
    """Photos; noise; and blocks of black, white and pure colours, with hard edges between."""
    rng = np.random.default_rng(5)
    size = (375, 500, 3)
    noise = [rng.integers(0, 256, size, np.uint8) for _ in range(8)]
    edges = [
        np.kron(rng.integers(0, 2, (75, 100, 3)) * 255, np.ones((5, 5, 1))).astype(np.uint8)
        for _ in range(8)
    ]
    kinds = {}
    for sampling in SAMPLINGS:
        for name, pictures in (("noise", noise), ("edges", edges)):
            kinds[f"{name} {sampling}"] = [
                jpeg(Image.fromarray(picture), quality=(75, 96)[k % 2], subsampling=sampling)
                for k, picture in enumerate(pictures)
            ]
    return kinds | {"photos": setting.for_dali()[: 300 if setting.on_gpu else 24]}


def repeats(setting: Setting, load: str, files: list[bytes]) -> bool:
    """Whether photos have the same bytes in batches of 64, of 7 and alone."""
    seen = []
    for size in (64, 7, 1):
        pipeline = DaliPipeline(setting.device, size, 2, load=load)
        images = {}
        for batch in pipeline.run(enumerate(files * 3)):
            images |= zip(batch.keys, map(bytes, batch.images), strict=True)
        pipeline.close()
        seen.append(images)
    return all(images == seen[0] for images in seen)


def _scaled_photos(setting: Setting) -> dict[str, list[bytes]]:
    kinds = {
        f"{sampling}{' progressive' if progressive else ''}": [
            jpeg(photo(w + q, w, h), quality=q, subsampling=sampling, progressive=progressive)
            for w, h in SIZES for q in ((60, 90, 98) if w < 2000 else (90,))
        ]
        for sampling in SAMPLINGS for progressive in (False, True)
    }  # fmt: skip
    kinds["gray"] = [jpeg(photo(w, w, h).convert("L")) for w, h in SIZES]
    if setting.photos:
        kinds["real"] = setting.for_dali()[: 300 if setting.on_gpu else 24]
    return kinds
