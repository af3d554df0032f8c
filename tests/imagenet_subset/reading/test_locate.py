from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagenet_subset.errors import OutputError, ReadError, SourceError
from imagenet_subset.ilsvrc.classes import class_table, val_ground_truth
from imagenet_subset.ilsvrc.numbering import name_id
from imagenet_subset.reading.locate import locate, row_of_id
from imagenet_subset.reading.subset import open_subset

Write = Callable[..., Path]
Command = Callable[..., str]

ACORN, AIRLINER, VOLCANO = (class_table()[w] for w in ("n12267677", "n02690373", "n09472597"))
ACORN_VAL = (np.flatnonzero(val_ground_truth() == ACORN.clsloc_id) + 1).tolist()
IDS = {
    "train": [AIRLINER.first_train_id, AIRLINER.first_train_id + 2, ACORN.first_train_id + 1],
    "val": ACORN_VAL[:2],
}


@pytest.fixture
def path(write_subset: Write) -> Path:
    return write_subset([1, 1, 0], [0, 0], ids=IDS)


@pytest.fixture
def ilsvrc(tmp_path: Path) -> Path:
    """Three photos with their train list, and two val photos; nothing opens them."""
    root = tmp_path / "ILSVRC"
    names = [(AIRLINER, "10"), (AIRLINER, "9"), (ACORN, "500")]
    lines = []
    for (entry, number), image_id in zip(names, IDS["train"], strict=True):
        folder = root / "Data/CLS-LOC/train" / entry.wnid
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{entry.wnid}_{number}.JPEG").touch()
        lines.append(f"{entry.wnid}/{entry.wnid}_{number} {image_id}\n")
    (root / "Data/CLS-LOC/val").mkdir()
    for image_id in IDS["val"]:
        (root / f"Data/CLS-LOC/val/ILSVRC2012_val_{image_id:08d}.JPEG").touch()
    (root / "ImageSets/CLS-LOC").mkdir(parents=True)
    (root / "ImageSets/CLS-LOC/train_cls.txt").write_text("".join(lines))
    return root


def test_a_val_photo_is_named_by_its_id_alone(path: Path) -> None:
    found = locate(open_subset(path), "val", 1)
    assert found.photo == f"val/ILSVRC2012_val_{ACORN_VAL[1]:08d}.JPEG"
    assert (found.row, found.image_id, found.label) == (1, ACORN_VAL[1], 0)
    assert (found.wnid, found.name) == ("n12267677", "acorn")


def test_of_a_train_photo_the_class_folder_is_known(path: Path) -> None:
    assert locate(open_subset(path), "train", 0).photo == "train/n02690373/"


def test_a_train_photo_is_found_by_the_train_list(path: Path, ilsvrc: Path) -> None:
    subset = open_subset(path)
    for row, name in enumerate(["n02690373_10", "n02690373_9", "n12267677_500"]):
        photo = Path(locate(subset, "train", row, data_dir=ilsvrc).photo)
        assert photo.stem == name
        assert photo.is_file()


def test_a_train_photo_is_found_by_a_train_list_that_is_given(path: Path, ilsvrc: Path) -> None:
    moved = (ilsvrc / "ImageSets/CLS-LOC/train_cls.txt").rename(ilsvrc / "list.txt")
    subset = open_subset(path)
    with pytest.raises(SourceError, match="--train_list"):
        locate(subset, "train", 1, data_dir=ilsvrc)
    photo = locate(subset, "train", 1, data_dir=ilsvrc, train_list=moved).photo
    assert photo.endswith("n02690373_9.JPEG")


def test_in_a_complete_class_folder_a_train_photo_is_found_by_its_rank(
    write_subset: Write, tmp_path: Path
) -> None:
    folder = tmp_path / "CLS-LOC/train" / VOLCANO.wnid
    folder.mkdir(parents=True)
    names = [f"{VOLCANO.wnid}_{10_000 + i}" for i in range(VOLCANO.num_train_images)]
    for name in names:
        (folder / f"{name}.JPEG").touch()
    ids = {"train": [VOLCANO.first_train_id + 700]}
    subset = open_subset(write_subset([2], [], ids=ids))
    photo = locate(subset, "train", 0, data_dir=tmp_path).photo
    assert Path(photo) == folder / f"{names[700]}.JPEG"


def test_a_val_photo_is_found_flat_and_in_class_folders(path: Path, ilsvrc: Path) -> None:
    subset = open_subset(path)
    photo = Path(locate(subset, "val", 0, data_dir=ilsvrc).photo)
    assert photo.is_file()
    (photo.parent / ACORN.wnid).mkdir()
    moved = photo.rename(photo.parent / ACORN.wnid / photo.name)
    assert Path(locate(subset, "val", 0, data_dir=ilsvrc).photo) == moved


def test_a_photo_that_is_not_there_is_an_error(path: Path, ilsvrc: Path) -> None:
    Path(locate(open_subset(path), "val", 0, data_dir=ilsvrc).photo).unlink()
    with pytest.raises(SourceError, match=f"no photo of n12267677 with val_id {ACORN_VAL[0]}"):
        locate(open_subset(path), "val", 0, data_dir=ilsvrc)


@pytest.mark.parametrize("row", [3, -1, 10**12])
def test_a_row_that_is_not_there_is_an_error(path: Path, row: int) -> None:
    with pytest.raises(ReadError, match=f"no row {row} in train, which has rows 0 to 2"):
        locate(open_subset(path), "train", row)


def test_a_split_without_rows_is_told(write_subset: Write) -> None:
    subset = open_subset(write_subset([0], []))
    with pytest.raises(ReadError, match="no row 0 in val, which has no rows"):
        locate(subset, "val", 0)
    with pytest.raises(ReadError, match="val_id has no 1; there are no val images"):
        row_of_id(subset, "val", 1)


