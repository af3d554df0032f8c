"""The steps, and the program that runs one of them."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
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
    "filters": "pixels",
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
    "filters": 60, "bare": 130, "build": 170, "oom": 90, "broken": 60, "fork": 20, "host": 40,
}  # fmt: skip
"""The most that each may take."""
FAILED = "the step failed: "
"""What the last line of a step begins with that ended by an error."""


def main(step: str, setting: Setting) -> int:
    """Run a step and write its findings."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    module = importlib.import_module(f"benchmarks.gpu.{STEPS[step]}")
    function: Callable[[Setting], Numbers] = getattr(module, step)
    try:
        found = function(setting)
        setting.keep(found)
    except Exception as error:
        traceback.print_exc()
        print(f"{FAILED}{type(error).__name__}: {error}"[:2000], flush=True)
        return 1
    return 1 if "failed" in found else 0


def _end_with_parent() -> None:
    """End this step and what it started when the proof is gone: it may hold a card."""
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.2)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], replace(Setting.from_json(sys.argv[2]), result=Path(sys.argv[3]))))
