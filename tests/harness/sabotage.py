"""Makes one operation of the system fail, once: the faults that no disk gives on demand.

``FAULT="name:n:errno"`` in the environment lets the ``n``-th call of ``name`` in the output folder
``FAULT_FOLDER`` fail, in whichever process comes to it first; the file ``FAULT_FIRED`` is the sign
that it did. With ``n`` 0 every call fails. Installed from a ``sitecustomize`` it reaches the
parent and its workers.
"""

from __future__ import annotations

import builtins
import ctypes
import fcntl
import io
import os
import stat
from collections.abc import Callable
from typing import Any

PATHS = ("open", "replace", "unlink", "mkdir", "stat")
DESCRIPTORS = ("pwrite", "pwritev", "preadv", "fsync", "fdatasync", "ftruncate", "close")
NAMES = (*PATHS, *DESCRIPTORS, "fsync folder", "builtins.open", "write", "flock", "fallocate")


class Sabotage:
    """Operations of the system that count their calls, one of which fails."""

    def __init__(self, fault: str, folder: str, fired: str) -> None:
        self.name, number, code = fault.split(":")
        self.number, self.errno = int(number), int(code)
        self.folder, self.fired = os.path.realpath(folder), fired
        self.calls = 0
        self._undo: list[Callable[[], None]] = []

    def install(self) -> None:
        for name in PATHS:
            self._wrap(os, name, lambda path, *_, **__: path)
        for name in DESCRIPTORS:
            self._wrap(os, name, lambda fd, *_, **__: fd)
        self._wrap(fcntl, "flock", lambda fd, _: fd)
        self._replace(builtins, "open", self._open)
        self._replace(ctypes, "CDLL", self._library)

    def remove(self) -> None:
        for undo in reversed(self._undo):
            undo()

    def _replace(self, module: Any, name: str, new: object) -> None:
        old = getattr(module, name)
        self._undo.append(lambda: setattr(module, name, old))
        setattr(module, name, new)

    def _wrap(self, module: Any, name: str, place_of: Callable[..., Any]) -> None:
        true = getattr(module, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            place = place_of(*args, **kwargs)
            folder = name == "fsync" and stat.S_ISDIR(os.fstat(place).st_mode)
            self._step("fsync folder" if folder else name, place)
            return true(*args, **kwargs)

        self._replace(module, name, wrapped)

    def _step(self, name: str, place: Any) -> None:
        """Count a call; fail if it is the one."""
        if name != self.name or not self._ours(place):
            return
        self.calls += 1
        if self.number in (0, self.calls):
            try:
                with io.FileIO(self.fired, "x"):
                    pass
            except FileExistsError:
                if self.number:
                    return
            raise OSError(self.errno, os.strerror(self.errno), str(place))

    def _ours(self, place: Any) -> bool:
        if isinstance(place, int):
            try:
                place = os.readlink(f"/proc/self/fd/{place}")
            except OSError:
                return False
        return os.path.abspath(os.fsdecode(place)).startswith(self.folder)

    def _open(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if not isinstance(file, int):
            self._step("builtins.open", file)
        opened = _OPEN(file, mode, *args, **kwargs)
        if "w" in mode and isinstance(opened, io.BufferedWriter):
            return io.BufferedWriter(_Raw(opened.detach(), self, file))
        return opened

    def _library(self, *args: Any, **kwargs: Any) -> Any:
        return _Library(_CDLL(*args, **kwargs), self)


_CDLL, _OPEN = ctypes.CDLL, builtins.open


class _Raw(io.FileIO):
    """A file whose writes can fail."""

    def __init__(self, raw: io.RawIOBase, sabotage: Sabotage, path: Any) -> None:
        super().__init__(os.dup(raw.fileno()), "wb")
        raw.close()
        self._sabotage, self._path = sabotage, path

    def write(self, data: Any) -> int:
        self._sabotage._step("write", self._path)
        return super().write(data)


class _Library:
    """The C library, in which ``fallocate`` can fail."""

    def __init__(self, library: ctypes.CDLL, sabotage: Sabotage) -> None:
        self._library, self._sabotage = library, sabotage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    def fallocate(self, fd: int, *args: Any) -> int:
        try:
            self._sabotage._step("fallocate", fd)
        except OSError as error:
            ctypes.set_errno(error.errno or 0)
            return -1
        return int(self._library.fallocate(fd, *args))


def install_from_environment() -> None:
    """What the ``sitecustomize`` calls."""
    env = os.environ
    Sabotage(env["FAULT"], env["FAULT_FOLDER"], env["FAULT_FIRED"]).install()
