"""Headers of tars: read as Python's tarfile reads them, from sound, odd and hostile tars."""

from __future__ import annotations

import contextlib
import io
import os
import random
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagenet_subset.errors import SourceError
from imagenet_subset.sources import open_source
from imagenet_subset.sources.tar import headers
from imagenet_subset.sources.tar.headers import Member, TarError, walk
from tests.conftest import Cli
from tests.contracts.store import ACORN, SUBSET
from tests.harness.tars import link_of, tar_of, tar_of_members

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
BLOCK = 512
ONE = f"{ACORN}_21.JPEG"


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        yield fd
    finally:
        os.close(fd)


def walked(path: Path, data: bytes, before: bytes = b"", behind: bytes = b"") -> list[Member]:
    """What a walk through a tar, maybe in the middle of a file, finds; offsets are the tar's."""
    path.write_bytes(before + data + behind)
    with opened(path) as fd:
        found = list(walk(fd, len(before), len(before) + len(data)))
    return [member._replace(offset=member.offset - len(before)) for member in found]


def by_tarfile(data: bytes) -> list[Member]:
    """What Python's tarfile finds."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return [
            Member(info.name, info.offset_data, 0 if info.issym() or info.islnk() else info.size,
                   info.issym() or info.islnk())
            for info in tar
            if info.isfile() or info.issym() or info.islnk()
        ]  # fmt: skip


def refusal(path: Path, data: bytes) -> str:
    """Why a tar can't be walked through: one line, and no other exception."""
    with pytest.raises(TarError) as error:
        walked(path, data)
    assert "\n" not in str(error.value)
    return str(error.value)


def with_header(data: bytes, at: int, **fields: bytes) -> bytes:
    """The same tar with other fields in the header at an offset, and a right checksum."""
    places = {"name": 0, "size": 124, "kind": 156, "magic": 257, "checksum": 148}
    header = bytearray(data[at : at + BLOCK])
    for name, value in fields.items():
        header[places[name] : places[name] + len(value)] = value
    if "checksum" not in fields:
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
    return data[:at] + bytes(header) + data[at + BLOCK :]


def record(field: bytes) -> bytes:
    """Record of a pax header; it begins with its own length."""
    (length,) = {n for n in range(4, 200) if len(f"{n}") + len(field) + 2 == n}
    return b"%d %s\n" % (length, field)


def pax(fields: bytes) -> bytes:
    """Tar of a photo, in front of which a pax header has these bytes."""
    data = tar_of({"pax": fields, ONE: b"x" * 600})
    return with_header(data, 0, kind=b"x")


# The same as by tarfile

