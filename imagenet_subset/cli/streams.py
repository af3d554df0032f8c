"""Standard output and standard error that can always be printed to."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO

STANDARD_OUTPUT = "standard output"
"""What an `OSError` has for a file name when stdout didn't take something."""


def mend_streams() -> None:
    """Make sure that messages never fail: on a closed stream, a full disk, or an odd character.

    What stdout can't take is an `OSError` that names it. A closed stream is opened on the null
    device: otherwise a file could get its number, and then whatever a library prints.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - open to the end
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = _Output(sys.stdout), _Messages(sys.stderr)


def drop_unwritten() -> None:
    """Drop what stdout didn't take; else Python tries again as it ends, with a traceback."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def reporting(made: str) -> Iterator[None]:
    """Have an error of stdout say what is made all the same, while that is reported."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        if error.filename != STANDARD_OUTPUT:
            raise
        raise OSError(error.errno, f"{error.strerror}; {made}", STANDARD_OUTPUT) from error


class _Stream:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._failed(error)
        return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._failed(error)

    def _failed(self, error: OSError) -> None:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Output(_Stream):
    def _failed(self, error: OSError) -> None:
        raise OSError(error.errno, error.strerror, STANDARD_OUTPUT) from error


class _Messages(_Stream):
    def _failed(self, error: OSError) -> None:
        """Drop what standard error can't take: there is no other place to report it."""
