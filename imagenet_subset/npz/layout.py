r"""The NPZ as bytes: the format, its layout, and how a finished file is sealed.

The file is a standard NPZ: a ZIP archive of ``.npy`` files, stored and not compressed, that
`numpy.load`, `zipfile`, ``unzip`` and ``7z`` read. On top of that it promises:

- The members are, in this order, ``X_train.npy``, ``y_train.npy``, ``train_id.npy``,
  ``X_val.npy``, ``y_val.npy``, ``val_id.npy``. ``X_*`` is ``(N, 224, 224, 3) uint8``, 224
  unless the pixel rule crops otherwise, the others ``(N,) int32`` (little-endian); all in C
  order. ``N`` may be 0.
- The array data of each member starts at a multiple of 4096 bytes from the start of the file, so
  that it can be memory-mapped. The ``.npy`` header (version 1.0) is padded with spaces up to
  there, as its format allows, which leaves no gap between the ZIP's members.
- Each local header holds the true CRC-32 and sizes, the sizes in a ZIP64 extra field whatever
  they are; there are no data descriptors. The directory ends in a ZIP64 end-of-directory record
  and locator. Dates are 1980-01-01, the earliest that ZIP knows.
- The archive comment is the provenance: JSON, ASCII, no white space, keys sorted. Its field
  ``crc32`` is the CRC-32, as 8 hexadecimal digits, of the same JSON without that field.
- Rows ascend by id. An id is the ILSVRC number of the photo, which is 1 or more. Only if the
  provenance has the field ``"train_id":"names"``, each id of ``train_id`` is
  ``-(2_000_000 * k + n)``, made of the photo's name, ``n01440764_10026``: ``k`` is the place of the
  WNID among the 1,000 in ascending order, from 1, and ``n`` the number, which is below 2,000,000.
- The provenance's field ``reencoded`` is there only if some photos were no original files, and says
  how many.
- The provenance's field ``choice`` is there only if some of the classes' train photos were wanted
  and not all: `imagenet_subset.selection.choice` says how they are drawn. It is
  ``{"per_class":10,"seed":3}``; or ``{"fraction":0.01,"seed":0}``; or
  ``{"photo_list":{"name":"1percent.txt","photos":12811,"sha256":"..."}}``, of all train photos that
  the list names, whatever their class: how many, and the SHA-256 of their names without suffix,
  sorted, each ended by a newline. Where the photos that were chosen from weren't all that ILSVRC
  has of a class, it has a field more, ``"from":{"photos":260,"sha256":"..."}``: how many they were,
  of all classes of which photos may have been wanted, and their names' SHA-256 likewise.
- A label is the place of a class's WNID in the provenance's ``subset.wnids``, from 0. Only where
  classes share a label, of a superclass, the field ``subset.labels`` has the label of each WNID,
  ascending from 0 without a gap. The field ``subset.names`` is there only if the subset file names
  labels: of each label the name, or null.
- The pixel rule is a text. Where it isn't that of the default, the field ``rule`` has its
  ``resize``, ``crop`` and ``interpolation`` too.
- ``format_version`` of the provenance is 1, and 2 where a program that knows 1 only would misread
  the file: with ``train_id``, with ``subset.labels``, and with another crop than 224.

The size of everything but the CRCs follows from the number of rows and the provenance, so the
file is laid out (`Layout`) before the first row is known and rows are written in place, in any
order. `finish` then adds labels, ids, headers and directory. Equal rows and equal provenance
give equal bytes.

A member is in the file as::

    local file header   30 bytes + name (11 or so) + ZIP64 extra field (20 bytes)
    .npy header         \x93NUMPY 1 0, length, {'descr': ..., }, spaces, \n
    array data          at a multiple of 4096
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from imagenet_subset.npz.crc import combine, combine_rows, crc32
from imagenet_subset.npz.rows import Rows
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.system.files import pwrite_all

ALIGNMENT = 4096
KEYS = ("X_train", "y_train", "train_id", "X_val", "y_val", "val_id")

_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR = struct.Struct("<4sIQI")
_END = struct.Struct("<4s4H2IH")
_ZIP64 = 45  # "version needed to extract" for ZIP64 (APPNOTE 4.4.3.2)
_UNIX = 3 << 8
_DATE = 0x21  # 1980-01-01
_IN_EXTRA = 0xFFFFFFFF  # the value is in the ZIP64 extra field
_MAX_COMMENT = 0xFFFF


@dataclass(frozen=True, slots=True)
class Member:
    """One array's place in the file. All offsets and sizes are in bytes."""

    key: str
    dtype: str
    """``|u1`` or ``<i4``, as in the ``.npy`` header."""
    shape: tuple[int, ...]
    offset: int
    """Of the local file header."""

    @property
    def name(self) -> str:
        """Name in the archive."""
        return f"{self.key}.npy"

    @property
    def nbytes(self) -> int:
        """Size of the array data."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def data_offset(self) -> int:
        """Start of the array data, a multiple of `ALIGNMENT`."""
        shortest = self.offset + _LOCAL.size + len(self.name) + 20 + len(self._npy_header(0))
        return -(-shortest // ALIGNMENT) * ALIGNMENT

    @property
    def npy_header(self) -> bytes:
        """The ``.npy`` header, padded to end where the data starts."""
        start = self.offset + _LOCAL.size + len(self.name) + 20
        return self._npy_header(self.data_offset - start - len(self._npy_header(0)))

    def _npy_header(self, padding: int) -> bytes:
        text = f"{{'descr': '{self.dtype}', 'fortran_order': False, 'shape': {self.shape}, }}"
        body = text.encode() + b" " * padding + b"\n"
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body

    @property
    def end(self) -> int:
        """One past the last byte."""
        return self.data_offset + self.nbytes

    @property
    def _size_in_zip(self) -> int:
        return len(self.npy_header) + self.nbytes

    def local_header(self, crc: int) -> bytes:
        """ZIP local file header for the member's CRC-32."""
        name = self.name.encode()
        extra = struct.pack("<2H2Q", 1, 16, self._size_in_zip, self._size_in_zip)
        fixed = _LOCAL.pack(
            b"PK\3\4", _ZIP64, 0, 0, 0, _DATE, crc, _IN_EXTRA, _IN_EXTRA, len(name), len(extra)
        )
        return fixed + name + extra

    def directory_entry(self, crc: int) -> bytes:
        """ZIP central directory entry for the member's CRC-32."""
        name = self.name.encode()
        extra = struct.pack("<2H3Q", 1, 24, self._size_in_zip, self._size_in_zip, self.offset)
        fixed = _CENTRAL.pack(
            *(b"PK\1\2", _UNIX | _ZIP64, _ZIP64, 0, 0, 0, _DATE),
            *(crc, _IN_EXTRA, _IN_EXTRA),
            *(len(name), len(extra), 0, 0, 0, 0o644 << 16, _IN_EXTRA),
        )
        return fixed + name + extra


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is in a file with so many rows and this comment."""

    members: tuple[Member, ...]
    comment: bytes
    rows: Rows
    """The rows of images: ``X_train``, then ``X_val``."""

    @classmethod
    def of(
        cls, counts: Mapping[Split, int], shape: tuple[int, ...], comment: bytes = b""
    ) -> Layout:
        """Lay out a file.

        Parameters
        ----------
        counts
            Number of images of each split; a split that isn't named has none.
        shape
            Of an image: height, width, channels.
        comment
            Archive comment: the provenance.

        Raises
        ------
        ValueError
            The comment is longer than a ZIP's may be (65,535 bytes).
        """
        if len(comment) > _MAX_COMMENT:
            raise ValueError(f"provenance of {len(comment)} bytes; a ZIP comment holds 65535")
        members: list[Member] = []
        for split in SPLITS:
            n = counts.get(split, 0)
            for key, dtype, whole in (
                (f"X_{split}", "|u1", (n, *shape)),
                (f"y_{split}", "<i4", (n,)),
                (f"{split}_id", "<i4", (n,)),
            ):
                members.append(Member(key, dtype, whole, members[-1].end if members else 0))
        images = [members[KEYS.index(f"X_{split}")] for split in SPLITS]
        rows = Rows(
            tuple(member.shape[0] for member in images),
            tuple(member.data_offset for member in images),
            prod(shape),
        )
        return cls(tuple(members), comment, rows)

    @property
    def size(self) -> int:
        """Size of the whole file."""
        return self.members[-1].end + len(self.directory(dict.fromkeys(KEYS, 0)))

    def directory(self, crcs: Mapping[str, int]) -> bytes:
        """Everything after the last member: directory, its end records, the comment."""
        start = self.members[-1].end
        entries = b"".join(member.directory_entry(crcs[member.key]) for member in self.members)
        n = len(self.members)
        size = len(entries)
        end64 = _END64.pack(b"PK\6\6", _END64.size - 12, _ZIP64, _ZIP64, 0, 0, n, n, size, start)
        locator = _LOCATOR.pack(b"PK\6\7", 0, start + size, 1)
        end = _END.pack(b"PK\5\6", 0, 0, n, n, _IN_EXTRA, _IN_EXTRA, len(self.comment))
        return entries + end64 + locator + end + self.comment


def headers(layout: Layout, crcs: Mapping[str, int]) -> Iterator[tuple[str, int, bytes]]:
    """Everything but the arrays' data, for CRC-32s by key: name, offset and bytes of each piece."""
    for m in layout.members:
        yield f"header of {m.key}", m.offset, m.local_header(crcs[m.key]) + m.npy_header
    yield "directory", layout.members[-1].end, layout.directory(crcs)