def test_an_id_leads_to_its_row_and_an_unknown_one_to_an_error(path: Path) -> None:
    subset = open_subset(path)
    assert [row_of_id(subset, "train", image_id) for image_id in IDS["train"]] == [0, 1, 2]
    for image_id in (7, -1, 10**12):
        with pytest.raises(
            ReadError, match=f"train_id has no {image_id}; the 3 ids there are between"
        ):
            row_of_id(subset, "train", image_id)


def test_an_id_that_stands_twice_is_an_error(write_subset: Write) -> None:
    subset = open_subset(write_subset([0, 0, 0], [], ids={"train": [4, 9, 4]}, foreign=True))
    with pytest.raises(ReadError, match="train_id has 4 in 2 rows, 0 and 2 first"):
        row_of_id(subset, "train", 4)


def test_a_foreign_file_without_names_is_located_by_the_ilsvrc_tables(
    write_subset: Write, ilsvrc: Path
) -> None:
    subset = open_subset(write_subset([8, 8, 8], [8, 8], ids=IDS, csv=None, foreign=True))
    train, val = locate(subset, "train", 2), locate(subset, "val", 0, data_dir=ilsvrc)
    assert (train.label, train.wnid, train.photo) == (8, "n12267677", "train/n12267677/")
    assert (val.label, val.wnid, val.name) == (8, "n12267677", "acorn")
    assert Path(val.photo).is_file()


def test_an_id_that_is_made_of_a_name_needs_no_tables_and_no_folder(write_subset: Write) -> None:
    ids = {"train": [name_id(ACORN, f"{ACORN.wnid}_10026"), -1], "val": [-2_010_026]}
    subset = open_subset(write_subset([8, 8], [8], ids=ids, csv=None, foreign=True))
    assert subset.by_name
    found = locate(subset, "train", 0)
    assert (found.wnid, found.name) == (ACORN.wnid, "acorn")
    assert found.photo == f"train/{ACORN.wnid}/{ACORN.wnid}_10026.JPEG"
    for other in (locate(subset, "train", 1), locate(subset, "val", 0)):
        assert (other.wnid, other.photo) == ("", "")


def test_of_a_photo_that_has_gone_the_id_that_is_made_of_its_name_is_told(
    write_subset: Write, ilsvrc: Path
) -> None:
    ids = {"train": [name_id(ACORN, f"{ACORN.wnid}_{k}") for k in (501, 500)]}
    subset = open_subset(write_subset([0, 0], [], ids=ids, foreign=True))
    assert locate(subset, "train", 1, data_dir=ilsvrc).photo.endswith(f"{ACORN.wnid}_500.JPEG")
    with pytest.raises(SourceError, match=f"no photo of {ACORN.wnid} with train_id -19"):
        locate(subset, "train", 0, data_dir=ilsvrc)


def test_ids_beyond_ilsvrc_have_no_class(write_subset: Write, ilsvrc: Path) -> None:
    ids = {"train": [0, 1_281_168], "val": [0, 50_001]}
    subset = open_subset(write_subset([8, 8], [8, 8], ids=ids, csv=None, foreign=True))
    for split in ("train", "val"):
        for row in (0, 1):
            found = locate(subset, split, row)
            assert (found.wnid, found.photo) == ("", "")
            with pytest.raises(ReadError, match=f"{split}_id {found.image_id} is no image of"):
                locate(subset, split, row, data_dir=ilsvrc)


def test_a_class_that_ilsvrc_does_not_have_is_named(
    path: Path, write_subset: Write, ilsvrc: Path
) -> None:
    csv = "subset_label,original_id,WNID,human_label\n0,1,n00000001,thing\n"
    subset = open_subset(write_subset([], [0], csv=csv, foreign=True))
    with pytest.raises(ReadError, match="n00000001 is no class of ILSVRC 2012"):
        locate(subset, "val", 0, data_dir=ilsvrc)


def test_the_command_prints_it_and_saves_the_image(
    path: Path, command: Command, tmp_path: Path
) -> None:
    png = tmp_path / "row.png"
    out = command("locate", path, "--id", IDS["train"][1], "--split", "train", "--save", png)
    assert out.splitlines() == [
        "split  train",
        "row    1",
        f"id     {IDS['train'][1]}",
        "label  1",
        "WNID   n02690373",
        "name   airliner",
        "photo  train/n02690373/ (--data_dir DIR finds the file)",
    ]
    with Image.open(png) as image:
        assert np.array_equal(np.asarray(image), open_subset(path).X_train[1])


def test_the_command_prints_json(path: Path, command: Command, ilsvrc: Path) -> None:
    out = command("locate", path, "--row", 0, "--split", "train", "--data_dir", ilsvrc, "--json")
    assert json.loads(out) == {
        "split": "train",
        "row": 0,
        "id": IDS["train"][0],
        "label": 1,
        "WNID": "n02690373",
        "human_label": "airliner",
        "photo": str(ilsvrc / "Data/CLS-LOC/train/n02690373/n02690373_10.JPEG"),
        "saved": "",
    }


def test_an_image_that_cannot_be_saved_is_an_error(
    path: Path, command: Command, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="can't write"):
        command("locate", path, "--row", 0, "--split", "val", "--save", tmp_path / "no" / "a.png")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--split", "train"],
        ["--row", "0"],
        ["--row", "0", "--id", "1", "--split", "train"],
        ["--row", "x", "--split", "train"],
        ["--row", "0", "--split", "train", "--save", "a.jpg"],
    ],
)
def test_wrong_arguments_are_wrong_usage(
    path: Path, command: Command, arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command("locate", path, *arguments)
    assert caught.value.code == 2