_PARTS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=20)
_NAMES = st.one_of(
    _PARTS,
    st.builds(lambda part, n: "/".join([part or "a"] * n), _PARTS, st.integers(1, 40)),
    st.builds(lambda part, n: (part or "b") * n, _PARTS, st.integers(1, 40)),
    st.binary(min_size=1, max_size=12).map(lambda raw: os.fsdecode(raw.replace(b"\0", b"-"))),
    st.just("e" * 100),
    st.just("e" * 101),
    st.just("d/" * 49 + "ee"),
    st.just(f"{'d' * 155}/{'e' * 100}"),
)
_KINDS = st.sampled_from(
    [tarfile.REGTYPE] * 6
    + [tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]
    + [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
)
_SIZES = st.sampled_from([0, 1, 511, 512, 513, 3000])
_MEMBERS = st.lists(st.tuples(_NAMES, _KINDS, _SIZES, _NAMES), max_size=12)


def written(members: list[tuple[str, bytes, int, str]], layout: int) -> bytes:
    """Tar of those members that its format can hold, with what files have in them at random."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=layout, errors="surrogateescape") as tar:
        for name, kind, size, link in members:
            info = tarfile.TarInfo(name.strip("/") or "a")
            # tarfile takes an old file for a folder if its name, cut at 100 bytes, ends with "/".
            old = kind == tarfile.AREGTYPE
            info.type = tarfile.REGTYPE if old and len(os.fsencode(name)) > 100 else kind
            info.linkname = link if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            info.mtime = size + 0.25 if layout == tarfile.PAX_FORMAT else size  # a pax header
            info.size = size if info.isreg() else 0
            with contextlib.suppress(ValueError):  # too long for ustar
                tar.addfile(info, io.BytesIO(random.Random(size).randbytes(info.size)))
    return out.getvalue()


@given(members=_MEMBERS, layout=st.sampled_from(FORMATS), before=st.sampled_from([512, 1536, 700]))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_members_are_those_that_tarfile_finds(
    tmp_path: Path, members: list[tuple[str, bytes, int, str]], layout: int, before: int
) -> None:
    data = written(members, layout)
    expected = by_tarfile(data)
    out = [member for member in expected if ".." in member.name.split("/")]
    if out or any(member.name.startswith("/") for member in expected):
        assert "leads out of its folder" in refusal(tmp_path / "a.tar", data)
    else:
        assert walked(tmp_path / "a.tar", data) == expected
        assert walked(tmp_path / "b.tar", data, b"\xff" * before, b"\xff" * 600) == expected


@pytest.mark.parametrize("layout", FORMATS)
def test_usual_tars_need_no_tarfile(
    tmp_path: Path, layout: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(headers, "_by_tarfile")
    name = f"{'d' * 90}/{'e' * 80}"
    data = written([(name, tarfile.REGTYPE, 700, ""), ("a", tarfile.SYMTYPE, 0, "b")], layout)
    assert [member.name for member in walked(tmp_path / "a.tar", data)] == [name, "a"]


def test_sizes_in_binary_are_read(tmp_path: Path) -> None:
    data = tar_of({"a": b"x" * 600, ONE: b"y"})
    odd = with_header(data, 0, size=b"\x80" + (600).to_bytes(11, "big"))
    assert walked(tmp_path / "a.tar", odd) == by_tarfile(data)
    later = with_header(data, 3 * BLOCK, size=b"\x80" + (1).to_bytes(11, "big"))
    assert walked(tmp_path / "a.tar", later) == by_tarfile(data)
    assert walked(tmp_path / "b.tar", later, b"\xff" * 1000) == by_tarfile(data)


def test_a_global_header_holds_for_those_after_it(tmp_path: Path) -> None:
    data = pax(record(b"comment=whatever"))
    assert walked(tmp_path / "a.tar", with_header(data, 0, kind=b"g"))[0].name == ONE
    named = with_header(pax(record(b"path=other")), 0, kind=b"g")
    assert walked(tmp_path / "a.tar", named) == by_tarfile(named)


def test_an_old_tar_has_no_prefix_and_no_magic(tmp_path: Path) -> None:
    data = with_header(tar_of({ONE: b"x"}), 0, magic=b"\0" * 8)
    assert walked(tmp_path / "a.tar", data) == [Member(ONE, BLOCK, 1, False)]


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513])
def test_zeros_at_the_end_are_not_needed(tmp_path: Path, size: int) -> None:
    data = tar_of({ONE: b"x" * size})
    end = BLOCK + size
    for kept in (end, -(-end // BLOCK) * BLOCK, -(-end // BLOCK) * BLOCK + BLOCK):
        assert walked(tmp_path / "a.tar", data[:kept]) == [Member(ONE, BLOCK, size, False)]


@pytest.mark.parametrize("blocks", [20, 128, 2048, 4096])
def test_a_tar_may_be_filled_to_what_is_written_at_a_time(tmp_path: Path, blocks: int) -> None:
    path = tmp_path / "a.tar"
    for of_data, written in ((1, 1), (blocks - 2, 2)):  # then the second block of its end is over
        (tmp_path / "one").write_bytes(bytes(of_data * BLOCK))
        subprocess.run(["tar", "-b", str(blocks), "-cf", path, "one"], cwd=tmp_path, check=True)
        assert path.stat().st_size == written * blocks * BLOCK
        assert [member.name for member in walked(path, path.read_bytes())] == ["one"]


# Damaged and hostile


@pytest.mark.parametrize("size", [b"00000000001\0", b"\x80" + (1).to_bytes(11, "big")])
@pytest.mark.parametrize("after", [bytes(2 << 20), bytes(5000) + b"x", tar_of({ONE: b"y"})])
def test_a_tar_with_more_after_its_end_is_refused(
    tmp_path: Path, size: bytes, after: bytes
) -> None:
    whole = with_header(tar_of({ONE: b"x"}), 0, size=size)
    says = refusal(tmp_path / "a.tar", whole + after)
    assert f"end at byte {2 * BLOCK:,} of {len(whole) + len(after):,}" in says
    assert "a download that isn't finished" in says


def test_a_download_whose_room_was_taken_at_first_is_refused(tmp_path: Path) -> None:
    whole = tar_of({f"{k}.JPEG": b"x" * 300_000 for k in range(9)})
    for there in range(BLOCK, 5 * 300_000, 100_000):
        refusal(tmp_path / "a.tar", whole[:there].ljust(len(whole), b"\0"))


def test_a_sparse_file_is_refused(tmp_path: Path) -> None:
    data = with_header(tar_of({ONE: b"x" * 600}), 0, kind=b"S", magic=b"ustar  \0")
    assert "sparse" in refusal(tmp_path / "a.tar", data)
    assert "sparse" in refusal(tmp_path / "a.tar", pax(record(b"GNU.sparse.map=0,9")))


def test_a_tar_that_is_cut_off_is_refused_wherever_that_is(tmp_path: Path) -> None:
    files = {f"{'long/' * 60}{k}.JPEG": bytes([k]) * 700 * k for k in range(1, 4)}
    for layout in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        data = tar_of(files, layout)
        whole = by_tarfile(data)
        end = whole[-1].offset + whole[-1].nbytes
        for kept in [*range(1, end, 100), end - 1]:
            found = walked_as_far(tmp_path / "a.tar", data[:kept])
            assert found == whole[: len(found)]
            assert len(found) < len(whole), "it isn't whole"


def walked_as_far(path: Path, data: bytes) -> list[Member]:
    """Members up to where the tar can't be read, unless it ends at the end of a member."""
    path.write_bytes(data)
    found: list[Member] = []
    with opened(path) as fd, contextlib.suppress(TarError):
        for member in walk(fd, 0, len(data)):
            found.append(member)
    return found


def test_a_wrong_checksum_is_refused(tmp_path: Path) -> None:
    data = tar_of({"a": b"x", ONE: b"y"})
    for checksum in (b"0000000\0", b"        ", b"\0" * 8, b"\xff" * 8, b"-1      ", b"0x11\0   "):
        assert "byte 1,024" in refusal(
            tmp_path / "a.tar", with_header(data, 1024, checksum=checksum)
        )


@pytest.mark.parametrize(
    "size",
    [
        b"-0000000001\0",
        b"77777777777\0",
        b"\x80" + b"\xff" * 11,
        b"\xff" * 12,
        b"\xff" * 11 + b"\x80",
        b"00000002001\0",
    ],
)
@pytest.mark.parametrize("kind", [b"0", b"x", b"g", b"L", b"K", b"1", b"5", b"S", b"Z"])
def test_a_size_that_can_not_be_is_refused(tmp_path: Path, size: bytes, kind: bytes) -> None:
    data = with_header(tar_of({ONE: b"x" * 700})[: 3 * BLOCK], 0, size=size, kind=kind)
    with contextlib.suppress(TarError):
        found = walked(tmp_path / "a.tar", data)
        assert not found or kind == b"1", "there is no such file"


@pytest.mark.parametrize("name", [f"/{ONE}", f"../{ONE}", f"a/../../{ONE}", ".."])
@pytest.mark.parametrize("layout", FORMATS)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str, layout: int) -> None:
    data = tar_of({name: b"x"}, layout)
    assert "leads out of its folder" in refusal(tmp_path / "a.tar", data)


