"""docs/format.md: what it says of the file holds for one, read by zipfile and struct alone."""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import re
import shutil
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from imagenet_subset.npz.class_csv import ClassRow
from imagenet_subset.npz.provenance import Provenance
from imagenet_subset.selection.choice import Names, PerClass
from pipelines.rule import PixelRule
from tests.golden.make_fixed_points import WNIDS, command, write_tree
from tests.harness.pages import text_of

PAGE = text_of("docs/format.md")
MEMBERS = ["X_train", "y_train", "train_id", "X_val", "y_val", "val_id"]
KEYS = re.findall(
    r"^\| (`.*?) \|", PAGE.partition("## The comment")[2].partition("## Ids")[0], re.M
)


@pytest.fixture(scope="module")
def npz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("format")
    data, subset = write_tree(folder / "ILSVRC")
    subprocess.run(command(data, subset, folder, "pillow"), check=True, capture_output=True)
    return folder / "two_cls.npz"


def local_header(data: bytes, at: int) -> dict[str, Any]:
    """The fields of a ZIP's local header, by APPNOTE 4.3.7, and where its data starts."""
    names = [
        "signature",
        "needed",
        "flags",
        "method",
        "time",
        "date",
        "crc",
        "size",
        "size_in_zip",
        "name",
        "extra",
    ]
    fields: dict[str, Any] = dict(
        zip(names, struct.unpack_from("<4s5H3I2H", data, at), strict=True)
    )
    name_end = at + 30 + fields["name"]
    fields["start"] = name_end + fields["extra"]
    return fields | {
        "name": data[at + 30 : name_end].decode("ascii"),
        "extra": struct.unpack("<2H2Q", data[name_end : fields["start"]]),
    }


def npy_header(data: bytes, at: int) -> tuple[dict[str, Any], int]:
    assert data[at : at + 8] == b"\x93NUMPY\x01\x00"
    (length,) = struct.unpack_from("<H", data, at + 8)
    text = data[at + 10 : at + 10 + length].decode("ascii")
    assert re.fullmatch(r"\{.*\} *\n", text)
    return ast.literal_eval(text.strip()), at + 10 + length


def test_members_are_stored_in_this_order_without_gaps_and_aligned(npz: Path) -> None:
    data = npz.read_bytes()
    at = 0
    for key in MEMBERS:
        header = local_header(data, at)
        assert header["name"] == f"{key}.npy"
        assert header["signature"] == b"PK\3\4"
        assert (header["needed"], header["flags"], header["method"]) == (45, 0, 0)
        assert (header["time"], header["date"]) == (0, 1 << 5 | 1)
        tag, length, size, size_in_zip = header["extra"]
        assert (tag, length) == (1, 16)
        assert size == size_in_zip
        assert header["size"] == header["size_in_zip"] == 0xFFFFFFFF
        start = header["start"]
        assert zlib.crc32(data[start : start + size]) == header["crc"]
        about, first = npy_header(data, start)
        assert first % 4096 == 0
        assert about["fortran_order"] is False
        assert about["descr"] == ("|u1" if key.startswith("X") else "<i4")
        assert about["shape"][1:] == ((224, 224, 3) if key.startswith("X") else ())
        at = start + size
    assert data[at : at + 4] == b"PK\1\2", "the directory comes next"


def test_the_directory_says_the_same_and_the_comment_ends_the_file(npz: Path) -> None:
    data = npz.read_bytes()
    with zipfile.ZipFile(npz) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{key}.npy" for key in MEMBERS]
        for info in archive.infolist():
            assert info.external_attr >> 16 == 0o644
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.extra[:4] == struct.pack("<2H", 1, 24)
            assert local_header(data, info.header_offset)["crc"] == info.CRC
        comment = archive.comment
    assert data.endswith(comment)
    end = len(data) - len(comment) - 22
    assert data[end : end + 4] == b"PK\5\6"
    assert data[end - 20 : end - 16] == b"PK\6\7"
    assert data[end - 76 : end - 72] == b"PK\6\6"


def comment_of(npz: Path) -> tuple[bytes, dict[str, Any]]:
    with zipfile.ZipFile(npz) as archive:
        return archive.comment, json.loads(archive.comment)


