"""What errors of DALI, nvImageCodec, CuPy and CUDA mean. They have no types, so their text is read.

Where the texts are from:

- DALI gives each C++ error that Python has no type for as a `RuntimeError`, with its own traceback
  around the text (``dali/pipeline/operator/error_reporting.cc``). CUDA's are ``CUDA runtime API
  error cudaErrorIllegalAddress (700):`` and, in the next line, CUDA's own words; short memory is
  one of three texts (``dali/core/cuda_error.h``).
- nvImageCodec gives a number, ``NVIMGCODEC_STATUS_...`` of ``nvimgcodec.h``.
- CuPy's ``CUDARuntimeError`` and ``CUDADriverError`` are `RuntimeError` with CUDA's name and words,
  ``cudaErrorMemoryAllocation: out of memory``; its ``OutOfMemoryError`` is a `MemoryError`
  (``cupy_backends/cuda/api``, ``cupy/cuda/memory.pyx``). Where its libraries are missing, it raises
  an `ImportError` of many lines (``cupy/__init__.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pipelines.base import Device, PipelineUnavailableError, one_line

WORKS_WITHOUT: dict[Device, str] = {
    "gpu": "--device cpu works without",
    "cpu": "--pipeline pillow works without",
}
"""The end of a message: what doesn't need what is missing."""

OUT_OF_MEMORY = (
    "out of memory",
    "can't allocate",
    "allocation failed",
    "bad_alloc",
    "allocator_failure",
    "nvimagecodec failure: '#5'",  # NVIMGCODEC_STATUS_ALLOCATOR_FAILURE
    "nvimagecodec failure: '#15'",  # NVIMGCODEC_STATUS_EXTENSION_ALLOCATOR_FAILURE
    "memoryallocation",  # cudaErrorMemoryAllocation
    "out_of_memory",  # CUDA_ERROR_OUT_OF_MEMORY
)
"""What messages say when memory is short, in lower case."""

LOST = {
    "nodevice": 100,
    "eccuncorrectable": 214,
    "nvlinkuncorrectable": 220,
    "contained": 226,
    "illegaladdress": 700,
    "launchtimeout": 702,
    "contextisdestroyed": 709,
    "assert": 710,
    "hardwarestackerror": 714,
    "illegalinstruction": 715,
    "misalignedaddress": 716,
    "invalidaddressspace": 717,
    "invalidpc": 718,
    "launchfailure": 719,
    "launchfailed": 719,  # what the driver calls it
    "tensormemoryleak": 721,
    "mpsclientterminated": 810,
    "externaldevice": 911,
}
"""CUDA's errors after which nothing more can be done in this process, without ``cudaError`` and
underscores, and their numbers, which the runtime and the driver share. Of most the CUDA Runtime
API says, under "Data types used by CUDA Runtime": "This leaves the process in an inconsistent state
and any further CUDA work will return the same error"; of an assertion and a destroyed context, that
the context can't be used any more. The others are the loss of the card, of its memory, of its link
or of the server that shares it."""

T = TypeVar("T")
_NAME = re.compile(r"\bcuda_?error_?(\w+)", re.IGNORECASE)
_NUMBER = re.compile(r"CUDA \w+ API error [^()]*\((\d+)\)")


class OutOfMemoryError(PipelineUnavailableError):
    """A graph can't be built, or not be used, for want of memory; a smaller one may do."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An error of a batch. Unlike the exception it refers to nothing, so that a graph can go."""

    text: str
    """In one line."""
    out_of_memory: bool
    lost: bool
    """Whether no other batch can be decoded in this process."""

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Read an exception."""
        return cls(last_line(error), is_out_of_memory(error), is_lost(error))


WONT_START = (Exception,)
"""What DALI and CuPy raise that won't start: what DALI's C++ errors become in Python, and whatever
packages give rise to that are missing or of another version."""


def unavailable(error: BaseException, software: str, device: Device) -> PipelineUnavailableError:
    """What to raise when one of `WONT_START` says that DALI or CuPy won't start on a device."""
    return PipelineUnavailableError(
        f"{software} won't start on the {device.upper()}: {last_line(error)}; "
        f"imagenet-subset selftest shows versions, {WORKS_WITHOUT[device]}"
    )


def out_of_memory(batches: str, words: str, device: Device) -> OutOfMemoryError:
    """What to raise when memory is short for such batches, whatever is tried."""
    free = {
        "cpu": "free memory, or take a smaller --batch_size",
        "gpu": "free memory on the GPU, or try --dali_processes 1 or a smaller --batch_size",
    }[device]
    return OutOfMemoryError(f"out of memory {batches} ({words}): {free}; {WORKS_WITHOUT[device]}")


def attempt(work: Callable[..., T], *arguments: object) -> T | Failure:
    """Call DALI; an error comes back as a value, and the exception is gone with what it held."""
    try:
        return work(*arguments)
    except (RuntimeError, MemoryError) as error:
        return Failure.of(error)


def last_line(error: BaseException) -> str:
    r"""The error in one line, without DALI's own traceback around it.

    Examples
    --------
    >>> last_line(RuntimeError("Error in operator:\n\nno luck\nPipeline object no longer valid"))
    'no luck'
    >>> last_line(RuntimeError("CUDA runtime API error cudaErrorX (9):\nunknown"))
    'CUDA runtime API error cudaErrorX (9): unknown'
    """
    lines = [line.strip(" :") for line in str(error).splitlines()]
    # CuPy rules off what it says of a failed import.
    lines = [line for line in lines if line.strip("=") and "no longer valid" not in line]
    if not lines:
        return type(error).__name__
    # CUDA's own words are in a line by themselves.
    named = len(lines) > 1 and _NUMBER.match(lines[-2])
    return one_line(RuntimeError(": ".join(lines[-2:] if named else lines[-1:])))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory was short, rather than an image bad.

    Examples
    --------
    >>> is_out_of_memory(RuntimeError("Can't allocate 8589934592 bytes on device 0."))
    True
    >>> is_out_of_memory(RuntimeError("nvImageCodec failure: '#3'"))
    False
    """
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in OUT_OF_MEMORY)


def is_lost(error: BaseException) -> bool:
    """Whether CUDA can't be used any more in this process.

    Examples
    --------
    >>> is_lost(RuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered"))
    True
    >>> is_lost(RuntimeError("cudaErrorMemoryAllocation: out of memory"))
    False
    """
    text = str(error)
    names = {name.replace("_", "").lower() for name in _NAME.findall(text)}
    numbers = {int(number) for number in _NUMBER.findall(text)}
    return not names.isdisjoint(LOST) or not numbers.isdisjoint(LOST.values())