@pytest.mark.parametrize("name", ["..a", "a..", "a..b", "...", "a/...", "a../b"])
def test_dots_in_a_name_are_no_harm(tmp_path: Path, name: str) -> None:
    assert [m.name for m in walked(tmp_path / "a.tar", tar_of({name: b"x"}))] == [name]


@pytest.mark.parametrize(
    "fields",
    [
        b"9999999999999999999 path=a\n",
        b"3 a",
        b"0 path=a\n",
        b"-5 path=a\n",
        b"10 path=a",
        b"path=a\n",
        b"\xb2 path=a\n",
        *map(
            record,
            [
                b"size=-1",
                b"size=\xb2\xb2",
                b"size=99999999999999999999999",
                b"size=99999999999",
                b"size=abc",
                b"size=",
                b"size",
                b"path=/a.JPEG",
                b"path=..",
                b"path=",
                b"path=a\0b",
                b"hdrcharset=nonsense",
                b"mtime=nonsense",
                b"GNU.sparse.realsize=9999",
                b"GNU.sparse.major=1",
                b"GNU.sparse.map=1,x",
                b"GNU.sparse.map=1",
            ],
        ),
        record(b"GNU.sparse.major=1") + record(b"GNU.sparse.minor=0"),
        record(b"size=10") + record(b"size=20"),
        b"\0\0\0\0",
        b"5000 comment=x\n",
    ],
)
@pytest.mark.parametrize("kind", [b"x", b"g"])
def test_a_pax_header_that_lies_is_refused_or_does_no_harm(
    tmp_path: Path, fields: bytes, kind: bytes
) -> None:
    data = with_header(pax(fields), 0, kind=kind)
    with contextlib.suppress(TarError):
        for member in walked(tmp_path / "a.tar", data):
            assert 0 <= member.offset <= member.offset + member.nbytes <= len(data)


