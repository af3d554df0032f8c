"""Rows of one file, written by two hosts in turn: how many are damaged on the server's disk.

Each host writes every second shard, by one call of ``pwrite``. No two writes are ever under way at
once, so that the outcome doesn't depend on the machine's speed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SERVER = "10.0.0.1"
DISK, MOUNT = "/run/disk", "/run/out"
"""The folder as the server has it, and as hosts have it."""

ROW = 224 * 224 * 3  # 36.75 pages of 4,096 bytes
ROWS = 96
SHARDS = (1, 2, 3, 4, 8, 64)
WAYS = {
    "buffered": (os.O_RDWR, False),
    "buffered, write only": (os.O_WRONLY, False),
    "buffered, write only, after reading": (os.O_WRONLY, True),
    "O_DSYNC": (os.O_RDWR | os.O_DSYNC, False),
    "O_DSYNC, after reading": (os.O_RDWR | os.O_DSYNC, True),
}
"""How the file is opened, and whether the host has read it before, as a resumed build does."""


def content(row: int) -> bytes:
    """Bytes of a row, none of them zero, which is what the file has at first."""
    return bytes([row + 1]) * ROW


def write(way: str, path: str) -> None:
    """Be a host: write the shards whose first and last rows come in, and answer when it is done."""
    flags, reads = WAYS[way]
    fd = os.open(path, flags)
    with open(path, "rb", buffering=0) as before:
        if reads:
            before.readall()
        print("ready", flush=True)
        for line in sys.stdin:
            first, last = map(int, line.split())
            os.pwrite(fd, b"".join(map(content, range(first, last))), first * ROW)
            print("written", flush=True)
    os.close(fd)


def damaged(hosts: list[Any], way: str, shard: int) -> int:
    """Rows that aren't right on the server's disk after both hosts closed the file."""
    file = Path(DISK, "rows")
    file.unlink(missing_ok=True)
    with file.open("wb") as new:
        new.truncate(ROWS * ROW)
    words = [sys.executable, __file__, way, f"{MOUNT}/rows"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*host.start, *words], **pipes) for host in hosts[:2]]
    for writer in writers:
        writer.stdout.readline()
    for turn, first in enumerate(range(0, ROWS, shard)):
        writer = writers[turn % 2]
        print(first, min(first + shard, ROWS), file=writer.stdin, flush=True)
        writer.stdout.readline()
    for writer in writers:
        writer.communicate()
        if writer.returncode:
            raise OSError(f"a writer ended with {writer.returncode}")
    data = file.read_bytes()
    return sum(data[row * ROW : (row + 1) * ROW] != content(row) for row in range(ROWS))


def main(hosts: list[Any], folder: Path) -> None:
    """Print a table of the damaged rows, by rows in a shard and by the way of writing."""
    print("|", " | ".join(["rows in a shard", *WAYS]), "|\n" + "|---" * (1 + len(WAYS)) + "|")
    for shard in SHARDS:
        counts = [damaged(hosts, way, shard) for way in WAYS]
        print("|", " | ".join(map(str, [shard, *counts])), "|", flush=True)


if __name__ == "__main__":
    write(*sys.argv[1:])
