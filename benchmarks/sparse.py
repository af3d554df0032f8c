"""The official tars and Kaggle's zip in their full size, as names and places alone.

What would be photos are holes, so that 150 GB take the room of their headers. A reader that lists
them meets as many entries, at as large places, as in the real ones.
"""

from __future__ import annotations

import os
import random
import struct
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from whole_plan import stems, write_list

from imagenet_subset.ilsvrc.numbering import val_name

KAGGLE = "ILSVRC/Data/CLS-LOC"
TRAIN_LIST = "ILSVRC/ImageSets/CLS-LOC/train_cls.txt"
VAL = range(50_000, 0, -1)
"""Numbers of the val photos, in an order that isn't that of their names."""
SMALLEST, LARGEST = 60_000, 169_000
"""Bytes of a photo; with the real number of photos the train tar has its real 148 GB."""
_BLOCK, _RECORD = 512, 10_240
_NO_LIMIT = 0xFFFFFFFF
"""In a zip's 32-bit field: see the ZIP64 extra."""


def write_official_tars(folder: Path, wnids: Sequence[str]) -> None:
    """Write a tar of tars of these classes' train photos, and a tar of all val photos."""
    chance = random.Random(0)
    with open(folder / "ILSVRC2012_img_train.tar", "wb") as file:
        for wnid in wnids:
            start = file.tell()
            file.seek(start + _BLOCK)
            _write_tar(file, (f"{stem}.JPEG" for stem in stems(wnid)), chance)
            size = file.tell() - start - _BLOCK
            file.seek(start)
            file.write(_tar_header(f"{wnid}.tar", size))
            file.seek(size, os.SEEK_CUR)
        _end_tar(file, 0)
    with open(folder / "ILSVRC2012_img_val.tar", "wb") as file:
        _write_tar(file, (f"{val_name(number)}.JPEG" for number in VAL), chance)
        file.truncate()


def _write_tar(file: BinaryIO, names: Iterator[str], chance: random.Random) -> None:
    start = file.tell()
    for name in names:
        size = chance.randrange(SMALLEST, LARGEST)
        file.write(_tar_header(name, size))
        file.seek(-(-size // _BLOCK) * _BLOCK, os.SEEK_CUR)
    _end_tar(file, start)


def _tar_header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mtime = size, 1_340_000_000
    return info.tobuf(tarfile.GNU_FORMAT)


def _end_tar(file: BinaryIO, start: int) -> None:
    """Leave a tar's end: two blocks of zeros, up to a whole record."""
    size = file.tell() - start + 2 * _BLOCK
    file.seek(start + -(-size // _RECORD) * _RECORD)
    file.truncate()


def write_kaggle_zip(path: Path, wnids: Sequence[str]) -> None:
    """Write a zip of stored entries with the train list and a directory of all photos.

    Only the list has its local header: a plan reads no photo's.
    """
    train_list = path.with_name("train_cls.txt")
    write_list(train_list)
    text = train_list.read_bytes()
    train_list.unlink()
    chance = random.Random(0)
    with open(path, "wb") as file:
        name = TRAIN_LIST.encode()
        crc = zlib.crc32(text)
        local = (20, 0, 0, 0, 0, crc, len(text), len(text), len(name), 0)
        file.write(struct.pack("<4s5H3I2H", b"PK\3\4", *local) + name + text)
        directory = [_zip_entry(name, len(text), 0, crc)]
        offset = file.tell()
        for photo in _kaggle_names(wnids):
            size = chance.randrange(SMALLEST, LARGEST)
            directory.append(_zip_entry(photo, size, offset))
            offset += 30 + len(photo) + size
        file.seek(offset)
        file.writelines(directory)
        _end_zip(file, len(directory), offset)


def _kaggle_names(wnids: Sequence[str]) -> Iterator[bytes]:
    for wnid in wnids:
        for stem in stems(wnid):
            yield f"{KAGGLE}/train/{wnid}/{stem}.JPEG".encode()
    for number in VAL:
        yield f"{KAGGLE}/val/{val_name(number)}.JPEG".encode()


def _zip_entry(name: bytes, size: int, offset: int, crc: int = 0) -> bytes:
    """Entry of the directory, with a ZIP64 extra where the place needs one."""
    extra = struct.pack("<2HQ", 1, 8, offset) if offset >= _NO_LIMIT else b""
    sizes = (crc, size, size, len(name), len(extra), 0, 0, 0, 0, min(offset, _NO_LIMIT))
    return struct.pack("<4s6H3I5H2I", b"PK\1\2", 45, 45, 0, 0, 0, 0, *sizes) + name + extra


def _end_zip(file: BinaryIO, entries: int, start: int) -> None:
    """Write the ends of a ZIP64: its record, where that is, and the old record."""
    end = file.tell()
    file.write(
        struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, entries, entries, end - start, start)
    )
    file.write(struct.pack("<4sIQI", b"PK\6\7", 0, end, 1))
    old = (0, 0, 0xFFFF, 0xFFFF, _NO_LIMIT, _NO_LIMIT, 0)
    file.write(struct.pack("<4s4H2IH", b"PK\5\6", *old))
