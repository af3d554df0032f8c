"""The train list: its numbers class by class, and every way in which it may be wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.ilsvrc.train_list import TrainList

TENCH, ACORN = "n01440764", "n12267677"
FIRST_ACORN = class_table()[ACORN].first_train_id
TENCHES = f"{TENCH}/{TENCH}_10026 1\n{TENCH}/{TENCH}_10027 2\n"


def read_train_list(path: Path, wnids: Sequence[str]) -> dict[str, dict[str, int]]:
    listed = TrainList.read(path, wnids)
    return {wnid: listed.numbers(wnid) for wnid in wnids}


def read(tmp_path: Path, text: str | bytes, *wnids: str) -> dict[str, dict[str, int]]:
    path = tmp_path / "train_cls.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_train_list(path, wnids or (TENCH,))


def refusal(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(SourceError) as error:
        read(tmp_path, text)
    assert str(error.value).isprintable(), "one line"
    return str(error.value)


def test_only_the_classes_asked_for_are_read(tmp_path: Path) -> None:
    text = f"{TENCHES}{ACORN}/{ACORN}_5 {FIRST_ACORN}\n"
    assert read(tmp_path, text, ACORN) == {ACORN: {f"{ACORN}_5": FIRST_ACORN}}
    assert read(tmp_path, text, TENCH) == {TENCH: {f"{TENCH}_10026": 1, f"{TENCH}_10027": 2}}


@pytest.mark.parametrize("end", ["\n", "\r\n", " \n", "\n\n"])
def test_any_line_ends_will_do(tmp_path: Path, end: str) -> None:
    assert len(read(tmp_path, TENCHES.replace("\n", end))[TENCH]) == 2


def test_a_byte_order_mark_just_works(tmp_path: Path) -> None:
    path = tmp_path / "train_cls.txt"
    path.write_bytes(b"\xef\xbb\xbfn01440764/n01440764_10026 1\n")
    assert read_train_list(path, ["n01440764"]) == {"n01440764": {"n01440764_10026": 1}}


def test_a_list_without_a_class_gives_it_no_numbers(tmp_path: Path) -> None:
    assert read(tmp_path, TENCHES, ACORN, TENCH)[ACORN] == {}
    assert read(tmp_path, "", ACORN) == {ACORN: {}}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("ILSVRC2012_val_00000001 1", "expected a line like 'n01440764/n01440764_10026 1'"),
        (f"{TENCH}/{TENCH}_3", "expected a line like"),
        (f"{TENCH}/{TENCH}_3 x", f"found '{TENCH}/{TENCH}_3 x'"),
        (f"{TENCH}/{TENCH}_3 -1", "expected a line like"),
        (f"{TENCH}/{TENCH}_3 12345678", "expected a line like"),
        (f"{TENCH}_3 1", "expected a line like"),
        (f"{TENCH}/{TENCH}_3 0", f"number 0, but the photos of {TENCH} are numbers 1 to 1300"),
        (f"{TENCH}/{TENCH}_3 1301", f"number 1301, but the photos of {TENCH} are numbers 1 to 130"),
        (f"{TENCH}/{TENCH}_10027 3", f"{TENCH}_10027 is in line 2 already"),
        (f"{TENCH}/{TENCH}_3 2", "number 2 is in line 2 already"),
        ("\x00" * 100, "expected a line like"),
        ("\x1b[31m", "expected a line like"),
    ],
)
def test_a_wrong_line_is_told_with_its_number(tmp_path: Path, line: str, says: str) -> None:
    message = refusal(tmp_path, f"{TENCHES}{line}\n")
    assert "train_cls.txt:3: " in message
    assert says in message
    assert message.endswith("is this train_cls.txt of ILSVRC 2012?")


@pytest.mark.parametrize("data", [b"\xff\xd8\xff\xe0\x00\x10JFIF\n" * 5, b"\xef\xbb", b"\x80"])
def test_what_is_no_list_at_all_is_refused(tmp_path: Path, data: bytes) -> None:
    assert "train_cls.txt:1: expected a line like" in refusal(tmp_path, data)


def test_a_list_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"can't read .*none\.txt: No such file"):
        read_train_list(tmp_path / "none.txt", [TENCH])
    with pytest.raises(SourceError, match="can't read"):
        read_train_list(tmp_path, [TENCH])


@pytest.mark.skipif(sys.platform == "win32", reason="no such files there")
def test_a_pipe_or_a_device_is_no_list(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(SourceError, match=r"it is a (named pipe|device), not a file"):
            read_train_list(path, [TENCH])


def test_the_lines_of_classes_may_be_mixed(tmp_path: Path) -> None:
    first = {TENCH: 1, ACORN: FIRST_ACORN}
    lines = [f"{w}/{w}_{k} {first[w] + k}" for k in range(30) for w in (TENCH, ACORN)]
    text = "\n".join([*lines[:20], "", "n09472597/n09472597_1 1", *lines[20:]])
    read_in = read(tmp_path, text, TENCH, ACORN)
    for wnid in (TENCH, ACORN):
        assert read_in[wnid] == {f"{wnid}_{k}": first[wnid] + k for k in range(30)}
    with pytest.raises(SourceError, match=r"train_cls\.txt:63: n12267677_3 is in line 8 already"):
        read(tmp_path, f"{text}\n{ACORN}/{ACORN}_3 {FIRST_ACORN + 40}", TENCH, ACORN)


@pytest.mark.parametrize("name", ["a b", "a\rb", "a 7 8", "\xe9\u65e5", "x" * 200])
def test_a_name_may_have_what_a_line_may_have(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, f"{TENCHES}{TENCH}/{name} 3\r\n")[TENCH][name] == 3


@pytest.mark.parametrize("place", [0, 1, 500, 1299])
def test_a_wrong_line_among_those_of_a_class_is_named(tmp_path: Path, place: int) -> None:
    lines = [f"{TENCH}/{TENCH}_{k * k} {k + 1}\n" for k in range(1300)]
    assert len(read(tmp_path, "".join(lines))[TENCH]) == 1300
    twin = (place + 7) % 1300
    for wrong, at in (("1301", place), ("0", place), ("x", place), (twin + 1, max(place, twin))):
        again = [*lines]
        again[place] = f"{TENCH}/{TENCH}_{place * place} {wrong}\n"
        assert f"train_cls.txt:{at + 1}: " in refusal(tmp_path, "".join(again))
