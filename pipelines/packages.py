"""Which packages are installed, their versions, and how to install those that are missing."""

from __future__ import annotations

import importlib.util
import platform
import re
from pathlib import Path

TURBO_OLDEST = {"simplejpeg": "1.8", "llvmlite": "0.44"}
"""Packages that turbo needs, and the oldest version of each."""
TURBO_PACKAGES = tuple(TURBO_OLDEST)
TURBO_INSTALL = " ".join(
    [
        "pip install",
        *(f'"{name}>={oldest}"' for name, oldest in TURBO_OLDEST.items()),
        '"isal>=1.7"',
    ]
)
DALI_INSTALL = 'pip install "nvidia-dali-cuda120>=2.2"'
GPU_INSTALL = {
    12: 'pip install "nvidia-dali-cuda120>=2.2" "cupy-cuda12x>=13" "isal>=1.7"',
    13: 'pip install "nvidia-dali-cuda130>=2.2" "cupy-cuda13x>=13.6" "isal>=1.7"',
}
"""What the extras ``gpu`` and ``gpu-cuda13`` install. Drivers for CUDA 13 run both."""
FOR_CUDA_13 = ("nvidia-dali-cuda130", "cupy-cuda13x")
UNKNOWN = "unknown"
"""Version of what isn't installed."""
ARM = ("aarch64", "arm64")
_HAVE_WHEELS = ("x86_64", "amd64", *ARM)
_BOARD = Path("/proc/device-tree/model")
_TEGRA = Path("/etc/nv_tegra_release")


def installed(module: str) -> bool:
    """Whether a module can be found; it isn't imported, only its parents are."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def wheel_version(*names: str) -> str:
    """Version of the first of these distributions that is installed, without importing it.

    Examples
    --------
    >>> wheel_version("no-such-wheel")
    'unknown'
    """
    from importlib import metadata

    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return UNKNOWN


def too_old(oldest: dict[str, str]) -> str:
    """Which distribution is installed in a version before its oldest; empty if none is.

    Examples
    --------
    >>> too_old({"numpy": "1.20", "no-such-wheel": "1.0"})
    ''
    """
    for name, needed in oldest.items():
        version = wheel_version(name)
        if version != UNKNOWN and _numbers(version) < _numbers(needed):
            return f"{name} {version} is installed, and it needs {needed} or later"
    return ""


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def cuda_of_packages() -> int:
    """Major version of CUDA to install packages for: 13 if one for it is here, else 12.

    On a Jetson Thor it is 13.
    """
    return 13 if wheel_version(*FOR_CUDA_13) != UNKNOWN or "Thor" in _board() else 12


def without_dali_wheels() -> str:
    """Which machine this is, if NVIDIA makes no DALI wheels for it; empty if it does.

    Those for ARM are for servers and, with CUDA 13, for Jetson Thor; the other Jetson boards have
    another driver (docs.nvidia.com/deeplearning/dali, "Support matrix").
    """
    machine = platform.machine()
    if machine.lower() not in _HAVE_WHEELS:
        return f"{machine} processors"
    board = _board()
    return f"{board} boards" if board and "Thor" not in board else ""


def _board() -> str:
    """Which Jetson board this is; empty if it is none."""
    try:
        board = _BOARD.read_text(errors="replace").strip("\0 \n")
    except OSError:
        board = ""
    if any(word in board for word in ("Jetson", "Tegra")):
        return board if board.isprintable() else ascii(board)
    return "Jetson" if _TEGRA.exists() else ""
