"""A driver that says which GPUs there are, without any: a program in place of Python.

The program answers the one question that `pipelines.driver` has for the driver. Everything else
that Python is started for, such as worker processes, it leaves to the real one.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

H100 = ("NVIDIA H100 80GB HBM3", "0123456789abcdef0123456789abcdef", 9, 0, 0, 0)
T4 = ("Tesla T4", "fedcba9876543210fedcba9876543210", 7, 5, 0, 0)
V100 = ("Tesla V100-SXM2-16GB", "00112233445566778899aabbccddeeff", 7, 0, 0, 0)
MIG = ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "ffeeddccbbaa99887766554433221100", 8, 0, 0, 0)
PROHIBITED, EXCLUSIVE = 2, 3
UNAVAILABLE, OUT_OF_MEMORY = 46, 2

Card = tuple[Any, ...]
"""Name, id, both parts of the compute capability, compute mode, status of a context."""


def with_mode(card: Card, mode: int, status: int = 0) -> Card:
    """The card in a compute mode, and how it answers when a context is asked for."""
    return (*card[:4], mode, status)


def driver_program(path: Path, cards: Sequence[Card], cuda: int = 13000) -> Path:
    """Write the program; ``cuda`` is the version as the driver counts it."""
    answer = shlex.quote(json.dumps([cuda, cards]))
    python = shlex.quote(sys.executable)
    path.write_text(
        "#!/bin/sh\n"
        f'case "$*" in *cuInit*) echo x >> {shlex.quote(f"{path}.calls")}; echo {answer};; '
        f'*) exec {python} "$@";; esac\n'
    )
    path.chmod(0o755)
    return path


PACKAGES = """
import importlib.util, sys
_found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *p: (
    name in ('cupy', 'nvidia.dali') or _found(name, *p)
)
"""
"""Code after which the packages of a GPU seem to be installed."""
