"""Machine code by LLVM, kept on disk. That saves time but isn't needed.

What is kept runs as it is: a block of zeros in it would be a segmentation fault. So each file
begins with a SHA-256 of what it is for and of all that follows, and without the right one it isn't
loaded. Its name says what it is for: the source that generates the code, LLVM and the CPU.
Where the file is there, no code is generated and LLVM compiles nothing.

LLVM's optimiser isn't run, only its code generator: the source is vector code already, and what the
optimiser made of it was slower.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from pipelines.base import one_line

FOLDER_VARIABLE = "IMAGENET_SUBSET_CACHE_DIR"
SUFFIX = ".kernel"
_REMEDY = f"set {FOLDER_VARIABLE} to a folder that can be written to"
_SHA256_NBYTES = 32
_LARGEST = 1 << 20
"""Bytes of a file that are read; the kernel has some thousand."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A function that was compiled, or found on disk."""

    address: int
    note: str
    """Why the next process will compile it again; empty if it needn't."""
    engine: Any
    """Owns the code: the address is valid as long as this object exists."""


def load(name: str, sources: Sequence[Path], write_ir: Callable[[], str]) -> Loaded:
    """Compile a function for this CPU, or load it from disk.

    Parameters
    ----------
    name
        Of the function.
    sources
        All files that decide what ``write_ir`` gives.
    write_ir
        Gives the function's module as LLVM's text. It is called only to compile.

    Raises
    ------
    Exception
        LLVM doesn't know this machine: LLVM's own.
    """
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=cpu, features=features, opt=3, jit=True)
    versions = llvmlite.__version__, str(llvm.llvm_version_info)
    made_for = (*versions, target.triple, cpu, features)
    code, note = _kept_or_made(name, made_for, sources, machine, write_ir)
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    address = engine.get_function_address(name)
    if not address:
        raise RuntimeError(f"LLVM has made no function {name}")
    return Loaded(address, note, engine)


def _kept_or_made(
    name: str,
    made_for: Sequence[str],
    sources: Sequence[Path],
    machine: Any,
    write_ir: Callable[[], str],
) -> tuple[bytes, str]:
    """Object file and note."""
    try:
        key = _key(made_for, sources)
    except OSError as error:
        return _compiled(write_ir(), machine), f"its source can't be read ({one_line(error)})"
    paths = [folder / f"{name}-{key[:32]}{SUFFIX}" for folder in _folders()]
    for path in paths:
        if code := _kept(path, key):
            return code, ""
    code = _compiled(write_ir(), machine)
    reason = ""
    for path in paths:
        failure = _keep(path, key, code)
        if failure is None or _kept(path, key):  # another process was quicker
            return code, ""
        reason = f"{path.parent} can't be written ({one_line(failure)})"
    return code, f"{reason}; {_REMEDY}"


def _key(made_for: Sequence[str], sources: Sequence[Path]) -> str:
    """SHA-256 of all that decides the code."""
    digest = hashlib.sha256()
    for part in (*(text.encode() for text in made_for), *(path.read_bytes() for path in sources)):
        digest.update(b"%d:" % len(part) + part)
    return digest.hexdigest()


def _compiled(text: str, machine: Any) -> bytes:
    """Object file of a module, for the machine."""
    module = llvm.parse_assembly(text)
    module.triple = machine.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    code: bytes = machine.emit_object(module)
    return code


def _kept(path: Path, key: str) -> bytes:
    """Object file that is on disk; empty if none is there, or none that may be loaded."""
    try:
        content = _read(path)
    except OSError:
        return b""
    sha256, code = content[:_SHA256_NBYTES], content[_SHA256_NBYTES:]
    return code if sha256 == _sha256(key, code) else b""


def _read(path: Path) -> bytes:
    """Start of a regular file of this user or of root; empty if another's, or no such file."""
    with open(path, "rb", opener=_without_waiting) as file:
        status = os.fstat(file.fileno())
        trusted = sys.platform == "win32" or status.st_uid in (0, os.getuid())
        return file.read(_LARGEST) if trusted and stat.S_ISREG(status.st_mode) else b""


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe's other end isn't waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _keep(path: Path, key: str, code: bytes) -> OSError | None:
    """Write the object file for later processes; why that fails, if it does."""
    unfinished = path.with_name(f"{path.stem}-{os.urandom(8).hex()}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(unfinished, "xb") as file:
                file.write(_sha256(key, code) + code)
            unfinished.replace(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
    except OSError as error:
        return error
    return None


def _sha256(key: str, code: bytes) -> bytes:
    return hashlib.sha256(key.encode() + code).digest()


def _folders() -> list[Path]:
    """Where the code may be kept, the best place first."""
    told = os.environ.get(FOLDER_VARIABLE)
    beside = Path(__file__).with_name("__pycache__")
    try:
        return [Path(told).expanduser()] if told else [beside, _of_user()]
    except RuntimeError:  # this user has no home
        return [beside]


def _of_user() -> Path:
    """Where this user's programs keep what they can make again."""
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        home = Path.home() / "Library" / "Caches"
    else:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "imagenet-subset"