def pieces(
    layout: Layout,
    row_crcs: Mapping[Split, NDArray[np.uint32]],
    columns: Mapping[str, NDArray[np.int32]],
) -> Iterator[tuple[str, int, bytes]]:
    """Everything but the images: name, offset and bytes of each piece.

    Parameters
    ----------
    row_crcs
        For each split ``(N,) uint32``, the CRC-32 of each image row.
    columns
        ``y_train, train_id, y_val, val_id``, each ``(N,) int32``.
    """
    crcs: dict[str, int] = {}
    for member in layout.members:
        header = crc32(member.npy_header)
        if member.key in columns:
            data = columns[member.key].astype(member.dtype).tobytes()
            crcs[member.key] = crc32(data, header)
            yield member.key, member.data_offset, data
        else:
            of_rows = row_crcs["train" if member.key == "X_train" else "val"]
            rows = combine_rows(of_rows, layout.rows.nbytes)
            crcs[member.key] = combine(header, rows, member.nbytes)
    yield from headers(layout, crcs)


def finish(
    fd: int,
    layout: Layout,
    row_crcs: Mapping[Split, NDArray[np.uint32]],
    columns: Mapping[str, NDArray[np.int32]],
) -> None:
    """Complete a file whose image rows are all written: labels, ids, headers, directory.

    Parameters
    ----------
    fd
        Open for writing, `Layout.size` bytes long.
    row_crcs, columns
        See `pieces`.
    """
    for _, offset, data in pieces(layout, row_crcs, columns):
        pwrite_all(fd, data, offset)
