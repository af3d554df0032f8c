"""The unfinished file as a worker opens it: for its machine alone, or together with other machines.

On a shared disk a row is noted in the journal only when it is on the disk or the server, where all
machines see it. And nobody may write back more than it wrote:
`imagenet_subset.system.mounts` says where that takes care.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imagenet_subset.building.proof import worker_name
from imagenet_subset.building.tasks import Job
from imagenet_subset.errors import OutputError, UnfitWorkerError
from imagenet_subset.execution.context import current
from imagenet_subset.system.files import (
    open_for_update,
    pread_into,
    pwrite_each,
    regular,
    sync_data,
    writing,
)
from imagenet_subset.system.mounts import refusal, sync_flag
from imagenet_subset.system.space import start_writeback
from imagenet_subset.system.text import printable

_LOOK_AGAIN_SECONDS = 0.25
_unseen: set[bytes] = set()
"""Tokens that this process has looked for in vain, for as long as it should."""


@dataclass(frozen=True, slots=True)
class RowFile:
    """The unfinished file, open for the rows of a shard."""

    reads: int
    """File descriptor to read by."""
    writes: int
    """File descriptor to write by: the same one where nobody else writes to the file."""
    to_sync: bool
    """Whether writes leave it to `sync` that they reach the disk or the server."""

    @classmethod
    def alone(cls, path: str) -> RowFile:
        """Open a file that this machine alone writes to.

        Raises
        ------
        OSError
            It can't be opened.
        """
        fd = open_for_update(path)
        return cls(fd, fd, to_sync=False)

    @classmethod
    def shared(cls, path: str) -> RowFile:
        """Open a file that other machines write to as well.

        A file that is open for reading too has NFS's client write whole pages, hence two
        descriptors.

        Raises
        ------
        OSError
            It can't be opened.
        """
        flag = sync_flag(path)
        reads = regular(path, os.O_RDONLY)
        try:
            writes = regular(path, os.O_WRONLY | flag)
        except BaseException:
            os.close(reads)
            raise
        return cls(reads, writes, to_sync=not flag)

    def read(self, buffer: memoryview, offset: int) -> int:
        """Fill ``buffer`` from ``offset`` (bytes); the number of bytes read."""
        return pread_into(self.reads, buffer, offset)

    def write(self, rows: Sequence[memoryview], offset: int) -> None:
        """Write neighbouring rows from ``offset`` (bytes) on, in one call where that is possible.

        On NFS each call is a journey to the server. On other disks they begin to be written while
        the next ones are decoded, so that `sync` has little to wait for.
        """
        pwrite_each(self.writes, rows, offset)
        if self.to_sync:
            start_writeback(self.writes, offset, sum(map(len, rows)))

    def sync(self) -> None:
        """Have all rows on the disk or the server, where this file is shared."""
        if self.to_sync:
            sync_data(self.writes)

    def has(self, token: bytes) -> bool:
        """Whether the file begins with a token, and both descriptors are of this file."""
        found = bytearray(len(token))
        self.read(memoryview(found), 0)
        same = os.path.samestat(os.fstat(self.reads), os.fstat(self.writes))
        return found == token and same

    def close(self) -> None:
        """Close it."""
        try:
            if self.reads != self.writes:
                os.close(self.reads)
        finally:
            os.close(self.writes)


@contextlib.contextmanager
def open_same_file(job: Job) -> Iterator[RowFile]:
    """Open the unfinished file for the rows of a shard, and only if it is this run's.

    Yields
    ------
    RowFile
        It is synced, if it is shared, and closed at the end of the context.

    Raises
    ------
    UnfitWorkerError
        There is another file, or none, or one that several machines can't write to.
    OutputError
        It can't be opened, or what was written can't be stored.
    """
    path, proof = job.partial, job.proof
    if job.shared and (why := refusal(path)):
        raise UnfitWorkerError(f"worker {worker_name()} has {printable(path)} on {why}")
    file = _open_with_token(job)
    end = time.monotonic() + (0 if proof.token in _unseen else proof.patience)
    while file is None:
        if time.monotonic() >= end or current().should_stop():
            _unseen.add(proof.token)
            raise UnfitWorkerError(
                f"worker {worker_name()} sees another {printable(path)} than the build, or none; "
                "--out_dir must be the same folder for all workers"
            )
        time.sleep(_LOOK_AGAIN_SECONDS)
        file = _open_with_token(job)
    try:
        yield file
        with writing(path, kept=True):
            file.sync()
    except BaseException:
        file.close()
        raise
    with writing(path, kept=True):
        file.close()


def _open_with_token(job: Job) -> RowFile | None:
    open_file = RowFile.shared if job.shared else RowFile.alone
    try:
        with writing(job.partial, kept=True), contextlib.ExitStack() as opened:
            try:
                file = opened.enter_context(contextlib.closing(open_file(job.partial)))
            except FileNotFoundError:
                return None
            if not file.has(job.proof.token):
                return None
            opened.pop_all()
            return file
    except OutputError as error:
        if job.shared:  # on another machine it may be that machine's fault
            raise UnfitWorkerError(f"worker {worker_name()}: {error}") from error
        raise
