"""What a pool and its worker processes share: a channel for objects, and a few numbers."""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import struct
import tempfile
from typing import Any, BinaryIO

_LENGTH = struct.Struct("<Q")
_CELL = 8

Handle = int | str
"""How a child finds the shared numbers: an inherited file descriptor, or a file's path."""


class Channel:
    """Pickled objects, one at a time, over one or two file descriptors, which it will close."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self._reader: BinaryIO = os.fdopen(read_fd, "rb")
        self._writer: BinaryIO = os.fdopen(write_fd, "wb", closefd=write_fd != read_fd)

    def send(self, value: Any) -> None:
        """Send an object. If it can't be pickled, nothing is sent."""
        data = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        self._writer.write(_LENGTH.pack(len(data)) + data)
        self._writer.flush()

    def receive(self) -> bytes:
        """Next object, still pickled.

        Raises
        ------
        EOFError
            The other end is closed.
        """
        head = self._reader.read(_LENGTH.size)
        nbytes = _LENGTH.unpack(head)[0] if len(head) == _LENGTH.size else 0
        data = self._reader.read(nbytes)
        if not data or len(data) < nbytes:
            raise EOFError
        return data

    def fileno(self) -> int:
        """File descriptor that is read from."""
        return self._reader.fileno()

    def close(self) -> None:
        """Close this end."""
        for stream in (self._writer, self._reader):
            with contextlib.suppress(OSError):
                stream.close()


class SharedNumbers:
    """64-bit integers that several processes see: a stop flag, and two for each worker.

    Attributes
    ----------
    handle : Handle
        For `attach` in a child process.
    """

    def __init__(self, mapped: mmap.mmap, handle: Handle) -> None:
        self._mapped, self.handle = mapped, handle
        self._cells = memoryview(mapped).cast("q")

    @classmethod
    def create(cls, slots: int, *, inherited: bool) -> SharedNumbers:
        """Make them for so many workers, all 0.

        Parameters
        ----------
        inherited
            Whether children inherit file descriptors; else they open a file by its path.
        """
        # On a full disk this write fails, rather than some later access to the memory.
        zeros = bytes(_CELL * (1 + 2 * slots))
        if inherited:
            fd = _unnamed_file()
            os.write(fd, zeros)
            return cls(mmap.mmap(fd, 0), fd)
        fd, path = tempfile.mkstemp(prefix="imagenet-subset-")
        with os.fdopen(fd, "r+b", buffering=0) as file:
            file.write(zeros)
            return cls(mmap.mmap(file.fileno(), 0), path)

    @classmethod
    def attach(cls, handle: Handle) -> SharedNumbers:
        """Find those that another process made."""
        if isinstance(handle, int):
            return cls(mmap.mmap(handle, 0), handle)
        with open(handle, "r+b") as file:
            return cls(mmap.mmap(file.fileno(), 0), handle)

    def close(self) -> None:
        """Let go of the memory, in the process that made it."""
        self._cells.release()
        self._mapped.close()
        if isinstance(self.handle, int):
            os.close(self.handle)
            return
        with contextlib.suppress(OSError):  # on Windows, if a child still has it open
            os.unlink(self.handle)

    @property
    def stop(self) -> bool:
        """Whether the workers are to stop."""
        return bool(self._cells[0])

    @stop.setter
    def stop(self, value: bool) -> None:
        self._cells[0] = value

    def has_started(self, slot: int) -> bool:
        """Whether the worker of a slot ever ran."""
        return bool(self._cells[1 + 2 * slot])

    def note_start(self, slot: int) -> None:
        """Note that the worker of a slot runs."""
        self._cells[1 + 2 * slot] = 1

    def place(self, slot: int) -> int:
        """Index of what the worker of a slot is working on, -1 for nothing."""
        return self._cells[2 + 2 * slot] - 1

    def note_place(self, slot: int, index: int) -> None:
        """Note what the worker of a slot is working on."""
        self._cells[2 + 2 * slot] = index + 1


def _unnamed_file() -> int:
    """File descriptor of a file in memory if the system has such files, else of a temporary one."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("imagenet-subset")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
