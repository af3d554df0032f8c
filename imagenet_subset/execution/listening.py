"""What worker processes print to standard error, and what is reported there of their end."""

from __future__ import annotations

import collections
import contextlib
import re
import subprocess
import threading
from typing import IO

from imagenet_subset.execution.nursery import END_SECONDS, REPORT
from imagenet_subset.system.text import printable

_LIBJPEG = re.compile(
    "Corrupt JPEG data: |Premature end of (JPEG|input) file|Inconsistent progression sequence|"
    "Unknown Adobe color transform code|Warning: unknown JFIF revision|Bogus |Not a JPEG file|"
    "Invalid (SOS parameters|component ID|progressive parameters|JPEG file structure)|"
    "(Quantization|Huffman|Arithmetic) table 0x[0-9a-f]+ was not defined|Empty JPEG image|"
    "Unsupported (JPEG process|marker type|color conversion)|Sampling factors too large|"
    "Component index [0-9]+|Maximum supported image dimension|Too many color components"
)
"""What libjpeg prints (its ``jerror.h``) when DALI decodes with it, without the file's name. A file
that it refuses goes to Pillow and is named with the reason; about the rest the other
pipelines are silent."""
_LINES = 50
REPORT_SECONDS = 1.0
"""How long to wait for the report of a worker's end after its channel has ended."""


def pipe_of(stream: IO[bytes] | None) -> IO[bytes]:
    """Give a pipe of a process that was started with it."""
    if stream is None:
        raise ValueError("the process was started without this pipe")
    return stream


class Listener:
    """Keeps what child processes print to standard error, and what a nursery reports there."""

    def __init__(self) -> None:
        self.last = ""
        """Last line of all."""
        self.new: collections.deque[str] = collections.deque(maxlen=_LINES)
        """Lines that haven't been looked at yet, without libjpeg's."""
        self._threads: list[threading.Thread] = []
        self._statuses: dict[int, int] = {}
        self._reported = threading.Condition()

    def listen(self, process: subprocess.Popen[bytes]) -> threading.Thread:
        """Read a process's standard error to its end, in a thread, which is returned."""
        stream, process.stderr = pipe_of(process.stderr), None  # closed here and nowhere else
        thread = threading.Thread(target=self._read, args=[stream], daemon=True)
        try:
            thread.start()
        except RuntimeError:
            stream.close()
            raise
        self._threads.append(thread)
        return thread

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for raw in stream:
                text, report, numbers = raw.partition(REPORT)
                line = printable(text.decode(errors="replace").strip())
                self.last = line or self.last
                if line and not _LIBJPEG.match(line):
                    self.new.append(line)
                if report:
                    with self._reported, contextlib.suppress(ValueError):
                        slot, status = map(int, numbers.split())
                        self._statuses[slot] = status
                        self._reported.notify_all()

    def exit_status(self, slot: int) -> int | None:
        """Exit status of a worker that has ended, as its nursery reports it; None without a report.

        Whatever the worker printed has been read by then.
        """
        with self._reported:
            self._reported.wait_for(lambda: slot in self._statuses, REPORT_SECONDS)
            return self._statuses.get(slot)

    def join(self) -> None:
        """Wait a moment until all output of processes that have ended is read."""
        for thread in self._threads:
            thread.join(END_SECONDS)