@given(data=st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_bytes_are_changed_it_is_refused_or_read(
    tmp_path: Path, data: st.DataObject
) -> None:
    sound = bytearray(tar_of({"long/" * 60 + ONE: b"x" * 600, ONE: b"y"}, tarfile.PAX_FORMAT))
    for _ in range(data.draw(st.integers(1, 4))):
        sound[data.draw(st.integers(0, 4095))] = data.draw(st.integers(0, 255))
    changed = bytes(sound)
    if data.draw(st.booleans()):
        for at in range(0, 2048, BLOCK):
            changed = with_header(changed, at)
    with contextlib.suppress(TarError):
        found = walked(tmp_path / "a.tar", changed)
        assert all(0 <= m.offset <= m.offset + m.nbytes <= len(changed) for m in found)


MANY = """
import os, sys, resource
from imagenet_subset.sources.tar.headers import walk
fd = os.open(sys.argv[1], os.O_RDONLY)
size = os.fstat(fd).st_size
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(sum(1 for _ in walk(fd, 0, size)))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory in the units of Linux")
@pytest.mark.parametrize("first_size", [b"00000000000\0", b"\x80" + b"\0" * 11])
def test_many_empty_members_take_little_time_and_memory(tmp_path: Path, first_size: bytes) -> None:
    header = tar_of({ONE: b""})[:BLOCK]
    first = with_header(header, 0, size=first_size)
    (tmp_path / "a.tar").write_bytes(first + header * 199_999)
    command = [sys.executable, "-c", MANY, str(tmp_path / "a.tar")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    members, megabytes = map(int, done.stdout.split())
    assert members == 200_000
    assert megabytes < 64


def test_long_names_one_after_the_other_do_not_pile_up(tmp_path: Path) -> None:
    one = tar_of({"name": b"x" * 900})[: 3 * BLOCK]
    many = with_header(one, 0, kind=b"L") * 2000
    assert walked(tmp_path / "a.tar", many) == []


def test_a_huge_name_is_not_read(tmp_path: Path) -> None:
    head = with_header(tar_of({"name": b""})[:BLOCK], 0, kind=b"L", size=b"%011o\0" % (1 << 31))
    path = tmp_path / "a.tar"
    path.write_bytes(head)
    os.truncate(path, 1 << 32)
    with opened(path) as fd, pytest.raises(TarError, match="cut off or damaged at byte 512"):
        list(walk(fd, 0, 1 << 32))


# Through the store, and the program


def test_tars_in_tars_are_looked_into_once(tmp_path: Path) -> None:
    data = tar_of({ONE: b"x"})
    for _ in range(50):
        data = tar_of({f"{ACORN}.tar": data})
    (tmp_path / "ILSVRC2012_img_train.tar").write_bytes(data)
    assert list(open_source(tmp_path).photos("train", SUBSET.wnids)) == []


@pytest.mark.parametrize(
    "name", ["a\n.JPEG", "\x1b[31m.JPEG", os.fsdecode(b"\xff.JPEG")], ids=["line", "color", "byte"]
)
def test_hostile_names_are_printed_harmlessly(tmp_path: Path, name: str) -> None:
    members = [(tarfile.TarInfo(ONE), b"x"), (tarfile.TarInfo(f"../{name}"), b"x")]
    (tmp_path / "a.tar").write_bytes(tar_of_members(members))
    with pytest.raises(SourceError) as error:
        open_source(tmp_path / "a.tar")
    assert str(error.value).isprintable()
    assert "leads out of its folder; pack it without -P" in str(error.value)


def test_a_hostile_tar_costs_the_program_one_line(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    (tmp_path / "acorn.txt").write_text(f"{ACORN}\n")
    members = [(tarfile.TarInfo(ONE), b"x"), (link_of(f"../../{ONE}"), b"")]
    (folder / "a.tar").write_bytes(tar_of_members(members))
    done = cli(
        "--subset_name", tmp_path / "acorn.txt", "--data_dir", folder / "a.tar",
        "--workers", 1, "--device", "cpu",
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"can't read {folder / 'a.tar'}: it has " in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in folder.iterdir()] == ["a.tar"]
