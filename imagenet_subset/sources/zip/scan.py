"""Which records of a zip's directory are photos of ILSVRC, and which of them aren't read.

A zip may be damaged, or made to do harm. What has to be asked for each of a million photos is asked
once for all that are alike: for all in a folder, and for all that are packed in the same way.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping

import numpy as np

from imagenet_subset.columns import Span
from imagenet_subset.records import Split
from imagenet_subset.sources import names
from imagenet_subset.sources.looked import Found
from imagenet_subset.sources.zip.directory import (
    AGAIN,
    JOIN,
    KEY_NBYTES,
    RECORD_NBYTES,
    Entry,
    Record,
    ZipFormatError,
    entry_at,
    place_at,
)
from imagenet_subset.sources.zip.member import DEFLATED, LOCAL_NBYTES, STORED
from imagenet_subset.system.checksum import crc32
from imagenet_subset.system.text import printable

VAL_KEY = b"ILSVRC2012_val_"[:KEY_NBYTES]
_NAME = re.compile(rb"(?:(n[0-9]{8}_[0-9]+)|(ILSVRC2012_val_[0-9]{8}))\.(?i:jpe?g)")
"""As nearly all names are; `names.parse` knows them all, and takes longer."""
_SUFFIXES = tuple(suffix.encode() for suffix in names.PHOTO_SUFFIXES)
_METHODS = {1: "shrinking", 6: "imploding", 9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd"}
_UNPACK = "unpack the zip, and give the folder"
_ANY_DISK = 0xFFFF
_FAR = (1 << 62) - 1


class ZipScan:
    """Takes records one by one.

    Parameters
    ----------
    labels
        Class of each val photo by its name without suffix, where the zip says it.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = labels
        self._wnids: dict[bytes, str | None] = {}
        self._sound_kinds: set[tuple[bytes, bytes]] = set()
        self._starts, self._packed = array("Q"), array("Q")

    def found(self, record: Record) -> Found | None:
        """Photo that a record is of, if it is one.

        Raises
        ------
        ZipFormatError
            It is a photo that isn't read.
        """
        place, piece, first, base, name_end, end = record
        if (name := self._named(piece, first + RECORD_NBYTES, base, name_end)) is None:
            return None
        split, stem, wnid = name
        kind = piece[first + 4 : first + 12], piece[first + 34 : first + 42]
        if kind not in self._sound_kinds:
            if _sound(piece, first, name_end).is_folder:
                return None
            self._sound_kinds.add(kind)
        where = place_at(piece, first, name_end)
        if where is None:
            raise _damaged(piece, first, name_end)
        self._packed.append(where[0])
        self._starts.append(where[2])
        span = Span(0, place + first, end - first, crc32(piece[first:end]))
        return Found(split, stem, wnid or self._labels.get(stem), span)

    def _named(
        self, piece: bytes, first: int, base: int, end: int
    ) -> tuple[Split, str, str | None] | None:
        """What a path says, as `names.parse` does."""
        match = _NAME.fullmatch(piece, base, end)
        if match is None and not piece[base:end].lower().endswith(_SUFFIXES):
            return None
        folder = piece[first:base]
        if folder not in self._wnids:
            self._wnids[folder] = _wnid_of(folder)
        if match is None:
            return names.parse(piece[first:end].decode("ascii", "surrogateescape"))
        train, val = match.groups()
        return "train" if train else "val", (train or val).decode(), self._wnids[folder]

    def check(self) -> None:
        """Refuse photos that share bytes.

        Raises
        ------
        ZipFormatError
            There are some.
        """
        if not self._starts:
            return
        starts, packed = (
            np.minimum(np.frombuffer(values, np.uint64), _FAR).astype(np.int64)
            for values in (self._starts, self._packed)
        )
        order = np.argsort(starts, kind="stable")
        starts, packed = starts[order], packed[order]
        shared = np.flatnonzero(starts[:-1] + packed[:-1] + LOCAL_NBYTES > starts[1:])
        if len(shared):
            raise ZipFormatError(
                f"has photos that share bytes, from byte {starts[shared[0] + 1]:,} on; it is "
                f"damaged, or made to do harm{AGAIN}"
            )


def _wnid_of(folder: bytes) -> str | None:
    """Class that a folder says; refuses one that isn't below the zip's root."""
    if folder.startswith((b"/", b"\\")) or b"\0" in folder or b".." in folder.split(b"/"):
        raise ZipFormatError(
            f"has photos in {_shown(folder)}, which is outside of the zip; it is "
            "damaged, or made to do harm: make it anew"
        )
    name = names.parse(f"{folder.decode('ascii', 'surrogateescape')}n00000000_0.JPEG")
    return name.wnid if name else None


def _sound(piece: bytes, first: int, name_end: int) -> Entry:
    """What a photo's record says; refuses one that can't be read."""
    entry = entry_at(piece, first, name_end)
    if entry is None:
        raise _damaged(piece, first, name_end)
    if not entry.is_folder and (why := why_refused(entry)):
        raise ZipFormatError(f"has {_shown(entry.name)}, which {why}")
    return entry


def _damaged(piece: bytes, first: int, name_end: int) -> ZipFormatError:
    path = _shown(piece[first + RECORD_NBYTES : name_end])
    return ZipFormatError(f"has {path}, whose record in its directory is damaged{AGAIN}")


def _shown(path: bytes) -> str:
    return printable(path.decode(errors="backslashreplace"))


def why_refused(entry: Entry) -> str:
    """Why a member can't be read, and what to do; empty if it can."""
    if entry.is_encrypted:
        return f"is encrypted; {_UNPACK}"
    if entry.method not in (STORED, DEFLATED):
        method = _METHODS.get(entry.method, f"method {entry.method}")
        return f"is compressed by {method}, which can't be read here; {_UNPACK}"
    if entry.is_link:
        return f"is a symbolic link; {_UNPACK}"
    if entry.disk not in (0, _ANY_DISK):
        return f"is in another part of a split zip; {JOIN}"
    return ""
