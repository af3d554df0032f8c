"""How ILSVRC numbers its images: the train list, and ranks without it."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table, val_ground_truth
from imagenet_subset.ilsvrc.numbering import (
    TrainList,
    numbers_by_rank,
    val_id,
    val_ids_of,
    val_name,
)

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


def runs_of_the_real_list() -> list[list[tuple[str, int]]]:
    """Runs of neighbouring lines of the real ``train_cls.txt``, from its first five classes."""
    runs: list[list[tuple[str, int]]] = []
    for line in (Path(__file__).parent / "train_cls_runs.txt").read_text().splitlines():
        name, number = line.split()
        if not runs or runs[-1][-1][1] != int(number) - 1:
            runs.append([])
        runs[-1].append((name.partition("/")[2], int(number)))
    return runs


def test_the_rank_in_a_class_is_the_number_that_the_real_list_gives() -> None:
    runs = runs_of_the_real_list()
    assert sum(map(len, runs)) == 400
    for run in runs:
        image_class = class_table()[run[0][0][:9]]
        first = run[0][1] - image_class.first_train_id  # photos of the class before the run
        shuffled = random.Random(1).sample([name for name, _ in run], len(run))
        numbers = numbers_by_rank(image_class, shuffled)
        assert {name: first + number for name, number in numbers.items()} == dict(run)
        assert shuffled != sorted(shuffled) != [name for name, _ in run], "plain order won't do"


def test_ranks_count_from_the_number_of_the_class_s_first_photo() -> None:
    names = [f"{ACORN}_{k}" for k in (100, 10, 11, 1, 20, 2, 3)]
    expected = {name: FIRST_ACORN + rank for rank, name in enumerate(names)}
    assert numbers_by_rank(class_table()[ACORN], sorted(names)) == expected


def test_val_names_and_numbers_are_each_others_inverse() -> None:
    for number in (1, 293, 50_000):
        assert val_id(val_name(number)) == number


@pytest.mark.parametrize(
    "stem",
    [
        "ILSVRC2012_val_00000000",
        "ILSVRC2012_val_00050001",
        "ILSVRC2012_val_1",
        "ILSVRC2012_val_000000001",
        "ILSVRC2012_val_0000000\u0661",
        "ILSVRC2012_val_00000001\n",
        "ILSVRC2012_test_00000001",
        "",
    ],
)
def test_any_other_name_is_no_val_photo(stem: str) -> None:
    assert val_id(stem) is None


def test_val_ids_follow_the_ground_truth() -> None:
    ids = val_ids_of([327, 1])
    assert set(ids) == {327, 1}
    for clsloc_id, numbers in ids.items():
        assert len(numbers) == 50
        assert numbers == sorted(numbers)
        assert {int(val_ground_truth()[n - 1]) for n in numbers} == {clsloc_id}
