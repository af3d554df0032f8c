"""The README and the pages of ``docs``: their fenced blocks, and how these run.

A shell block is a list of commands; a console block has commands after ``$`` and what they print
below; the Python blocks below one heading are one program. Each page runs in a folder of its own,
where ``imagenet-subset demo`` has been run.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]
README = "README.md"
DATA = {"", "text", "pycon"}
"""Languages of blocks that show something and don't run; docstrings' examples run as doctests."""
ON_THE_DEMO: Mapping[str, str] = MappingProxyType(
    {
        "out_files/imagenet30_cls": "demo/out_files/demo5_cls",
        "batch_size=256": "batch_size=16",
        "num_workers=4": "num_workers=2",
        "batch = 256": "batch = 16",
        "(256, 224, 224, 3)": "(16, 224, 224, 3)",
    }
)
"""What Python blocks have for a real file, and what they have for the demo's 100 train images."""
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$|^(#+) ([^\n]*)$", re.S | re.M)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of a page."""

    page: str
    """Path below the repository."""
    heading: str
    """The nearest one above."""
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Those of a shell or console block, each on one line, without comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        bare = (re.sub(r"(^|\s)# .*", "", line).strip() for line in lines)
        return [command for command in bare if command]

    @property
    def output(self) -> list[tuple[str, str]]:
        """Of a console block: each command, and what it prints."""
        parts = re.split(r"^\$ ", self.text.replace("\\\n", " "), flags=re.M)[1:]
        return [(command, shown) for command, _, shown in (part.partition("\n") for part in parts)]

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """The README and the pages of ``docs``, by name."""
    return [README, *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


def text_of(page: str) -> str:
    """What a page says."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> Iterator[Block]:
    """Fenced blocks of a page, in order."""
    text, heading = text_of(page), ""
    for found in _FENCE.finditer(text):
        if found[4]:
            heading = found[5]
            continue
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, heading, line, found[2], textwrap.dedent(found[3]))


def headings(page: str) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^ *```.*?^ *```$", "", text_of(page), flags=re.S | re.M)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def invocations(command: str) -> Iterator[list[str]]:
    """Arguments of each call of the program in a line of shell."""
    words = shlex.shlex(command, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    for punctuation, some in groupby(words, key=lambda word: set(word) <= set("();<>|&")):
        call = list(some)
        if punctuation or call[:2] == ["docker", "build"]:  # which names the image
            continue
        if "imagenet-subset" in call:
            yield call[call.index("imagenet-subset") + 1 :]
        elif call[:2] == ["python", "main.py"]:
            yield call[2:]


def programs(folder: Path) -> Path:
    """Folder for ``PATH`` in which the commands of the pages are those of this Python."""
    folder.mkdir(exist_ok=True)
    for name, words in (
        ("python", ""),
        ("imagenet-subset", "-m imagenet_subset"),
        ("dask", "-m dask"),
    ):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {words} "$@"\n')
        script.chmod(0o755)
    return folder


def run(
    arguments: Sequence[str], folder: Path, *, env: Mapping[str, str] = MappingProxyType({})
) -> str:
    """Run in a page's folder; what it prints, errors among it.

    The page's ``~`` is the folder ``home``.
    """
    path = f"{programs(folder / '.bin')}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        arguments,
        cwd=folder,
        env={
            **os.environ,
            "PATH": path,
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder / "home"),
            "COLUMNS": "100",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_ENABLE_ONEDNN_OPTS": "0",  # which TensorFlow would print a line about
            "JAX_PLATFORMS": "cpu",
            **env,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, f"{shlex.join(arguments)}\n{done.stdout}"
    return done.stdout


def without_speed(text: str) -> str:
    """What a command prints, with the figures that differ from machine to machine taken out."""
    text = re.sub(r"[0-9.]+ (s|ms|min|GB free)\b", r"N \1", text)
    text = re.sub(r"[0-9,.]+ images/s", "N images/s", text)
    text = re.sub(r"^compiled the turbo pipeline.*\n|^left to Pillow.*\n", "", text, flags=re.M)
    # The lines of a log: in a terminal, where a page's reader is, a bar is in their place.
    return re.sub(r"^\S+: (builds |[0-9,]+ of [0-9,]+ images).*\n", "", text, flags=re.M)