def dumped(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def test_the_comment_is_sorted_json_with_a_crc_of_its_own(npz: Path) -> None:
    comment, fields = comment_of(npz)
    assert dumped(fields) == comment
    crc = fields.pop("crc32")
    assert crc == f"{zlib.crc32(dumped(fields)):08x}"


def test_the_hash_of_the_list_is_that_of_its_lines(npz: Path) -> None:
    _, fields = comment_of(npz)
    assert fields["subset"]["wnids"] == list(WNIDS)
    lines = "".join(f"{wnid}\n" for wnid in WNIDS).encode()
    assert fields["subset"]["wnids_sha256"] == hashlib.sha256(lines).hexdigest()


def paths(fields: dict[str, Any]) -> set[str]:
    """Keys of the comment as the page writes them."""
    deep = {"subset", "pipeline", "left_out"}
    return {
        f"{key}.{inner}" if key in deep else key
        for key, value in fields.items()
        for inner in (value if key in deep else [""])
    }


def named_by_the_page() -> list[str]:
    named = []
    for cell in KEYS:
        first, *others = re.findall(r"`(.*?)`", cell)
        named += [first, *(first.partition(".")[0] + other for other in others)]
    return named


def test_the_page_names_each_key_that_a_comment_can_have(npz: Path) -> None:
    everything = Provenance(
        subset_name="all",
        wnids=("n01440764", "n01443537", "n01484850"),
        wnids_sha256="",
        labels=(0, 0, 1),
        names=("fish", None),
        splits=("train",),
        pixel_rule=PixelRule(72, 64).text,
        pipeline="pillow",
        device="cpu",
        versions={},
        program_version="",
        reencoded=1,
        by_name=True,
        choice=PerClass(10, 3),
        chosen_from=Names(260, ""),
    )
    always = paths(comment_of(npz)[1])
    assert set(named_by_the_page()) == always | paths(everything.to_dict())
    assert len(named_by_the_page()) == len(set(named_by_the_page()))
    only_sometimes = PAGE.partition("only where they say something")[2]
    assert not any(f"| `{key}`" in only_sometimes for key in always)


@pytest.mark.parametrize(
    ("field", "version"),
    [
        ({}, 1),
        ({"by_name": True}, 2),
        ({"labels": (0, 0), "names": ("fish",)}, 2),
        ({"pixel_rule": PixelRule(72, 64).text}, 2),
        ({"pixel_rule": PixelRule(232, 224).text}, 1),
        ({"choice": PerClass(10, 3), "reencoded": 3, "names": ("a", "b")}, 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else str(value),
)
def test_the_version_is_2_only_where_the_page_says_so(field: dict[str, Any], version: int) -> None:
    made = Provenance(
        **{
            "subset_name": "two",
            "wnids": ("n01440764", "n01443537"),
            "wnids_sha256": "",
            "splits": ("train",),
            "pixel_rule": PixelRule().text,
            "pipeline": "pillow",
            "device": "cpu",
            "versions": {},
            "program_version": "",
            **field,
        }
    )
    assert made.to_dict()["format_version"] == version


def test_ids_ascend_and_no_place_or_time_is_in_the_file(npz: Path) -> None:
    data = npz.read_bytes()
    at = 0
    for key in MEMBERS:
        header = local_header(data, at)
        about, first = npy_header(data, header["start"])
        if key.endswith("_id"):
            ids = struct.unpack_from(f"<{about['shape'][0]}i", data, first)
            assert list(ids) == sorted(set(ids))
        at = header["start"] + header["extra"][2]
    comment, _ = comment_of(npz)
    assert str(npz.parent).encode() not in comment


def test_the_csv_has_the_columns_and_lines_that_the_page_says(npz: Path) -> None:
    table = npz.with_name("two_cls_metadata.csv").read_bytes()
    head, *lines = table.decode("utf-8").split("\n")
    assert f"`{head}`" in PAGE
    assert head == ",".join(ClassRow._fields)
    assert lines.pop() == ""
    assert [row[2] for row in csv.reader(lines)] == list(WNIDS)


def test_a_finished_file_has_no_journal_and_no_partial_beside_it(npz: Path) -> None:
    beside = {path.name for path in npz.parent.iterdir() if path.is_file()}
    assert beside == {"two_cls.npz", "two_cls_metadata.csv"} | (beside & {"two.txt"})


@pytest.mark.parametrize("tool", ["unzip -tq", "7z t"])
def test_other_tools_find_the_file_sound(npz: Path, tool: str) -> None:
    words = tool.split()
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]}")
    done = subprocess.run([*words, str(npz)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_reader_of_the_page_needs_nothing_of_the_program(npz: Path, tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    assert "imagenet_subset" not in code
    done = subprocess.run(
        [sys.executable, "-c", code.replace("demo/out_files/demo5_cls.npz", str(npz))],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "(12, 224, 224, 3) 0\n"
