"""Executors such as somebody else might set up, and what is done to their workers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

from imagenet_subset.building import resolution
from pipelines import choice
from pipelines.choice import PipelineConfig
from pipelines.request import PipelineRequest


class Elsewhere(Executor):
    """Runs each task in a Python of its own, started by a command, as a cluster's worker would."""

    def __init__(self, *prefix: str, env: Mapping[str, str] = MappingProxyType({})) -> None:
        self._prefix, self.env = prefix, env
        self._pool = ThreadPoolExecutor(1)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        return self._pool.submit(self._call, fn, args, kwargs)

    def _call(self, fn: Any, args: Any, kwargs: Any) -> Any:
        import pickle

        code = (
            "import pickle, sys\n"
            "fn, args, kwargs = pickle.load(sys.stdin.buffer)\n"
            "try: answer = True, fn(*args, **kwargs)\n"
            "except Exception as error: answer = False, error\n"
            "sys.stdout.buffer.write(pickle.dumps(answer))\n"
        )
        done = subprocess.run(
            [*self._prefix, sys.executable, "-c", code],
            input=pickle.dumps((fn, args, kwargs)),
            env={**os.environ, **self.env},
            cwd="/",
            stdout=subprocess.PIPE,
            check=True,
        )
        good, answer = pickle.loads(done.stdout)
        if not good:
            raise answer
        return answer


def hook(folder: Path, code: str) -> dict[str, str]:
    """Environment in which each Python first runs some code, which is written to a folder."""
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": str(folder)}


def note_resolutions(notes: Path) -> None:
    """From now on, have this process note each request that it resolves: its process id, a line."""

    def resolve(request: PipelineRequest, cores: int) -> PipelineConfig:
        with notes.open("a") as file:
            file.write(f"{os.getpid()}\n")
        return choice.resolve(request, cores)

    vars(resolution)["resolve"] = resolve
