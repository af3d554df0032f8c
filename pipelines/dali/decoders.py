"""Which of nvImageCodec's decoders really run here.

DALI leaves it to nvImageCodec which decoder takes a photo, and if nvJPEG doesn't start, its
decoder on the CPU does, without a word. Here each decodes a usual photo by itself, so that nothing
stands in for it. That goes through nvImageCodec's own Python module: an error in making a decoder
is raised, and a photo that is refused comes back as None (``python/decoder.cpp``).
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.base import Device
from pipelines.dali.errors import last_line
from pipelines.dali.warmup import SIZE, usual_photos

UNKNOWN = "unknown"
MAPPED = Path("/proc/self/maps")
"""What this process has loaded; Linux only, as DALI is."""

CPU = "CPU_ONLY"
BACKENDS: dict[Device, dict[str, str]] = {
    "gpu": {
        "HW_GPU_ONLY": "the GPU's JPEG engine",
        # nvJPEG's decoder on CUDA is registered as the one or as the other, by version.
        "GPU_ONLY": "CUDA",
        "HYBRID_CPU_GPU": "CUDA",
    },
    "cpu": {CPU: "libjpeg-turbo on the CPU"},
}
"""Names of ``nvimgcodec.BackendKind``, and what people call them."""


@dataclass(frozen=True, slots=True)
class Decoders:
    """What was found out about one device."""

    refused: Mapping[str, str]
    """Why a decoder doesn't decode, by what people call it; empty if it does."""
    nvjpeg: str
    """File name of the nvJPEG that this process has loaded; empty where none is needed."""
    unknown: str = ""
    """Why nothing is known, if nothing is."""

    @property
    def none(self) -> bool:
        """Whether none decodes; where nothing is known, that isn't said."""
        return not self.unknown and all(self.refused.values())

    @property
    def line(self) -> str:
        """All of it in one line, for people."""
        if self.unknown:
            return f"decodes with what nvImageCodec chooses, {UNKNOWN} here: {self.unknown}"
        causes = [f"not with {name} ({why})" for name, why in self.refused.items() if why]
        if self.none:
            return f"decodes with nothing: {', '.join(causes)}"
        line = "decodes with " + " and ".join(n for n, why in self.refused.items() if not why)
        if self.nvjpeg:
            line += f" ({self.nvjpeg})"
        return ", but ".join([line, *causes])


@functools.cache
def decoders_of(device: Device, gpu: int) -> Decoders:
    """Try each decoder of a device by itself; once per process.

    Parameters
    ----------
    device : {"cpu", "gpu"}
    gpu : int
        Index of the CUDA device.
    """
    # nvImageCodec's own log says on stderr what is said here.
    os.environ.setdefault("PYNVIMGCODEC_VERBOSITY", "0")
    try:
        from nvidia import nvimgcodec
    except Exception as error:  # as DALI does, it may fail by any error
        return Decoders({}, "", f"nvImageCodec can't be imported ({last_line(error)})")
    refused: dict[str, str] = {}
    for name, words in BACKENDS[device].items():
        if refused.get(words, "untried"):
            refused[words] = _refuses(nvimgcodec, name, gpu)
    return Decoders(refused, _mapped_nvjpeg() if device == "gpu" else "")


def _refuses(codec: Any, name: str, gpu: int) -> str:
    """Why a backend by itself doesn't decode a usual photo; empty if it does."""
    try:
        decoder = codec.Decoder(
            device_id=codec.NVIMGCODEC_DEVICE_CPU_ONLY if name == CPU else gpu,
            max_num_cpu_threads=1,
            backends=[codec.Backend(getattr(codec.BackendKind, name))],
            options=":fancy_upsampling=1",
        )
        image = decoder.decode(usual_photos()[-1], params=codec.DecodeParams())
    except Exception as error:
        return last_line(error)
    if image is None:
        return "it refuses a usual photo, and doesn't say why"
    return "" if tuple(image.shape) == (*reversed(SIZE), 3) else f"its image is {image.shape}"


def _mapped_nvjpeg() -> str:
    try:
        names = re.findall(r"/(libnvjpeg\.so[^/\n]*)$", MAPPED.read_text(), re.MULTILINE)
    except OSError:
        names = []
    return " and ".join(sorted(set(names))) or f"libnvjpeg {UNKNOWN}"
