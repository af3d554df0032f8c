"""A list of train photos: what its lines may be, and what is said of odd ones."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from imagenet_subset.errors import SubsetError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.selection.photo_list import PhotoList, read_photo_list

ACORN, AIRLINER, BARN = (class_table()[w] for w in ("n12267677", "n02690373", "n02793495"))
LINES = {
    "a stem": "n12267677_10",
    "a file name": "n12267677_10.JPEG",
    "another suffix": "n12267677_10.jpg",
    "a path": "ILSVRC/Data/CLS-LOC/train/n12267677/n12267677_10.JPEG",
    "a path of Windows": r"C:\data\train\n12267677\n12267677_10.JPEG",
    "a folder of another name": "/home/my photos #1/n12267677_10.JPEG",
    "Hugging Face's name": "train/n12267677_10_n12267677.JPEG",
    "with spaces around": "  n12267677_10.JPEG\t",
    "with a comment": "n12267677_10.JPEG  # the oak's",
    "with a number, as in train_cls.txt": "n12267677/n12267677_10 1266001",
}


def read(path: Path, text: str | bytes) -> PhotoList:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_photo_list(path, [ACORN, AIRLINER])


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["no end", "LF", "CRLF"])
@pytest.mark.parametrize("start", ["", "\ufeff", "\n# a comment\n  \n"], ids=repr)
def test_a_line_is_a_stem_a_file_name_or_a_path(
    tmp_path: Path, start: str, line: str, end: str
) -> None:
    photos = read(tmp_path / "list.txt", start + line + end)
    assert (photos.named("n12267677"), photos.strange) == (["n12267677_10"], 0)


@pytest.mark.parametrize(
    "line",
    [
        "ILSVRC2012_val_00000293.JPEG",
        "n00000001_10.JPEG",
        "n12267677_010.JPEG",
        "n12267677_10.JPEG 3 4",
        "n12267677_10.JPEG x",
        "n12267677_10_n02690373.JPEG",
        "n12267677",
        "n12267677_10.png",
        "xn12267677_10.JPEG",
        "\u00fc",
    ],
)
def test_a_line_that_is_no_train_photo_s_name_is_counted(tmp_path: Path, line: str) -> None:
    photos = read(tmp_path / "list.txt", f"n02690373_1\n{line}\n")
    assert (photos.strange, photos.first_strange) == (1, (line,))
    assert photos.record.photos.photos == 1


def test_a_photo_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    photos = read(tmp_path / "list.txt", "a/n12267677_1.JPEG\nn12267677_2\nn12267677_1\n")
    assert photos.named("n12267677") == ["n12267677_1", "n12267677_2"]
    assert photos.record.photos.photos == 2


def test_the_record_has_the_name_of_the_file_and_the_sha256_of_all_stems(tmp_path: Path) -> None:
    record = read(tmp_path / "1percent.txt", "n12267677_10.JPEG\nn01440764_9\nn12267677_1\n").record
    stems = b"n01440764_9\nn12267677_1\nn12267677_10\n"
    assert record.fields == {
        "photo_list": {
            "name": "1percent.txt",
            "photos": 3,
            "sha256": hashlib.sha256(stems).hexdigest(),
        }
    }


def test_a_class_has_only_those_that_are_listed_and_that_it_has(tmp_path: Path) -> None:
    photos = read(tmp_path / "list.txt", "n12267677_1\nn12267677_3\nn02690373_2\n")
    assert photos.of("n12267677", ["n12267677_2", "n12267677_3"]) == ["n12267677_3"]


def test_what_is_odd_is_said_with_the_first_few_names(tmp_path: Path) -> None:
    lines = [*(f"cat {k}" for k in range(5)), "n12267677_1", *(f"n02793495_{k}" for k in range(4))]
    notes = list(read(tmp_path / "list.txt", "\n".join(lines)).notes([ACORN, AIRLINER]))
    assert notes == [
        "list.txt has 5 lines with no train photo's name (cat 0, cat 1, cat 2, ...)",
        "list.txt has 4 photos of other classes than the subset's (n02793495_0, n02793495_1, "
        "n02793495_2, ...)",
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "list.txt names no train photo; expected a train photo a line, such as n01440764"),
        (b"cat\n", "names no train photo; .*, found cat"),
        (b"n02793495_1\nn02793495_2", "names 2 train photos, and none is of the subset's classes"),
        ("n12267677_1".encode("utf-16"), "list.txt is no text in UTF-8"),
        (None, "can't read .*list.txt: No such file"),
    ],
)
def test_a_list_without_a_photo_of_the_subset_is_refused(
    tmp_path: Path, text: bytes | None, why: str
) -> None:
    if text is not None:
        (tmp_path / "list.txt").write_bytes(text)
    with pytest.raises(SubsetError, match=why):
        read_photo_list(tmp_path / "list.txt", [ACORN, AIRLINER])


def test_a_list_of_many_blocks_is_one_list(tmp_path: Path) -> None:
    wnids = list(class_table())
    stems = [f"{wnids[k % 1000]}_{k}" for k in range(100_000)]
    photos = read(tmp_path / "list.txt", "".join(f"{stem}.JPEG\n" for stem in stems))
    assert [stem.decode() for stem in photos.stems.tolist()] == sorted(stems)
