"""What a program draws in a terminal."""

from __future__ import annotations

import contextlib
import os
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

SIZE = (24, 80)
"""Lines and columns."""


@contextlib.contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: ours, and that of the program, which the caller closes."""
    pty = pytest.importorskip("pty", reason="there are no pseudo-terminals")
    ours, theirs = pty.openpty()
    resize(theirs, *SIZE)
    try:
        yield ours, theirs
    finally:
        os.close(ours)


def resize(theirs: int, lines: int, columns: int) -> None:
    """Give a terminal another size, as the edge of a window that is dragged."""
    fcntl = pytest.importorskip("fcntl", reason="there are no pseudo-terminals")
    termios = pytest.importorskip("termios", reason="there are no pseudo-terminals")
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


def read_until(ours: int, end: str) -> str:
    """What a program draws, up to and with some words."""
    text = ""
    while end not in text:
        text += os.read(ours, 100_000).decode()
    return text


def drawn(command: Sequence[str | Path], **options: object) -> tuple[int, str, str]:
    """Exit code of a program with a terminal as standard error, its output, and what it drew."""
    with terminal() as (ours, theirs):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, **options) as process:  # type: ignore[call-overload]
            os.close(theirs)
            parts = []
            with contextlib.suppress(OSError):  # the end, once the other side is closed
                while part := os.read(ours, 100_000):
                    parts.append(part)
            output, _ = process.communicate(timeout=300)
        return process.returncode, output.decode(), b"".join(parts).decode()
