"""Class table and subset files: what is accepted, and what each mistake is told."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from imagenet_subset.errors import SubsetError
from imagenet_subset.ilsvrc.classes import AUX_FILES, class_table, find_classes, val_ground_truth
from imagenet_subset.selection.subset import load_subset

ACORN, AIRLINER = "n12267677", "n02690373"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run outside the clone."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(name: str | Path) -> str:
    with pytest.raises(SubsetError) as error:
        load_subset(name)
    assert str(error.value).isprintable(), "one line"
    return str(error.value)


# Finding classes


def test_a_short_number_is_a_whole_id_and_words_come_in_any_order() -> None:
    assert [c.human_label for c in find_classes("449")] == ["tench"]
    assert find_classes("white terrier") == find_classes("TERRIER_white") != []
    assert [c.wnid for c in find_classes("2690373")] == ["n02690373"]


# The tables


def test_the_tables_are_those_of_ilsvrc_2012() -> None:
    table = list(class_table().values())
    assert len(table) == 1000
    assert [c.wnid for c in table] == sorted(c.wnid for c in table)
    assert sorted(c.clsloc_id for c in table) == list(range(1, 1001))
    assert sum(c.num_train_images for c in table) == 1_281_167
    assert table[0].first_train_id == 1
    for before, after in itertools.pairwise(table):
        assert after.first_train_id == before.first_train_id + before.num_train_images
    assert np.bincount(val_ground_truth())[1:].tolist() == [50] * 1000


def test_the_tables_can_not_be_changed_by_accident() -> None:
    with pytest.raises(TypeError):
        class_table()["n00000000"] = class_table()[ACORN]  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        val_ground_truth()[0] = 1


@pytest.mark.parametrize("n", [30, 100])
def test_the_subsets_shipped_have_their_number_of_classes(n: int) -> None:
    assert len(load_subset(f"imagenet{n}").classes) == n


# Finding a subset file


def test_a_name_is_found_among_the_files_shipped_from_any_folder() -> None:
    subset = load_subset("imagenet30")
    assert subset.name == "imagenet30"
    assert subset.wnids[0] == ACORN


def test_aux_files_in_the_working_folder_come_first(elsewhere: Path) -> None:
    (elsewhere / "aux_files").mkdir()
    (elsewhere / "aux_files/imagenet30.txt").write_text(f"{AIRLINER}\n")
    (elsewhere / "aux_files/mine.txt").write_text(f"{ACORN}\n")
    assert load_subset("imagenet30").wnids == (AIRLINER,)
    assert load_subset("mine").wnids == (ACORN,)
    assert len(load_subset("imagenet100").wnids) == 100


def test_a_path_is_taken_as_it_is(elsewhere: Path) -> None:
    (elsewhere / "sub").mkdir()
    shutil.copy(AUX_FILES / "imagenet30.txt", elsewhere / "sub/own.txt")
    assert load_subset("sub/own.txt").name == "own"
    assert load_subset(elsewhere / "sub/own.txt").classes == load_subset("imagenet30").classes


def test_an_unknown_name_lists_your_own_and_the_nearest_of_those_shipped(elsewhere: Path) -> None:
    (elsewhere / "aux_files").mkdir()
    (elsewhere / "aux_files/fish.txt").write_text(f"{ACORN}\n")
    message = refusal("imagenet3O")
    assert "no subset named 'imagenet3O'" in message
    assert "in ./aux_files (fish) or among those shipped" in message
    assert "did you mean imagenet_o, imagenet30, imagenet_r?" in message
    assert "`imagenet-subset subsets` lists them" in message


def test_an_alias_is_the_list_under_its_own_name_and_a_file_of_yours_comes_first(
    elsewhere: Path,
) -> None:
    assert load_subset("imagenet100_cmc").name == "imagenet100"
    (elsewhere / "aux_files").mkdir()
    (elsewhere / "aux_files/imagenet100_cmc.txt").write_text(f"{ACORN}\n")
    assert load_subset("imagenet100_cmc").wnids == (ACORN,)


@pytest.mark.parametrize("name", ["none.txt", "sub/none", "../none.txt"])
def test_a_path_that_is_not_there_is_named(name: str) -> None:
    assert f"can't read {name}: No such file or directory" in refusal(name)


@pytest.mark.parametrize("name", ["", "x" * 5000, "a\nb", "a\0b"])
def test_a_name_that_can_be_none_is_refused_in_one_line(name: str) -> None:
    assert "no subset named" in refusal(name)


@pytest.mark.parametrize("name", ["a b.txt", "-x.txt", "été.txt", "a\nb.txt", ".txt"])
def test_a_file_whose_name_can_not_name_the_output_is_refused(elsewhere: Path, name: str) -> None:
    try:
        (elsewhere / name).write_text(ACORN)
    except OSError:
        pytest.skip("this file system refuses the name")
    assert "the output is named after this file" in refusal(elsewhere / name)


# Reading it


@pytest.mark.parametrize(
    "data",
    [
        b"n12267677\nn02690373\n",
        b"n12267677\nn02690373",
        b"n12267677\r\nn02690373\r\n",
        b"n12267677\rn02690373\r",
        b"\xef\xbb\xbfn12267677\r\nn02690373\r\n",
        "n12267677\r\nn02690373\r\n".encode("utf-16"),
        b"\xfe\xff" + "n12267677\nn02690373\n".encode("utf-16-be"),
        b"\n\n  n12267677\t\n\n# a comment\n#\nn02690373#airliner\n   \n",
        "n12267677 # Eichel, \u00fc \x0c \u2028 n01440764\nn02690373\n".encode(),
    ],
    ids=["plain", "no last line end", "Windows", "old Mac", "BOM", "UTF-16", "UTF-16 BE",
         "blank lines and comments", "comment with other line ends"],
)  # fmt: skip
def test_every_way_of_saving_a_text_gives_the_same_subset(elsewhere: Path, data: bytes) -> None:
    (elsewhere / "two.txt").write_bytes(data)
    assert load_subset("two.txt").wnids == (ACORN, AIRLINER)


def test_the_order_of_the_lines_decides_the_labels_and_the_hash(elsewhere: Path) -> None:
    (elsewhere / "a.txt").write_text(f"{ACORN}\n{AIRLINER}\n")
    (elsewhere / "b.txt").write_text(f"# other\n{AIRLINER}\n{ACORN}\n")
    a, b = load_subset("a.txt"), load_subset("b.txt")
    assert a.wnids == b.wnids[::-1]
    assert a.sha256 != b.sha256
    assert a.sha256 == hashlib.sha256((elsewhere / "a.txt").read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# x\n\nn12267678\n", ":3: n12267678 is not a WNID of ILSVRC 2012; the nearest are n12"),
        (f"{ACORN}\n# x\n{ACORN}\n", f":3: {ACORN} is in line 1 already; remove one"),
        ("acorn\n", ":1: expected a WNID, found the name 'acorn'; write n12267677"),
        ("Great White Shark\n", ":1: expected a WNID, found the name 'Great White Shark'"),
        ("crane\n", "write n02012849 (bird) or n03126707 (machine)"),
        ("cardigan\n", "write n02113186 (dog) or n02963159 (garment)"),
        ("???\n", ":1: expected a WNID of ILSVRC 2012 such as n12267677, found '???'"),
        (f"{ACORN}, {AIRLINER}\n", ":1: 2 WNIDs without a name; for classes that share a label"),
        ("x" * 100_000, ":1: expected a WNID"),
        ("x" * 1_000_001, ": more than 1 MB; expected a text with one WNID per line"),
        ("", ": no WNID in it; expected one per line"),
        ("# nothing\n\n", ": no WNID in it; expected one per line"),
        ("a\x1b[31mb\n", ":1: expected a WNID"),
    ],
)  # fmt: skip
def test_a_wrong_line_is_told_with_its_number(elsewhere: Path, text: str, says: str) -> None:
    (elsewhere / "bad.txt").write_text(text)
    message = refusal("bad.txt")
    assert message.startswith("bad.txt:")
    assert says in message
    assert len(message) < 300


@pytest.mark.parametrize("data", [b"n12267677\n\xff\xfe\xfd\n", b"\xff\xfen\x00\x31"])
def test_what_is_no_text_is_refused(elsewhere: Path, data: bytes) -> None:
    (elsewhere / "bad.txt").write_bytes(data)
    assert "not a text file" in refusal("bad.txt")


def test_a_folder_is_no_subset_file(elsewhere: Path) -> None:
    (elsewhere / "folder.txt").mkdir()
    assert "can't read folder.txt" in refusal("folder.txt")


@pytest.mark.skipif(sys.platform == "win32", reason="no such files there")
def test_a_pipe_or_a_device_is_no_subset_file(elsewhere: Path) -> None:
    os.mkfifo("pipe.txt")
    Path("zero.txt").symlink_to("/dev/zero")
    for name in ("pipe.txt", "zero.txt", "/dev/zero"):
        assert f"can't read {name}: it is a " in refusal(name)


# Looking for classes


def test_no_two_classes_have_the_same_title() -> None:
    assert len({c.title.lower() for c in class_table().values()}) == 1000
    assert class_table()[ACORN].title == "acorn"


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("great white", ["n01484850"]),
        ("GREAT_WHITE", ["n01484850"]),
        ("n12267677", [ACORN]),
        ("N12267677", [ACORN]),
        ("crane", ["n02012849", "n03126707"]),
        ("no such thing", []),
    ],
)
def test_classes_are_found_by_name_and_wnid(pattern: str, found: list[str]) -> None:
    assert [c.wnid for c in find_classes(pattern)] == found


def test_a_clsloc_id_finds_its_class() -> None:
    assert ACORN in [c.wnid for c in find_classes("327")]


def test_no_pattern_finds_all() -> None:
    assert len(find_classes()) == len(find_classes("")) == 1000
