"""Tars: ILSVRC's two, one for each class, a whole tree in one, or WebDataset's shards.

A tar is walked from header to header; an inner one of a class that nobody wants is passed over.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import ClassVar

from imagenet_subset.columns import Span
from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.ilsvrc.train_list import TrainList
from imagenet_subset.sources.base import PhotoReader
from imagenet_subset.sources.containers import (
    ContainerStore,
    SpanReader,
    check_mark,
    read_exactly,
)
from imagenet_subset.sources.folder import FolderStore
from imagenet_subset.sources.looked import Found
from imagenet_subset.sources.names import is_tar_name, is_wnid, parse, without_tar
from imagenet_subset.sources.tar.headers import (
    BLOCK,
    Member,
    TarError,
    is_header,
    name_in,
    walk,
)
from imagenet_subset.system.checksum import crc32
from imagenet_subset.system.files import pread, regular
from imagenet_subset.system.text import printable

_TRAIN_LIST = "ImageSets/CLS-LOC/train_cls.txt"
_HEADERS = 4 * BLOCK
"""Bytes before a photo: its header and, in front of that, what has its long name."""
_SHORT = 100
"""Bytes of a name in a header; a longer one is in front of it."""
_LONG_PHOTO = re.compile(rb"(?:[0-9]+ path=)?([^\0\n]+\.(?i:jpe?g))[\0\n]")


@dataclass(frozen=True, slots=True)
class TarStore(ContainerStore):
    """Photos in tars. A span is the photo's place in the outer file."""

    form: ClassVar[str] = "the tars"

    def look(self, wnids: Collection[str]) -> Iterator[Found]:
        """See `imagenet_subset.sources.containers.ContainerStore.look`."""
        wanted = frozenset(wnids)
        for number in range(len(self.files)):
            of_class = _class_of(self.files[number] or self.root)
            if of_class is None or of_class in wanted:
                yield from self._in_file(number, of_class, wanted)

    def _in_file(
        self, number: int, of_class: str | None, wanted: Collection[str]
    ) -> Iterator[Found]:
        """Photos of one file."""
        with opened(self.path(number)) as (fd, end):
            yield from self._in_tar(number, fd, walk(fd, 0, end), of_class, wanted)

    def _in_tar(
        self,
        number: int,
        fd: int,
        members: Iterator[Member],
        of_class: str | None,
        wanted: Collection[str],
        *,
        inside: bool = False,
    ) -> Iterator[Found]:
        for member in members:
            if is_tar_name(member.name) and not inside:
                inner = _class_of(member.name)
                if inner in wanted or (inner is None and _may_be_tar(fd, member)):
                    yield from self._inside(number, fd, member, inner, wanted)
            elif name := parse(member.name):
                of = name.wnid or of_class
                if name.split == "val" or (of or name.stem[:9]) in wanted:
                    refuse_link(member)
                    yield Found(name.split, name.stem, of, span_of(number, fd, member))
            elif member.name.endswith(_TRAIN_LIST) and not member.is_link:
                self.looked.train_list = span_of(number, fd, member)

    def _inside(
        self, number: int, fd: int, outer: Member, of_class: str | None, wanted: Collection[str]
    ) -> Iterator[Found]:
        """Photos of a tar in a tar."""
        refuse_link(outer)
        end = outer.offset + outer.nbytes
        self.looked.inner.append((number, outer.offset, end, outer.name))
        members = walk(fd, outer.offset, end)
        try:
            yield from self._in_tar(number, fd, members, of_class, wanted, inside=True)
        except TarError as error:
            raise TarError(f"of {outer.name!r} in it, {error}", error.remedy) from error

    def open(self) -> PhotoReader:
        """See `imagenet_subset.sources.base.Store.open`."""
        return TarReader(self)

    def name(self, at: Span) -> str:
        """See `imagenet_subset.sources.containers.ContainerStore.name`."""
        fd = regular(self.path(at.file), os.O_RDONLY)
        try:
            headers = _headers(fd, at.offset)
        finally:
            os.close(fd)
        check_mark(headers, at)
        header = headers[-BLOCK:]
        name = name_in(header)
        if header[_SHORT - 1 : _SHORT] not in b"\0" and (
            long := _LONG_PHOTO.findall(headers[:-BLOCK])
        ):
            name = os.fsdecode(long[-1])
        parts = (part.removeprefix("./") for part in (self.looked.inner_of(at), name))
        return "/".join(part for part in parts if part)

    def train_list(self, wnids: Collection[str]) -> TrainList | None:
        """The list of a tree that was packed whole."""
        self.looked.have(wnids, self.look)
        if (at := self.looked.train_list) is None:
            return None
        with opened(self.path(at.file)) as (fd, _):
            lines = read_exactly(fd, at.nbytes, at.offset).splitlines(keepends=True)
        return TrainList(f"{self.path(at.file)}/train_cls.txt", lines, wnids)


