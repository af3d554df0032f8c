"""A build whose labels are superclasses, from its plan to its preview."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.checking.file import verify
from imagenet_subset.checking.pixels import compare_with_photos
from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from imagenet_subset.errors import OutputExistsError, ReadError, SourceError, UndecodableError
from imagenet_subset.ilsvrc.classes import class_table, wnid_of_val
from imagenet_subset.npz.class_csv import read_class_rows
from imagenet_subset.npz.comment import encode_comment
from imagenet_subset.npz.provenance import Provenance
from imagenet_subset.reading.locate import locate
from imagenet_subset.reading.subset import open_subset
from imagenet_subset.records import SPLITS
from imagenet_subset.viewing.lettering import Lettering
from imagenet_subset.viewing.page import write_page
from imagenet_subset.viewing.sheet import write_sheets
from pipelines.rule import PixelRule
from tests.harness.planned import carried_out, planned

ACORN, AIRLINER, AMBULANCE, SHARK = DEMO_WNIDS[:4]
TEXT = f"things, that move: {AMBULANCE} {AIRLINER}\n{SHARK}\nnut: {ACORN}\n"
LABELS = {AMBULANCE: 0, AIRLINER: 0, SHARK: 1, ACORN: 2}
RULE = PixelRule(72, 64)


@pytest.fixture(scope="module")
def subset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("super") / "super.txt"
    path.write_text(TEXT)
    return path


def plan(subset: Path, tree: Path, out: Path, **options: object) -> BuildPlan:
    chosen = {"device": "cpu", "pipeline": "pillow", "rule": RULE, **options}
    return planned(subset, tree, out, **chosen)


@pytest.fixture(scope="module")
def built(tree: Path, subset: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildPlan:
    return carried_out(plan(subset, tree, tmp_path_factory.mktemp("out"))).plan


def test_the_photos_of_a_superclass_have_its_label(built: BuildPlan) -> None:
    with np.load(built.output.npz) as npz:
        for split in SPLITS:
            records = list(built.records[split])
            assert npz[f"y_{split}"].tolist() == [record.label for record in records]
            assert npz[f"{split}_id"].tolist() == [record.image_id for record in records]
            assert [record.label for record in records] == [LABELS[r.wnid] for r in records]
            assert {record.wnid for record in records} == LABELS.keys()
            assert all(r.stem.startswith(r.wnid) for r in records if split == "train")
        val = [wnid_of_val(int(number)) for number in npz["val_id"]]
        assert npz["y_val"].tolist() == [LABELS[wnid] for wnid in val if wnid]


def test_the_csv_has_a_row_for_each_wnid(built: BuildPlan) -> None:
    assert built.output.csv.read_text().splitlines() == [
        "subset_label,original_id,WNID,human_label",
        f"0,265,{AMBULANCE},ambulance",
        f"0,230,{AIRLINER},airliner",
        f"1,443,{SHARK},tiger_shark",
        f"2,327,{ACORN},acorn",
    ]


def test_the_provenance_has_labels_and_names(built: BuildPlan) -> None:
    fields = built.provenance.to_dict()
    assert fields["format_version"] == 2
    assert fields["subset"]["labels"] == [0, 0, 1, 2]
    assert fields["subset"]["names"] == ["things, that move", None, "nut"]
    assert fields["subset"]["wnids"] == [AMBULANCE, AIRLINER, SHARK, ACORN]
    read = Provenance.from_comment(built.output.npz, built.provenance.to_comment())
    assert read == built.provenance
    assert "super, 3 classes of 4 WNIDs" in dict(built.provenance.describe())["subset"]


@pytest.mark.parametrize(
    "change",
    [
        {"labels": [0, 0, 1]},
        {"labels": [1, 1, 2, 3]},
        {"labels": [0, 2, 2, 1]},
        {"labels": [False, False, True, 2]},
        {"names": ["a"]},
        {"names": [1, 2, 3]},
    ],
)
def test_labels_and_names_that_no_build_writes_are_refused(
    built: BuildPlan, change: dict[str, object]
) -> None:
    fields = built.provenance.to_dict()
    fields["subset"] |= change
    with pytest.raises(ReadError, match=r"subset\.(labels|names) is of another kind"):
        Provenance.from_comment(built.output.npz, encode_comment(fields))


def test_without_its_csv_the_file_knows_its_classes(built: BuildPlan, tmp_path: Path) -> None:
    beside = read_class_rows(built.output.npz, built.provenance)
    assert read_class_rows(tmp_path / built.output.npz.name, built.provenance) == beside


def test_a_csv_with_other_labels_is_refused(built: BuildPlan, tmp_path: Path) -> None:
    path = shutil.copy(built.output.npz, tmp_path)
    text = built.output.csv.read_text()
    (tmp_path / built.output.csv.name).write_text(
        text.replace("0,230", "1,230").replace("1,443", "2,443").replace("2,327", "3,327")
    )
    with pytest.raises(ReadError, match="names other classes than"):
        _ = open_subset(path).class_rows


def test_a_dataset_has_the_superclasses_names(built: BuildPlan) -> None:
    dataset = open_subset(built.output.npz).dataset("val")
    assert dataset.classes == ["things, that move", "tiger_shark", "nut"]
    assert dataset.class_to_idx == {"things, that move": 0, "tiger_shark": 1, "nut": 2}


def test_verify_compares_labels_with_superclasses(built: BuildPlan, tree: Path) -> None:
    report = verify(built.output.npz)
    compare_with_photos(report, tree, sample=None)
    assert report.ok, (report.problems, report.source_problems)
    assert report.compared == sum(built.rows.values())


def test_verify_finds_an_image_under_another_superclass(built: BuildPlan, tmp_path: Path) -> None:
    fields = built.provenance.to_dict()
    fields["subset"]["labels"], fields["subset"]["names"] = [0, 1, 1, 2], ["a", "b", "nut"]
    old, new = built.provenance.to_comment(), encode_comment(fields)
    data = built.output.npz.read_bytes().removesuffix(len(old).to_bytes(2, "little") + old)
    path = tmp_path / built.output.npz.name
    path.write_bytes(data + len(new).to_bytes(2, "little") + new)
    first = next(r for r in built.records["train"] if r.wnid == AIRLINER)
    what = f"ILSVRC's train image {first.image_id} shows airliner"
    assert f"row {first.row} of train: label 0 (ambulance), but {what}" in verify(path).problems


def test_locate_leads_to_the_class_of_the_photo(built: BuildPlan) -> None:
    subset = open_subset(built.output.npz)
    for split in SPLITS:
        for record in list(built.records[split])[::7]:
            found = locate(subset, split, record.row)
            assert (found.wnid, found.label) == (record.wnid, record.label)
            assert found.name == class_table()[record.wnid].human_label


def test_inspect_counts_the_images_of_superclasses(
    built: BuildPlan, command: Callable[..., str]
) -> None:
    text = command("inspect", built.output.npz)
    assert "    0  2 WNIDs    things, that move     40  100\n" in text
    classes = json.loads(command("inspect", "--json", built.output.npz))["classes"]
    assert [row["name"] for row in classes[::2]] == ["things, that move", "nut"]
    assert classes[0]["train"] == 40
    assert [row["WNID"] for row in classes[0]["classes"]] == [AMBULANCE, AIRLINER]
    assert classes[1] == {
        "subset_label": 1, "original_id": 443, "WNID": SHARK, "human_label": "tiger_shark",
        "train": 20, "val": 50,
    }  # fmt: skip


def test_sheet_and_page_show_superclasses(built: BuildPlan, tmp_path: Path) -> None:
    subset = open_subset(built.output.npz)
    assert write_sheets(subset, tmp_path / "s.png", "train")
    write_page(subset, tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text()
    assert ">things, that move</a></h2>" in page
    assert f"airliner {AIRLINER} label 0" in page


def test_another_grouping_of_the_same_classes_is_another_file(
    built: BuildPlan, tree: Path, tmp_path: Path
) -> None:
    other = tmp_path / "super.txt"
    other.write_text(TEXT.replace(f"{AIRLINER}\n{SHARK}", f"\nplane: {AIRLINER}\n{SHARK}"))
    with pytest.raises(OutputExistsError, match=r"subset\.labels: \[0, 0, 1, 2\] there"):
        carried_out(plan(other, tree, built.output.folder))


def test_each_class_of_a_superclass_has_to_have_photos(
    subset: Path, tree: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(tree.parents[1], tmp_path / "ILSVRC")) / "Data/CLS-LOC"
    shutil.rmtree(data / "train" / AIRLINER)
    with pytest.raises(SourceError, match=rf"no train photo of {AIRLINER} \(airliner\)"):
        plan(subset, data, tmp_path, missing="skip")


def test_a_class_that_would_lose_its_last_photo_is_named(subset: Path, tmp_path: Path) -> None:
    data = write_demo_tree(tmp_path / "ILSVRC", wnids=DEMO_WNIDS[:4], train_per_class=2)
    for photo in (data / "train" / AIRLINER).iterdir():
        photo.write_bytes(b"damaged")
    with pytest.raises(UndecodableError, match=rf"2 train images of {AIRLINER} \(airliner\)"):
        carried_out(plan(subset, data, tmp_path / "out", skip_undecodable=True))


def test_names_of_any_script_are_shown_as_they_are(
    tree: Path, tmp_path: Path, command: Callable[..., str]
) -> None:
    """Persian, and an emoji: joined by characters that have no width."""
    persian = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    emoji = "\N{WOMAN}\u200d\N{MICROSCOPE}"
    text = f"{persian}: {AMBULANCE} {AIRLINER}\n{emoji}: {ACORN} {SHARK}\n"
    (tmp_path / "names.txt").write_text(text, encoding="utf-8")
    npz = carried_out(plan(tmp_path / "names.txt", tree, tmp_path)).plan.output.npz
    subset = open_subset(npz)
    assert subset.class_names == [persian, emoji]
    assert persian in (subset._repr_html_() or "")
    assert persian in command("inspect", npz)
    assert json.loads(command("inspect", npz, "--json"))["classes"][0]["name"] == persian
    assert read_class_rows(npz, subset.made)[0].WNID == AMBULANCE
    assert verify(npz).ok
    page = tmp_path / "page.html"
    write_page(subset, page)
    assert persian in page.read_text(encoding="utf-8")
    assert Lettering().drawable(f"a {emoji}") == "a ??"
    assert write_sheets(subset, tmp_path / "sheet.png", "val")
