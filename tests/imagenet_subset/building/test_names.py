"""A build whose train photos have no ILSVRC numbers, from its plan to its preview."""

from __future__ import annotations

import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imagenet_subset import build, verify
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from imagenet_subset.errors import OutputExistsError, ResumeMismatchError, SourceError
from imagenet_subset.ilsvrc.numbering import name_of_id
from imagenet_subset.reading.locate import locate, row_of_id
from imagenet_subset.reading.subset import open_subset
from imagenet_subset.viewing.page import write_page
from tests.harness.planned import carried_out, planned


@pytest.fixture(scope="module")
def unlisted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``CLS-LOC`` of a tree whose ``ImageSets`` is elsewhere."""
    root = tmp_path_factory.mktemp("unlisted")
    data = write_demo_tree(root / "ILSVRC", wnids=DEMO_WNIDS[:3], train_per_class=7)
    (root / "ILSVRC/ImageSets").rename(root / "ImageSets")
    (data / "three.txt").write_text("\n".join(DEMO_WNIDS[:3]))
    return data


def list_of(data: Path) -> Path:
    """The list of `unlisted`."""
    return data.parents[2] / "ImageSets/CLS-LOC/train_cls.txt"


def plan(data: Path, out: Path, **options: Any) -> BuildPlan:
    chosen = {"device": "cpu", "pipeline": "pillow", "missing": "skip"}
    return planned(data / "three.txt", data, out, **{**chosen, **options})


@pytest.fixture(scope="module")
def named(unlisted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """File of a build by names."""
    return carried_out(plan(unlisted, tmp_path_factory.mktemp("named"))).npz


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_without_numbers_a_build_is_refused_unless_photos_may_be_missing(
    unlisted: Path, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match=r"--train_list, .* --missing skip, which makes ids of"):
        plan(unlisted, tmp_path, missing="error")


def test_each_train_id_is_made_of_its_photos_name(named: Path, unlisted: Path) -> None:
    subset = open_subset(named)
    found = [name_of_id(image_id) for image_id in subset.train_id.tolist()]
    there = [(path.parent.name, path.stem) for path in (unlisted / "train").rglob("*.JPEG")]
    assert sorted(filter(None, found)) == sorted(there)
    assert (np.diff(subset.train_id) > 0).all()
    wnids = [subset.class_rows[label].WNID for label in subset.y_train.tolist()]
    assert wnids == [name[0] for name in found if name]
    assert subset.val_id.min() > 0


def test_the_file_says_that_its_ids_are_names(named: Path) -> None:
    subset = open_subset(named)
    assert subset.by_name
    assert subset.provenance is not None
    assert subset.provenance["format_version"] == 2
    assert subset.provenance["train_id"] == "names"


def test_a_list_has_its_numbers_whatever_may_be_missing(unlisted: Path, tmp_path: Path) -> None:
    numbered = plan(unlisted, tmp_path, train_list=list_of(unlisted))
    assert numbered.records["train"].ids.min() > 0
    fields = numbered.provenance.to_dict()
    assert fields["format_version"] == 1
    assert "train_id" not in fields


def test_a_build_without_train_has_no_names(unlisted: Path, tmp_path: Path) -> None:
    fields = plan(unlisted, tmp_path, splits=("val",)).provenance.to_dict()
    assert fields["format_version"] == 1
    assert "train_id" not in fields


def test_any_number_of_workers_makes_the_same_bytes(cli, unlisted: Path, tmp_path: Path) -> None:
    made = []
    words = ["--subset_name", unlisted / "three.txt", "--data_dir", unlisted, "--missing", "skip",
             "--device", "cpu", "--pipeline", "pillow"]  # fmt: skip
    for workers in (1, 3):
        out = tmp_path / f"{workers}"
        done = cli(*words, "--out_dir", out, "--workers", workers)
        assert done.returncode == 0, done.stderr
        assert "train_id: negative, made of the photos' names" in done.stdout
        assert "train_id is negative, made of the photos' names" in done.stderr
        made.append(sha256(out / "three_cls.npz"))
    assert made[0] == made[1]
    again = cli(*words, "--out_dir", out)
    assert "already complete" in again.stdout
    assert "train_id: negative" in again.stdout


# Files with numbers and files with names


def unfinished(todo: BuildPlan) -> BuildPlan:
    """Stop a build after its first shard."""

    def stop(_shard: object) -> None:
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
        carried_out(todo, executor=executor, progress=stop)
    assert todo.output.partial.exists()
    return todo


@pytest.mark.parametrize("names_first", [True, False])
def test_numbers_do_not_go_on_with_names_nor_names_with_numbers(
    unlisted: Path, tmp_path: Path, names_first: bool
) -> None:
    lists = [None, list_of(unlisted)] if names_first else [list_of(unlisted), None]
    first, second = (plan(unlisted, tmp_path, train_list=path) for path in lists)
    unfinished(first)
    with pytest.raises(ResumeMismatchError, match=r"format_version: . there, . here"):
        carried_out(second)
    carried_out(first)
    before = sha256(first.output.npz)
    with pytest.raises(OutputExistsError, match=r"format_version: . there, . here.*train_id: "):
        carried_out(second)
    assert sha256(first.output.npz) == before


def test_an_interrupted_build_by_names_ends_in_the_same_bytes(
    named: Path, unlisted: Path, tmp_path: Path
) -> None:
    unfinished(plan(unlisted, tmp_path))
    result = carried_out(plan(unlisted, tmp_path))
    assert result.kept > 0
    assert sha256(result.npz) == sha256(named)


# What reads the file


def test_verify_finds_each_photo_by_its_name_whatever_list_there_is(
    named: Path, unlisted: Path
) -> None:
    for train_list in (None, list_of(unlisted)):
        report = verify(named, unlisted, train_list=train_list, sample=None)
        assert report.ok, (report.problems, report.source_problems)
        assert report.compared == 171
    assert any("train ids are made of the photos' names" in line for line in report.checked)


def test_verify_tells_a_photo_that_has_gone_from_one_that_was_replaced(
    named: Path, unlisted: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(unlisted, tmp_path / "CLS-LOC"))
    gone, replaced, other = sorted((data / "train").rglob("*.JPEG"))[:3]
    gone.unlink()
    replaced.write_bytes(other.read_bytes())
    report = verify(named, data, sample=None)
    ids = open_subset(named).train_id.tolist()
    (missing,) = report.source_problems
    assert name_of_id(int(missing.rpartition(" ")[2])) == (gone.parent.name, gone.stem)
    (differs,) = report.problems
    row = next(k for k, i in enumerate(ids) if name_of_id(i) == (other.parent.name, replaced.stem))
    assert f"row {row} of train" in differs


def test_locate_leads_from_a_row_and_from_an_id_to_the_photo(
    command, named: Path, unlisted: Path
) -> None:
    subset = open_subset(named)
    for row, image_id in enumerate(subset.train_id.tolist()):
        assert row_of_id(subset, "train", image_id) == row
        wnid, stem = name_of_id(image_id) or ("", "")
        for data_dir, above in ((None, Path()), (unlisted, unlisted)):
            found = locate(subset, "train", row, data_dir=data_dir)
            assert (Path(found.photo), found.wnid) == (above / f"train/{wnid}/{stem}.JPEG", wnid)
    with_list = locate(subset, "train", 0, data_dir=unlisted, train_list=list_of(unlisted))
    assert with_list == locate(subset, "train", 0, data_dir=unlisted)
    for words in (["--id", image_id], [f"--id={image_id}"], ["--row", row]):
        text = command("locate", named, "--split", "train", *words)
        assert f"id     {image_id} (made of the photo's name)" in text
        assert f"photo  train/{wnid}/{stem}.JPEG\n" in text


def test_inspect_says_what_the_ids_are(command, named: Path) -> None:
    assert "\ntrain ids   negative, made of the photos' names" in command("inspect", named)
    summary = json.loads(command("inspect", named, "--json"))
    assert summary["provenance"]["train_id"] == "names"


def test_the_page_shows_the_ids(named: Path, tmp_path: Path) -> None:
    subset = open_subset(named)
    write_page(subset, tmp_path / "page.html", ["train"], per_class=7)
    page = (tmp_path / "page.html").read_text()
    for image_id in subset.train_id.tolist():
        assert f"train_id {image_id}" in page


def test_undecodable_photos_are_left_out_of_a_build_by_names_too(
    unlisted: Path, tmp_path: Path
) -> None:
    data = Path(shutil.copytree(unlisted, tmp_path / "CLS-LOC"))
    bad = min((data / "train").rglob("*.JPEG"))
    bad.write_bytes(b"no photo")
    result = build(
        data / "three.txt", data, tmp_path / "out", missing="skip", skip_undecodable=True,
        device="cpu", pipeline="pillow",
    )  # fmt: skip
    ids = open_subset(result.npz).train_id.tolist()
    assert (bad.parent.name, bad.stem) not in map(name_of_id, ids)
    assert len(ids) == 20
    assert verify(result.npz, data, sample=None).ok
