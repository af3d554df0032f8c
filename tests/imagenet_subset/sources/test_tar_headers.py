"""The walk through the headers of a tar, against Python's own."""

from __future__ import annotations

import contextlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagenet_subset.sources.tar.headers import Member, TarError, is_header, walk

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789_"

part = st.text("ab_é.0\udcff", min_size=1, max_size=12).filter(lambda p: set(p) != {"."})
ascii_part = st.text(PLAIN, min_size=1, max_size=60)
names = st.one_of(
    st.lists(part, min_size=1, max_size=4).map("/".join),
    st.lists(ascii_part, min_size=1, max_size=8).map("/".join),
)
kinds = st.sampled_from(["file", "file", "file", "file", "dir", "symlink", "link", "fifo"])
entries = st.lists(st.tuples(names, kinds, st.integers(0, 1500)), max_size=12)


def packed(format_name: str, files: list[tuple[str, str, int]], mtime: float = 1.5) -> bytes:
    """A tar as Python's `tarfile` writes it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=FORMATS[format_name]) as tar:
        for name, kind, size in files:
            info = tarfile.TarInfo(name)
            info.mtime = mtime if format_name == "pax" else int(mtime)
            info.type = {
                "file": tarfile.REGTYPE,
                "dir": tarfile.DIRTYPE,
                "symlink": tarfile.SYMTYPE,
                "link": tarfile.LNKTYPE,
                "fifo": tarfile.FIFOTYPE,
            }[kind]
            if kind in ("symlink", "link"):
                info.linkname = name * 3
            info.size = size if kind == "file" else 0
            with contextlib.suppress(ValueError):  # ustar can't have every name
                tar.addfile(info, io.BytesIO(b"x" * size))
    return buffer.getvalue()


def by_tarfile(data: bytes, start: int) -> list[Member]:
    members = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        for info in tar:
            if info.isfile():
                members.append(Member(info.name, start + info.offset_data, info.size, False))
            elif info.issym() or info.islnk():
                members.append(Member(info.name, start + info.offset_data, 0, True))
    return members


@contextlib.contextmanager
def file_of(data: bytes) -> Iterator[int]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file.fileno()


def walked(data: bytes, start: int = 0, end: int | None = None) -> list[Member]:
    with file_of(data) as fd:
        return list(walk(fd, start, len(data) if end is None else end))


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(FORMATS)), entries, st.integers(0, 3))
def test_a_walk_finds_what_tarfile_finds(format_name: str, files, blocks: int) -> None:
    data = packed(format_name, files)
    before = os.urandom(512 * blocks)
    found = walked(before + data + b"more", len(before), len(before) + len(data))
    assert found == by_tarfile(data, len(before))


@pytest.mark.parametrize("format_name", FORMATS)
def test_long_names_are_whole(format_name: str) -> None:
    name = "/".join(["folder"] * 15 + ["n01440764_10026.JPEG"])
    longer = "/".join(["folder"] * 60 + ["n01440764_1.JPEG"])
    files = [(name, "file", 700), (longer, "file", 3), ("n01440764_2.JPEG", "file", 9)]
    data = packed(format_name, files)
    found = walked(data)
    assert [m.name for m in found] == [m.name for m in by_tarfile(data, 0)]
    assert found[0].name == name


def test_sizes_that_are_not_octal_and_sparse_files_are_left_to_tarfile() -> None:
    data = bytearray(packed("gnu", [("a", "file", 600), ("b", "file", 5)]))
    info = tarfile.TarInfo("big")
    info.size = 600
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (0x80).to_bytes(1, "big") + (600).to_bytes(11, "big")
    checksum = sum(header) - sum(header[148:156]) + 8 * 0x20
    header[148:156] = b"%06o\0 " % checksum
    whole = bytes(data[:1536]) + bytes(header) + b"y" * 600 + bytes(424) + bytes(data[1536:])
    assert [m.name for m in walked(whole)] == ["a", "big", "b"]
    assert walked(whole) == by_tarfile(whole, 0)


def test_an_old_tar_without_a_magic_is_read() -> None:
    info = tarfile.TarInfo("n01440764_1.JPEG")
    info.size = 3
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    header[257:] = bytes(255)
    header[156] = 0
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    data = bytes(header) + b"abc" + bytes(509 + 1024)
    assert walked(data) == [Member("n01440764_1.JPEG", 512, 3, False)]


# Damage, and harm


DATA = packed("gnu", [(f"n01440764_{k}.JPEG", "file", 700) for k in range(4)])


@pytest.mark.parametrize("nbytes", [*range(1, 6144, 100), 512, 1536, 4096])
def test_a_tar_that_is_cut_off_is_refused_or_has_fewer_members(nbytes: int) -> None:
    of_member = nbytes % 1536
    if nbytes > 1536 * 4 or of_member == 0 or of_member >= 512 + 700:
        # Between two members nothing shows it.
        assert walked(DATA[:nbytes]) == by_tarfile(DATA, 0)[: -(-nbytes // 1536)]
        return
    with pytest.raises(TarError, match=r"cut off|no header"):
        walked(DATA[:nbytes])


def changed(at: int, new: bytes, *, sound: bool = True) -> bytes:
    """The tar with other bytes in its second header, and maybe its checksum made right."""
    header = bytearray(DATA[1536:2048])
    header[at : at + len(new)] = new
    if sound:
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
    return DATA[:1536] + bytes(header) + DATA[2048:]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (changed(0, b"X", sound=False), "no header of a member"),
        (changed(124, b"77777777777\0"), "cut off or damaged: 'n01440764_1.JPEG' would end"),
        (changed(124, b"-0000000001\0"), "a size of -1 bytes"),
        (changed(0, b"/etc/passwd\0"), "leads out of its folder"),
        (changed(0, b"../n01440764_1.JPEG\0"), "leads out of its folder"),
        (changed(0, b"a/../../b\0"), "leads out of its folder"),
        (changed(148, b"zzzzzzzz", sound=False), "no header of a member"),
    ],
)
def test_a_header_that_lies_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(TarError) as error:
        walked(data)
    assert says in str(error.value)
    assert str(error.value).isprintable()


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(DATA) - 1), st.binary(min_size=1, max_size=12))
def test_whatever_is_damaged_ends_in_one_line(at: int, new: bytes) -> None:
    data = DATA[:at] + new + DATA[at + len(new) :]
    found, said = [], ""
    try:
        found = walked(data)
    except TarError as error:
        said = str(error)
    assert "\n" not in said
    assert all(m.offset >= 0 and m.offset + m.nbytes <= len(data) for m in found)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_whatever_a_pax_header_says_ends_in_one_line(record: bytes) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, len(record)
    header = info.tobuf(tarfile.USTAR_FORMAT)
    data = header + record.ljust(-(-len(record) // 512) * 512, b"\0") + DATA
    with contextlib.suppress(TarError):
        assert all(m.offset + m.nbytes <= len(data) for m in walked(data))


def test_what_is_no_tar_is_known_by_its_first_block() -> None:
    assert is_header(DATA[:512])
    for data in (b"", b"PK\3\4" + bytes(508), bytes(512), b"x" * 512, DATA[:511]):
        assert not is_header(data)


def test_a_tar_of_nothing_has_no_members(tmp_path: Path) -> None:
    assert walked(bytes(10240)) == []
    assert walked(b"") == []
