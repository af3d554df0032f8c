"""Which file system a path is on, and how several machines may write one file there.

Of network file systems only NFS was tried, and local ones. Its Linux client keeps whole pages: it
may write back a page of which it wrote a part, with what it remembers of the rest, and so undo what
another machine wrote there; never with ``O_DSYNC``. That Lustre, GPFS (Spectrum Scale), CephFS,
GFS2 and OCFS2 keep their machines' caches coherent is what their documentation says. BeeGFS's
doesn't say it, so it is among the unknown.
"""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_TABLE = "/proc/self/mountinfo"
_ESCAPE = re.compile(rb"\\([0-7]{3})")


class Way(enum.Enum):
    """How machines may write parts of one file that no two of them share."""

    SYNC_EACH = "sync each write"
    """Each write reaches the disk or the server before it returns: for NFS and all that is unknown.
    """
    SYNC_AFTER = "sync after writing"
    """As on a disk of one's own: caches are coherent, or there is one machine only."""
    NOT = "not at all"
    """Neither parts of a file nor order are promised."""


_LOCAL = {
    *("bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfsplus", "jfs", "msdos"),
    *("nilfs2", "ntfs3", "overlay", "ramfs", "reiserfs", "tmpfs", "udf", "vfat", "xfs", "zfs"),
}
_COHERENT = {"ceph", "gfs2", "gpfs", "lustre", "ocfs2"}
_SMB = {"cifs", "smb3", "smbfs", "fuse.smbnetfs"}
_OBJECT_STORES = {
    *("fuse.blobfuse", "fuse.blobfuse2", "fuse.cosfs", "fuse.gcsfuse", "fuse.geesefs"),
    *("fuse.goofys", "fuse.mountpoint-s3", "fuse.obsfs", "fuse.ossfs", "fuse.ossfs2"),
    *("fuse.rclone", "fuse.s3fs", "fuse.tigrisfs"),
}


def way_to_write(file_system: str) -> Way:
    """How several machines may write one file on a file system of this type.

    Examples
    --------
    >>> [way_to_write(name).name for name in ("nfs4", "xfs", "cifs", "fuse.sshfs", "")]
    ['SYNC_EACH', 'SYNC_AFTER', 'NOT', 'SYNC_EACH', 'SYNC_EACH']
    """
    if file_system in _SMB | _OBJECT_STORES:
        return Way.NOT
    return Way.SYNC_AFTER if file_system in _LOCAL | _COHERENT else Way.SYNC_EACH


def refusal(path: str | os.PathLike[str]) -> str:
    """Why several machines can't write one file at a path, and what to do; empty if they can.

    It continues "PATH is on".
    """
    file_system = file_system_of(path)
    if way_to_write(file_system) is not Way.NOT:
        return ""
    people_say = "SMB" if file_system in _SMB else "an object store"
    return (
        f"{people_say} ({file_system}), where several machines can't write one file safely; build "
        "into a local folder and copy the file there"
    )


def sync_flag(path: str | os.PathLike[str]) -> int:
    """Flag to open a shared file with, which has each write synced where that is needed; else 0.

    Systems that lack it have nothing else for the purpose than to sync after writing.
    """
    each = way_to_write(file_system_of(path)) is not Way.SYNC_AFTER
    return getattr(os, "O_DSYNC", 0) if each else 0


def file_system_of(path: str | os.PathLike[str]) -> str:
    """Type of the file system that a path is on, or would be; empty if that can't be known.

    That of FUSE is ``fuse.NAME``, where it tells its name.
    """
    try:
        table = Path(_TABLE).read_bytes()
    except OSError:  # no Linux, or none that says it
        return ""
    mount = mount_at(os.path.realpath(path), parsed(table))
    return mount.file_system if mount else ""


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of ``/proc/self/mountinfo``, see proc_pid_mountinfo(5)."""

    number: int
    parent: int
    """Number of the mount that this one is on."""
    point: str
    type: str
    """``ext4``; of FUSE ``fuse``, or ``fuse.`` and a name."""
    source: str
    """A device, a server's folder, or whatever the file system gave."""

    @property
    def file_system(self) -> str:
        """The type; where FUSE gives its name as the source only, as Mountpoint for S3, with it."""
        named = f"fuse.{self.source}"
        return named if self.type == "fuse" and named in _OBJECT_STORES | _SMB else self.type


def parsed(table: bytes) -> Iterator[Mount]:
    r"""Read ``/proc/self/mountinfo``.

    Examples
    --------
    >>> line = rb"36 35 0:9 /a /my\040disk rw,noatime master:1 - nfs4 nas:/a rw,vers=4.2"
    >>> next(parsed(line))
    Mount(number=36, parent=35, point='/my disk', type='nfs4', source='nas:/a')
    """
    for line in table.splitlines():
        # A field may be empty, and none has a space in it. How many there are in between varies.
        mounted, separator, what = line.partition(b" - ")
        before, after = mounted.split(b" "), what.split(b" ")
        if separator and len(before) > 4 and len(after) > 1:
            point, file_system, source = map(_unescaped, (before[4], after[0], after[1]))
            yield Mount(int(before[0]), int(before[1]), point, file_system, source)


def _unescaped(field: bytes) -> str:
    return os.fsdecode(_ESCAPE.sub(lambda found: bytes([int(found[1], 8)]), field))


def mount_at(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """The mount that an absolute path without links is on; None if none is known.

    It is the last that one comes to on the way down from the root. So a mount that is under a later
    one, on the same folder or on one above, is hidden.
    """
    known = {mount.number: mount for mount in mounts}
    on: dict[tuple[int, str], Mount] = {}
    first: dict[str, Mount] = {}
    for mount in known.values():
        # What the root is on can't be seen; a process with a root of its own may not see the root.
        if mount.parent == mount.number or mount.parent not in known:
            first[mount.point] = mount
        else:
            on[mount.parent, mount.point] = mount
    found = None
    for folder in [*reversed(Path(path).parents), Path(path)]:
        point = os.fspath(folder)
        while below := on.get((found.number, point)) if found else first.get(point):
            found = below
    return found
