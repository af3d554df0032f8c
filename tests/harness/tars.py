"""Tars made in memory, of given files."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping


def tar_of(files: Mapping[str, bytes], layout: int = tarfile.GNU_FORMAT) -> bytes:
    """Tar of files, in this order."""
    return tar_of_members([(tarfile.TarInfo(name), data) for name, data in files.items()], layout)


def tar_of_members(
    members: Iterable[tuple[tarfile.TarInfo, bytes]], layout: int = tarfile.GNU_FORMAT
) -> bytes:
    """Tar of members; the size of each is that of its data."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=layout) as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def link_of(name: str, to: str = "elsewhere", kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """A link, symbolic or hard."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info