class TarReader(SpanReader):
    """Reads photos of tars, and sees that each is still under its header."""

    def read_from(self, fd: int, span: Span) -> bytes:
        """See `SpanReader.read_from`."""
        check_mark(_headers(fd, span.offset), span)
        return super().read_from(fd, span)


def span_of(number: int, fd: int, member: Member) -> Span:
    """Where a member of a file is."""
    mark = crc32(_headers(fd, member.offset))
    return Span(number, member.offset, member.nbytes, mark)


def _may_be_tar(fd: int, member: Member) -> bool:
    """Whether a member of that name is a tar; what macOS adds to one has its name, and is none."""
    return member.is_link or is_header(pread(fd, min(BLOCK, member.nbytes), member.offset))


def _headers(fd: int, offset: int) -> bytes:
    """What is before a member: it has its name."""
    start = max(0, offset - _HEADERS)
    return pread(fd, offset - start, start)


@dataclass(frozen=True, slots=True)
class ClassTarStore(TarStore):
    """Tars of single classes, beside folders, which may be of the same ones: half unpacked."""

    form: ClassVar[str] = "the tars of classes"
    complements: ClassVar[bool] = True

    def look(self, wnids: Collection[str]) -> Iterator[Found]:
        """See `imagenet_subset.sources.containers.ContainerStore.look`; what folders lack."""
        folders = FolderStore(self.root)
        wanted = frozenset(wnids)
        for number, file in enumerate(self.files):
            wnid = _class_of(file)
            if wnid not in wanted:
                continue
            there = {photo.stem for photo in folders.in_class(wnid)}
            if len(there) < class_table()[wnid].num_train_images:
                photos = self._in_file(number, wnid, wanted)
                yield from (photo for photo in photos if photo.stem not in there)


def _class_of(tar: str) -> str | None:
    """WNID that a tar is named after."""
    stem = without_tar(os.path.basename(tar))
    return stem if is_wnid(stem) else None


def refuse_link(member: Member) -> None:
    """Refuse a photo, or a tar, that is a link.

    Raises
    ------
    TarError
        It is one.
    """
    if member.is_link:
        raise TarError(
            f"{member.name!r} in it is a link, not a file",
            "pack it by tar with -h and --hard-dereference",
        )


@contextlib.contextmanager
def opened(path: str) -> Iterator[tuple[int, int]]:
    """Descriptor and size of a tar; what goes wrong with it is a `SourceError` that names it."""
    try:
        with contextlib.ExitStack() as stack:
            fd = regular(path, os.O_RDONLY)
            stack.callback(os.close, fd)
            yield fd, os.fstat(fd).st_size
    except TarError as error:
        raise SourceError(
            f"can't read {printable(path)}: {printable(str(error))}; {error.remedy}"
        ) from error
    except OSError as error:
        why = error.strerror or error
        raise SourceError(f"can't read {printable(path)}: {why}; put that right") from error


def first_block(fd: int) -> bytes:
    """What a tar begins with, a header.

    Raises
    ------
    OSError
        It can't be read.
    """
    return pread(fd, BLOCK, 0)
