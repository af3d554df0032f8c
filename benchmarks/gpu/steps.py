"""The steps, and the program that runs one of them."""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.gpu.setting import Numbers, Setting

STEPS = {
    "versions": "machine",
    "prepare": "machine",
    "codecs": "pixels",
    "selftest": "machine",
    "tests": "machine",
    "parity": "pixels",
    "bare": "rates",
    "build": "builds",
    "oom": "trouble",
    "broken": "trouble",
    "fork": "trouble",
    "host": "rates",
}
"""Module of each step's function."""
SECONDS = {
    "versions": 60, "prepare": 60, "codecs": 60, "selftest": 60, "tests": 120, "parity": 60,
    "bare": 130, "build": 170, "oom": 90, "broken": 60, "fork": 20, "host": 40,
}  # fmt: skip
"""The most that each may take."""


def main(step: str, setting: Setting) -> int:
    """Run a step and write its findings."""
    module = importlib.import_module(f"benchmarks.gpu.{STEPS[step]}")
    function: Callable[[Setting], Numbers] = getattr(module, step)
    try:
        found = function(setting)
    except Exception as error:
        traceback.print_exc()
        kept = json.loads(setting.result.read_text()) if setting.result.exists() else {}
        found = kept | {"failed": f"{type(error).__name__}: {error}"[:2000]}
    setting.keep(found)
    return 1 if "failed" in found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], replace(Setting.from_json(sys.argv[2]), result=Path(sys.argv[3]))))
