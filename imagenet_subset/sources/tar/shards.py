"""WebDataset's shards: tars of ``<key>.cls``, ``<key>.jpg`` and ``<key>.json``.

In timm's the key is the photo's name. In those of WebDataset's own example it is a number: its
place in torchvision's ``ImageFolder``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import ClassVar

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table, wnid_of_index, wnid_of_val
from imagenet_subset.records import Split
from imagenet_subset.sources.containers import read_exactly
from imagenet_subset.sources.looked import Found
from imagenet_subset.sources.names import PHOTO_SUFFIXES, Name, parse
from imagenet_subset.sources.tar.headers import Member, walk
from imagenet_subset.sources.tar.store import TarStore, opened, refuse_link, span_of
from imagenet_subset.system.text import printable

_PLACE = re.compile(r"[0-9]{5,9}")
_LONGEST_LABEL = 16
"""In bytes."""


@dataclass(frozen=True, slots=True)
class ShardStore(TarStore):
    """Photos in shards, under their names. What a label says has to agree with the name."""

    form: ClassVar[str] = "the shards"
    rehosted = True

    def look(self, wnids: Collection[str]) -> Iterator[Found]:
        """See `imagenet_subset.sources.containers.ContainerStore.look`."""
        wanted = frozenset(wnids)
        for number in range(len(self.files)):
            with opened(self.path(number)) as (fd, end):
                for sample in _samples(fd, end):
                    if name := self._name(number, sample, wanted):
                        span = span_of(number, fd, sample.photo)
                        yield Found(name.split, name.stem, name.wnid, span)

    def _name(self, number: int, sample: _Sample, wanted: Collection[str]) -> Name | None:
        """Name of a photo; None if it isn't looked for."""
        name = parse(sample.photo.name)
        if name is None:
            return None
        train = name.split == "train"
        wnid = (name.wnid or name.stem[:9]) if train else wnid_of_val(int(name.stem[-8:]))
        if sample.label is not None and wnid in class_table():
            said = wnid_of_label(sample.label)
            if said != wnid:
                raise SourceError(
                    f"{printable(self.path(number))}: the label of {printable(sample.photo.name)} "
                    f"is {printable(sample.label)}, which is {said or 'no class'}, but the photo "
                    f"is one of {wnid}; these shards are not of ILSVRC 2012, or are damaged"
                )
        return None if train and wnid not in wanted else name


@dataclass(frozen=True, slots=True)
class NumberedShardStore(TarStore):
    """Photos in shards, under their places in a sorted folder. All are listed, of any class."""

    form: ClassVar[str] = "the shards"
    rehosted = True
    by_place: ClassVar[bool] = True

    def look(self, wnids: Collection[str]) -> Iterator[Found]:
        """See `imagenet_subset.sources.containers.ContainerStore.look`."""
        for number, file in enumerate(self.files):
            split = split_of_shard(file or self.root)
            with opened(self.path(number)) as (fd, end):
                for sample in _samples(fd, end):
                    key = sample.photo.name.rpartition(".")[0]
                    of = wnid_of_label(sample.label) if sample.label is not None else None
                    if is_place(sample.photo.name) and split:
                        yield Found(split, key, of, span_of(number, fd, sample.photo))


@dataclass(slots=True)
class _Sample:
    """A photo and its label, as far as it has one."""

    photo: Member
    label: str | None = None


def _samples(fd: int, end: int) -> Iterator[_Sample]:
    """Photos of a shard; what belongs together stands together and has one key."""
    key, photo, label = "", None, None
    for member in walk(fd, 0, end):
        stem, _, suffix = member.name.rpartition(".")
        if stem != key:
            if photo:
                yield _Sample(photo, label)
            key, photo, label = stem, None, None
        if suffix == "cls" and member.nbytes <= _LONGEST_LABEL and not member.is_link:
            label = read_exactly(fd, member.nbytes, member.offset).decode("latin-1").strip()
        elif f".{suffix.lower()}" in PHOTO_SUFFIXES:
            refuse_link(member)
            photo = member
    if photo:
        yield _Sample(photo, label)


def split_of_shard(file: str) -> Split | None:
    """Split that a shard's name says it is of.

    Examples
    --------
    >>> split_of_shard("imagenet-train-000001.tar"), split_of_shard("val/0.tar")
    ('train', 'val')
    """
    name = file.lower()
    says: list[Split] = [split for split in ("train", "val") if split in name]
    return says[0] if len(says) == 1 else None


def is_place(name: str) -> bool:
    """Whether a photo's name is a number.

    Examples
    --------
    >>> is_place("0001281.jpg"), is_place("n01440764_10026.jpg")
    (True, False)
    """
    return _PLACE.fullmatch(name.rpartition("/")[2].rpartition(".")[0]) is not None


def wnid_of_label(label: str) -> str | None:
    """Class that the text of a label says, a number or a WNID; None for what isn't one.

    Examples
    --------
    >>> wnid_of_label("0"), wnid_of_label("n01440764"), wnid_of_label("tench")
    ('n01440764', 'n01440764', None)
    """
    if label in class_table():
        return label
    is_number = label.isascii() and label.isdecimal() and len(label) <= 3
    return wnid_of_index(int(label)) if is_number else None
