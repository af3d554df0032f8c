"""Files of tests."""

from __future__ import annotations

from pathlib import Path


def put(path: Path, data: bytes = b"x") -> Path:
    """Write a file, and the folders that it is in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
