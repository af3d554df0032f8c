"""``imagenet-subset train_list``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from imagenet_subset.cli.main import main
from imagenet_subset.demo.photos import jpeg, photo
from imagenet_subset.errors import OutputError, SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.ilsvrc.train_list import TrainList
from imagenet_subset.records import Split
from imagenet_subset.selection.subset import Subset
from imagenet_subset.sources import open_source
from imagenet_subset.sources.base import Photo
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.sources.known_numbers import known_numbers
from tests.contracts.store import SMALLEST, stems_of
from tests.harness.tiers import thorough

TENCH = class_table()["n01440764"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A complete class, and one that lacks all photos but three."""
    root = tmp_path / "CLS-LOC"
    (tmp_path / "photo").write_bytes(jpeg(photo(0, 40, 30)))
    for wnid, stems in ((SMALLEST.wnid, stems_of(SMALLEST)), (TENCH.wnid, stems_of(TENCH)[:3])):
        (root / "train" / wnid).mkdir(parents=True)
        for stem in stems:
            os.link(tmp_path / "photo", root / f"train/{wnid}/{stem}.JPEG")
    return root


def test_the_list_is_of_complete_classes_and_a_line_says_what_is_left_out(
    command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command("train_list", "--data_dir", data) == (
        f"train_cls.txt  732 photos of 1 class; left out: 1 incomplete class (train/{TENCH.wnid}/ "
        "with 3 photos of 1,300), 998 classes without a photo\n"
    )
    lines = (tmp_path / "train_cls.txt").read_text().splitlines()
    numbers = [int(line.rpartition(" ")[2]) for line in lines]
    assert numbers == list(SMALLEST.train_ids)


def test_the_list_numbers_what_is_left_of_the_class(command, data: Path, tmp_path: Path) -> None:
    one = Subset("one", (SMALLEST,))
    before = list_images(one, ["train"], open_source(data)).records["train"]
    assert command("train_list", "--data_dir", data, "--out", tmp_path / "list.txt")
    (data / f"train/{SMALLEST.wnid}/{stems_of(SMALLEST)[9]}.JPEG").unlink()
    with pytest.raises(SourceError, match="--train_list"):
        list_images(one, ["train"], open_source(data))
    listing = list_images(
        one, ["train"], open_source(data), tmp_path / "list.txt", on_missing="skip"
    )
    assert listing.missing == {"train": 1}
    expected = dict(zip(before.stems, before.ids.tolist(), strict=True))
    del expected[stems_of(SMALLEST)[9]]
    records = listing.records["train"]
    assert dict(zip(records.stems, records.ids.tolist(), strict=True)) == expected


def test_the_stores_own_list_is_taken_and_complete_classes_are_added(
    command, tree: Path, data: Path, tmp_path: Path
) -> None:
    own = tree / "../../ImageSets/CLS-LOC/train_cls.txt"
    text = command("train_list", "--data_dir", tree, "--out", tmp_path / "same.txt")
    copied = Path(os.path.abspath(own))
    assert f"  200 photos of 10 classes, copied from {copied}; left out: 990 classes" in text
    assert (tmp_path / "same.txt").read_bytes() == own.read_bytes()
    both = tmp_path / "ILSVRC"
    shutil.copytree(tree / "../..", both)
    shutil.move(data / f"train/{SMALLEST.wnid}", both / "Data/CLS-LOC/train")
    text = command("train_list", "--data_dir", both, "--out", tmp_path / "more.txt")
    assert "932 photos of 11 classes; left out: 989 classes without a photo" in text
    lines = (tmp_path / "more.txt").read_text().splitlines()
    assert set(own.read_text().splitlines()) < set(lines)
    numbers = [int(line.rpartition(" ")[2]) for line in lines]
    assert numbers == sorted(numbers)
    TrainList.read(tmp_path / "more.txt", list(class_table())).numbers(SMALLEST.wnid)


def test_a_file_that_is_there_is_kept_unless_it_may_be_replaced(
    command, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "list.txt"
    out.write_text("mine")
    words = ["train_list", "--data_dir", data, "--out", out]
    with pytest.raises(OutputError, match="exists; pass --overwrite to replace it, or choose"):
        command(*words)
    assert out.read_text() == "mine"
    command(*words, "--overwrite")
    assert out.read_text().count("\n") == 732
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".tmp"]


def test_photos_that_are_not_named_so_are_noted(data: Path, capsys, tmp_path: Path) -> None:
    os.link(tmp_path / "photo", data / f"train/{SMALLEST.wnid}/cat.JPEG")
    assert main(["train_list", "--data_dir", str(data), "--out", str(tmp_path / "list.txt")]) == 0
    printed = capsys.readouterr()
    assert "732 photos of 1 class" in printed.out
    assert "left out 1 photo in train not named as those of their class" in printed.err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--data_dir", "nowhere"], "nowhere doesn't exist"),
        (["--data_dir", "empty"], "has no train photo: train/n01440764/ doesn't exist"),
        (["--data_dir", "few"], "no class with all its photos, so nothing says their numbers (tra"),
        (["--data_dir", "few", "--out", "no/list.txt"], "there is no folder no"),
        (["--data_dir", "few", "--out", "empty"], "empty is a folder; choose another --out"),
    ],
)
def test_what_can_not_be_done_is_told_in_a_line(
    words: list[str], says: str, data: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty/train").mkdir(parents=True)
    shutil.copytree(data / f"train/{TENCH.wnid}", tmp_path / f"few/train/{TENCH.wnid}")
    before = sorted(tmp_path.iterdir())
    assert main(["train_list", *words]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert says in line
    assert sorted(tmp_path.iterdir()) == before


@thorough("lists 1.3 million photos")
def test_the_whole_of_ilsvrc_has_the_whole_list(tmp_path: Path) -> None:
    from benchmarks.whole_plan import Names, write_list

    class Once(Names):
        asked = 0

        def photos(self, split: Split, wnids: Collection[str]) -> Iterator[Photo]:
            Once.asked += 1
            return super().photos(split, wnids)

    write_list(tmp_path / "list.txt")
    known = known_numbers(Once())
    assert Once.asked == 1
    assert b"".join(known.lines.values()) == (tmp_path / "list.txt").read_bytes()
    assert (known.photos, known.incomplete, known.absent) == (1_281_167, (), 0)
