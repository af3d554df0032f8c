"""Makes Python on Linux lack what it lacks on Windows or macOS, and behave so where files matter.

A stand-in for those systems where none is at hand: ``PRETEND=win32`` or ``PRETEND=darwin`` in the
environment, and a ``sitecustomize`` that calls `pretend`, which reaches all processes that inherit
both. What it can't show: other compilers, consoles, file names, and DLLs.

On the stand-in for Windows a file that anybody has open can't be renamed, replaced or removed, and
a lock is one of ``msvcrt.locking``; neither system has ``/proc`` or ``/sys``.
"""

from __future__ import annotations

import builtins
import contextlib
import errno
import importlib
import io
import os
import signal
import struct
import sys
import types
from collections.abc import Callable
from typing import Any

# Modules that choose by the system once, as they are imported, and go on with what they found.
CHOSEN = (
    "asyncio", "concurrent.futures.process", "ctypes.util", "getpass", "multiprocessing.context",
    "multiprocessing.connection", "multiprocessing.managers", "multiprocessing.popen_fork",
    "multiprocessing.popen_forkserver", "multiprocessing.popen_spawn_posix",
    "multiprocessing.resource_tracker", "multiprocessing.sharedctypes", "multiprocessing.spawn",
    "multiprocessing.synchronize", "multiprocessing.util", "platform", "selectors", "shutil",
    "socket", "subprocess", "tempfile", "urllib.request", "uuid", "webbrowser", "zipfile",
)  # fmt: skip
ON_LINUX_ONLY = (
    "copy_file_range", "eventfd", "memfd_create", "pidfd_open", "pipe2", "posix_fadvise",
    "posix_fallocate", "preadv", "pwritev", "sched_getaffinity", "sched_setaffinity", "splice",
)  # fmt: skip
NOT_ON_WINDOWS = (
    "chown", "fchown", "fork", "forkpty", "geteuid", "getgid", "getgroups", "getpgid", "getpgrp",
    "getuid", "killpg", "lchown", "mkfifo", "mknod", "nice", "posix_spawn", "pread", "pwrite",
    "readv", "sendfile", "setpgid", "setsid", "sysconf", "uname", "writev", "O_NONBLOCK",
    "O_DIRECTORY", "O_CLOEXEC",
)  # fmt: skip
COMPILED = ("llvmlite", "simplejpeg")  # which look for their libraries by the system
MODULES_NOT_ON_WINDOWS = ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty")
SIGNALS_ON_WINDOWS = {"SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM"}
NEVER_ON_WINDOWS = ("alarm", "pthread_kill", "pthread_sigmask", "setitimer", "sigwait")


def pretend(system: str) -> None:
    """Be ``win32`` or ``darwin`` from here on."""
    for name in CHOSEN:
        importlib.import_module(name)
    for name in COMPILED:
        sys.modules[name] = None  # type: ignore[assignment]
    _remove(os, *ON_LINUX_ONLY)
    if system == "win32":
        _be_windows()
    _hide_proc()
    sys.platform = system


def _remove(module: Any, *names: str) -> None:
    for name in names:
        if hasattr(module, name):
            delattr(module, name)


def _be_windows() -> None:
    sys.modules["msvcrt"] = _msvcrt()
    for name in ("replace", "rename", "unlink", "remove", "link"):
        _wrap(name)
    _start_processes_without_signals()
    _remove(os, *NOT_ON_WINDOWS)
    _remove(signal, *NEVER_ON_WINDOWS)
    _remove(signal, *[n for n in dir(signal) if n.startswith("SIG") and n not in _kept_signals()])
    for name in MODULES_NOT_ON_WINDOWS:
        sys.modules[name] = None  # type: ignore[assignment]


def _kept_signals() -> set[str]:
    return SIGNALS_ON_WINDOWS | {"SIG_DFL", "SIG_IGN"}


def _start_processes_without_signals() -> None:
    """Have the standard library start and end processes without what is removed."""
    import multiprocessing
    import multiprocessing.context as context
    import subprocess
    from multiprocessing import popen_fork, resource_tracker

    kill = int(signal.SIGKILL)
    subprocess.Popen.kill = lambda self: self.send_signal(kill)  # type: ignore[method-assign]
    forked: Any = popen_fork.Popen
    forked.kill = lambda self: self._send_signal(kill)
    resource_tracker._HAVE_SIGMASK = False  # type: ignore[attr-defined]
    multiprocessing.set_start_method("spawn")
    for name in ("fork", "forkserver"):
        context._concrete_contexts.pop(name, None)  # type: ignore[attr-defined]
    places: list[Any] = [multiprocessing, context._default_context]
    for where in places:
        where.get_all_start_methods = lambda: ["spawn"]
    native = _System()
    for name, module in list(sys.modules.items()):
        if name.startswith("multiprocessing.") and hasattr(module, "sys"):
            module.sys = native  # type: ignore[attr-defined]
    for name in ("CREATE_NEW_PROCESS_GROUP", "CREATE_NO_WINDOW", "DETACHED_PROCESS"):
        setattr(subprocess, name, 0)  # which is all that Popen takes elsewhere


class _System:
    """``sys`` for multiprocessing, which needs to know what system it is on."""

    platform = sys.platform

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(sys, name, value)


def _wrap(name: str) -> None:
    """Refuse to rename or remove an open file."""
    true: Callable[..., Any] = getattr(os, name)
    listdir, readlink = os.listdir, os.readlink

    def opened(path: str) -> bool:
        for process in filter(str.isdigit, listdir("/proc")):
            with contextlib.suppress(OSError):
                for fd in listdir(f"/proc/{process}/fd"):
                    with contextlib.suppress(OSError):
                        if readlink(f"/proc/{process}/fd/{fd}") == path:
                            return True
        with _OPEN("/proc/self/maps") as maps:
            return any(line.rstrip("\n").endswith(f" {path}") for line in maps)

    def wrapped(*paths: Any, **options: Any) -> Any:
        if not options:
            for path in paths:
                # Shared memory of multiprocessing's, which Windows has without a file.
                shared = os.path.basename(os.fsdecode(path)).startswith("pym-")
                if not shared and opened(os.path.realpath(os.fsdecode(path))):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return true(*paths, **options)

    setattr(os, name, wrapped)


_OPEN = builtins.open


def _hide_proc() -> None:
    true = os.open

    def hidden(path: Any) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(("/proc", "/sys"))

    def refuse(path: Any) -> None:
        if hidden(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))

    def open_(file: Any, *args: Any, **kwargs: Any) -> Any:
        refuse(file)
        return _OPEN(file, *args, **kwargs)

    def os_open(path: Any, *args: Any, **kwargs: Any) -> int:
        refuse(path)
        return true(path, *args, **kwargs)

    builtins.open = io.open = open_
    os.open = os_open


def _msvcrt() -> types.ModuleType:
    """``msvcrt.locking``: bytes at the file's position, for one open file, until it is closed."""
    import fcntl

    control, command = fcntl.fcntl, fcntl.F_OFD_SETLK
    module = types.ModuleType("msvcrt")

    def locking(fd: int, mode: int, nbytes: int) -> None:
        kind = fcntl.F_UNLCK if mode == 0 else fcntl.F_WRLCK
        start = os.lseek(fd, 0, os.SEEK_CUR)
        control(fd, command, struct.pack("hhqqixxxx", kind, os.SEEK_SET, start, nbytes, 0))

    for name, value in {"LK_UNLCK": 0, "LK_LOCK": 1, "LK_NBLCK": 2, "LK_RLCK": 3}.items():
        setattr(module, name, value)
    module.locking = locking  # type: ignore[attr-defined]
    return module
