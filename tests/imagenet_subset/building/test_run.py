"""The build, end to end: right pixels in the right rows, and the same bytes every time."""

from __future__ import annotations

import csv
import hashlib
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imagenet_subset
from imagenet_subset.building import output
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from imagenet_subset.errors import (
    OutputError,
    OutputExistsError,
    ResumeMismatchError,
    UndecodableError,
)
from imagenet_subset.ilsvrc.classes import class_table, val_ground_truth
from imagenet_subset.ilsvrc.numbering import rank_key
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.selection.subset import load_subset
from imagenet_subset.system.space import reserve
from pipelines.pillow import decode
from tests.harness.planned import carried_out, planned
from tests.harness.tiers import thorough


def plan(tree: Path, subset: Path, out: Path, **options: Any) -> BuildPlan:
    chosen = {"device": "cpu", "pipeline": "pillow", "workers": 2, **options}
    return planned(subset, tree, out, **chosen)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def built(tree: Path, subset_file: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildPlan:
    return carried_out(plan(tree, subset_file, tmp_path_factory.mktemp("built"))).plan


def test_the_space_of_a_new_file_is_reserved_once_and_that_of_an_old_one_again(
    tree: Path, subset_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To reserve what is reserved takes long too, where a file is in memory."""
    target, reserved = plan(tree, subset_file, tmp_path).target, []

    def noted(fd: int, size: int, folder: Path) -> None:
        reserved.append(size)
        reserve(fd, size, folder)

    monkeypatch.setattr(output, "reserve", noted)
    with pytest.raises(KeyboardInterrupt), output.unfinished(target, overwrite=False):
        raise KeyboardInterrupt
    assert reserved == [target.layout.size]
    with pytest.raises(KeyboardInterrupt), output.unfinished(target, overwrite=False):
        raise KeyboardInterrupt
    assert reserved == [target.layout.size] * 2


def test_every_row_is_its_photo_as_torchvision_would_give_it(built: BuildPlan) -> None:
    with np.load(built.output.npz) as npz:
        for split in ("train", "val"):
            X, y, ids = npz[f"X_{split}"], npz[f"y_{split}"], npz[f"{split}_id"]
            assert len(X) == len(built.records[split]) > 0
            for record in built.records[split]:
                with Image.open(built.store.describe(record.location)) as file:
                    image = file.convert("RGB")
                w, h = image.size
                size = (256, int(256 * h / w)) if w <= h else (int(256 * w / h), 256)
                image = image.resize(size, Image.Resampling.BILINEAR)
                left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
                image = image.crop((left, top, left + 224, top + 224))
                np.testing.assert_array_equal(X[record.row], np.asarray(image))
                assert (y[record.row], ids[record.row]) == (record.label, record.image_id)


def test_rows_are_where_the_journal_s_order_puts_them(built: BuildPlan) -> None:
    n_train, layout = built.rows["train"], built.layout
    assert layout.rows.offset(n_train - 1) == layout.rows.offset_of("train", n_train - 1)
    assert layout.rows.offset(n_train) == layout.rows.offset_of("val", 0)


def test_ids_and_labels_lead_back_to_the_photos(built: BuildPlan, tree: Path) -> None:
    lists = (tree / "../../ImageSets/CLS-LOC/train_cls.txt").read_text()
    listed = dict(line.split() for line in lists.splitlines())
    names = {int(number): name for name, number in listed.items()}
    classes = built.subset.classes
    with np.load(built.output.npz) as npz:
        for split in ("train", "val"):
            assert (np.diff(npz[f"{split}_id"]) > 0).all()
        for image_id, label in zip(npz["train_id"], npz["y_train"], strict=True):
            assert names[image_id].startswith(classes[label].wnid)
        for image_id, label in zip(npz["val_id"], npz["y_val"], strict=True):
            assert val_ground_truth()[image_id - 1] == classes[label].clsloc_id


def test_the_csv_has_a_line_per_class(built: BuildPlan, subset_file: Path) -> None:
    with open(built.output.csv, newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["subset_label", "original_id", "WNID", "human_label"]
    wnids = subset_file.read_text().split()
    expected = [
        [str(i), str(class_table()[w].clsloc_id), w, class_table()[w].human_label]
        for i, w in enumerate(wnids)
    ]
    assert rows[1:] == expected


def test_the_provenance_names_no_time_host_or_path(built: BuildPlan, tmp_path: Path) -> None:
    with zipfile.ZipFile(built.output.npz) as archive:
        provenance = json.loads(archive.comment)
    assert set(provenance) == {
        "crc32", "format", "format_version", "left_out", "pipeline", "pixel_rule",
        "program_version", "splits", "subset",
    }  # fmt: skip
    assert provenance["pipeline"]["name"] == "pillow"
    assert "/" not in json.dumps(provenance).replace("longer//shorter", "")


@thorough("one whole build more")
@pytest.mark.parametrize("workers", [1, 3])
def test_the_number_of_workers_leaves_no_trace(built, tree, subset_file, tmp_path, workers) -> None:
    result = carried_out(plan(tree, subset_file, tmp_path, workers=workers))
    assert sha256(result.plan.output.npz) == sha256(built.output.npz)


@thorough("one whole build more")
def test_the_layout_of_the_source_leaves_no_trace(built, subset_file, tmp_path) -> None:
    other = write_demo_tree(tmp_path / "ILSVRC", val_folders=True)
    result = carried_out(plan(other, subset_file, tmp_path / "out"))
    assert sha256(result.plan.output.npz) == sha256(built.output.npz)


def test_any_executor_will_do(built, tree, subset_file, tmp_path) -> None:
    with ThreadPoolExecutor(2) as pool:
        result = carried_out(plan(tree, subset_file, tmp_path), executor=pool)
    assert sha256(result.plan.output.npz) == sha256(built.output.npz)


def test_nothing_but_the_npz_and_the_csv_is_left(built: BuildPlan) -> None:
    names = sorted(path.name for path in built.output.folder.iterdir())
    assert names == ["five_cls.npz", "five_cls_metadata.csv"]


def test_the_same_command_again_finds_it_complete(built, tree, subset_file) -> None:
    before = built.output.npz.stat()
    result = carried_out(plan(tree, subset_file, built.output.folder))
    assert result.already_complete
    assert built.output.npz.stat().st_mtime_ns == before.st_mtime_ns


def test_a_finished_file_of_other_contents_is_not_overwritten(built, tree, tmp_path) -> None:
    other = tmp_path / "five.txt"
    other.write_text("\n".join(reversed(built.subset.wnids)))
    with pytest.raises(OutputExistsError, match=r"subset\.wnids.*--overwrite"):
        carried_out(plan(tree, other, built.output.folder))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"splits": ("test",)}, "splits"),
        ({"splits": ()}, "splits"),
        ({"missing": "ignore"}, "missing is 'error' or 'skip', not 'ignore'"),
        ({"workers": 0}, "workers is 1 or more"),
        ({"device": "tpu"}, "device is auto, gpu or cpu"),
        ({"batch_size": 0}, "batch_size is 1 to"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused(
    tree, subset_file, tmp_path, wrong, says
) -> None:
    with pytest.raises(ValueError, match=says):
        imagenet_subset.build(subset_file, tree, tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_the_result_of_a_build_fits_in_a_line_and_names_its_files(built, tree, subset_file) -> None:
    result = imagenet_subset.build(subset_file, tree, built.output.folder, pipeline="pillow")
    assert repr(result) == (
        f"<BuildResult {built.output.npz}: 100 train and 250 val images; already complete>"
    )
    assert (result.npz, result.csv) == (built.output.npz, built.output.csv)


@thorough("one whole build more")
def test_overwriting_gives_the_same_bytes(tree, subset_file, tmp_path) -> None:
    first = carried_out(plan(tree, subset_file, tmp_path)).plan.output.npz
    before = sha256(first)
    again = carried_out(plan(tree, subset_file, tmp_path), overwrite=True)
    assert not again.already_complete
    assert sha256(first) == before


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_left_out_is_an_array_of_length_0(tree, subset_file, tmp_path, split) -> None:
    result = carried_out(plan(tree, subset_file, tmp_path, splits=[split]))
    other = "val" if split == "train" else "train"
    with np.load(result.plan.output.npz) as npz:
        assert npz[f"X_{other}"].shape == (0, 224, 224, 3)
        assert npz[f"y_{other}"].shape == npz[f"{other}_id"].shape == (0,)
        assert len(npz[f"X_{split}"]) > 0


# Damaged images


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    return write_demo_tree(tmp_path / "ILSVRC", wnids=DEMO_WNIDS[::2], damaged=30)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Possibly corrupt EXIF data")
def test_all_damaged_images_are_named_in_one_run(damaged, subset_file, tmp_path) -> None:
    todo = plan(damaged, subset_file, tmp_path / "out")
    with pytest.raises(UndecodableError, match=r"images can't be decoded.*--skip_undecodable"):
        carried_out(todo)
    with open(todo.output.failures, newline="") as file:
        rows = list(csv.DictReader(file))
    bad = {row["path"] for row in rows}
    for split in ("train", "val"):
        for record in todo.records[split]:
            path = todo.store.describe(record.location)
            assert (path in bad) == (not decodes(path)), path
    assert len(bad) == 30
    assert all(row["reason"] for row in rows)
    assert not todo.output.npz.exists()


def decodes(path: str) -> bool:
    try:
        with Image.open(path) as image:
            image.convert("RGB")
    except (OSError, SyntaxError):
        return False
    return True


def test_only_replaced_images_are_decoded_again(damaged, subset_file, tmp_path) -> None:
    todo = plan(damaged, subset_file, tmp_path / "out")
    with pytest.raises(UndecodableError):
        carried_out(todo)
    with open(todo.output.failures, newline="") as file:
        bad = [Path(row["path"]) for row in csv.DictReader(file)]
    good = Path(todo.store.describe(todo.records["val"][0].location))
    for path in bad:
        path.write_bytes(good.read_bytes())
    result = carried_out(todo)
    assert result.decoded == len(bad)
    assert result.kept == sum(todo.rows.values()) - len(bad)
    fresh = carried_out(plan(damaged, subset_file, tmp_path / "fresh"))
    assert sha256(todo.output.npz) == sha256(fresh.plan.output.npz)
    assert not todo.output.failures.exists()


def test_skipping_damaged_images_moves_the_others_up(damaged, subset_file, tmp_path) -> None:
    todo = plan(damaged, subset_file, tmp_path / "out")
    with pytest.raises(UndecodableError):
        carried_out(todo)
    result = carried_out(todo, skip_undecodable=True)
    assert result.decoded == 0
    left_out = len(result.failures)
    assert result.plan.undecodable == left_out > 0
    with np.load(todo.output.npz) as npz, zipfile.ZipFile(todo.output.npz) as archive:
        assert archive.testzip() is None
        assert json.loads(archive.comment)["left_out"]["undecodable"] == left_out
        absent = {record.image_id for record, _ in result.failures}
        ids = [r.image_id for r in todo.records["train"] if r.image_id not in absent]
        assert npz["train_id"].tolist() == ids
        by_id = {r.image_id: r for r in todo.records["train"]}
        for image, image_id in zip(npz["X_train"], ids, strict=True):
            data = Path(todo.store.describe(by_id[image_id].location)).read_bytes()
            np.testing.assert_array_equal(image, decode(data))
        np.testing.assert_array_equal(npz["val_id"], [r.image_id for r in todo.records["val"]])
    again = carried_out(todo, skip_undecodable=True)
    assert again.already_complete
    assert again.plan.undecodable == 30
    direct = carried_out(plan(damaged, subset_file, tmp_path / "b"), skip_undecodable=True)
    assert sha256(direct.plan.output.npz) == sha256(todo.output.npz)
    with pytest.raises(OutputExistsError, match=r"left_out\.undecodable"):
        carried_out(todo)


def test_no_class_is_left_without_an_image(own_tree, subset_file, tmp_path) -> None:
    wnid = load_subset(subset_file).wnids[2]
    photos = sorted((own_tree / "train" / wnid).glob("*.JPEG"))
    good = photos[0].read_bytes()
    for photo in photos:
        photo.write_bytes(b"")
    todo = plan(own_tree, subset_file, tmp_path / "out")
    with pytest.raises(UndecodableError, match=rf"8 train images of {wnid} .* take {wnid} out of"):
        carried_out(todo, skip_undecodable=True)
    assert not todo.output.npz.exists()
    photos[0].write_bytes(good)
    assert carried_out(todo, skip_undecodable=True).plan.undecodable == 7


def test_a_photo_that_looks_damaged_though_pillow_decodes_it_is_told(tmp_path) -> None:
    data = write_demo_tree(tmp_path / "ILSVRC", wnids=DEMO_WNIDS[:1], train_per_class=3, odd=False)
    (subset := tmp_path / "one.txt").write_text(DEMO_WNIDS[0])
    photo = sorted(data.glob("train/*/*.JPEG"), key=lambda path: rank_key(path.stem))[1]
    content = photo.read_bytes()
    photo.write_bytes(content[: len(content) // 2] + bytes(len(content) // 2))
    result = carried_out(plan(data, subset, tmp_path / "out"))
    assert result.notices == [
        f"{photo} looks damaged (it has no end of image), but Pillow decodes it: "
        "see whether it is whole"
    ]
    assert result.failures == []


# Resume


def begun(tree: Path, subset: Path, out: Path) -> BuildPlan:
    """A build that has everything but the last photo, which is put back behind its back."""
    todo = plan(tree, subset, out)
    last = Path(todo.store.describe(todo.records["val"][-1].location))
    content = last.read_bytes()
    last.write_bytes(b"")
    with pytest.raises(UndecodableError, match="1 image can't be decoded"):
        carried_out(todo)
    last.write_bytes(content)
    return todo


@pytest.fixture
def own_tree(tmp_path: Path) -> Path:
    return write_demo_tree(tmp_path / "ILSVRC", wnids=DEMO_WNIDS[::2], train_per_class=8)


def test_rows_that_changed_on_the_disk_are_done_again(own_tree, subset_file, tmp_path) -> None:
    expected = carried_out(plan(own_tree, subset_file, tmp_path / "a")).plan.output.npz
    todo = begun(own_tree, subset_file, tmp_path / "b")
    with open(todo.output.partial, "r+b") as file:
        rows: list[tuple[Split, int]] = [("train", 3), ("train", 17), ("val", 0)]
        for split, row in rows:
            file.seek(todo.layout.rows.offset_of(split, row) + 1000)
            file.write(b"flip")
    result = carried_out(todo)
    assert result.decoded == 4
    assert sha256(todo.output.npz) == sha256(expected)


@thorough("one whole build more")
def test_a_lost_unfinished_file_is_begun_again(own_tree, subset_file, tmp_path) -> None:
    expected = carried_out(plan(own_tree, subset_file, tmp_path / "a")).plan.output.npz
    todo = begun(own_tree, subset_file, tmp_path / "b")
    todo.output.partial.unlink()
    carried_out(todo)
    assert sha256(todo.output.npz) == sha256(expected)


def test_resuming_with_another_subset_is_refused_with_both_sides(
    own_tree, subset_file, tmp_path
) -> None:
    begun(own_tree, subset_file, tmp_path / "out")
    fewer = tmp_path / "five.txt"
    fewer.write_text("\n".join(load_subset(subset_file).wnids[:3]))
    with pytest.raises(ResumeMismatchError, match=r"wnids_sha256: .* there, .* here.*--overwrite"):
        carried_out(plan(own_tree, fewer, tmp_path / "out"))
    carried_out(plan(own_tree, fewer, tmp_path / "out"), overwrite=True)


def test_resuming_with_other_numbers_for_the_same_photos_is_refused(
    own_tree, subset_file, tmp_path
) -> None:
    """Rows are by number: two photos that have changed theirs would stand in each other's row."""
    begun(own_tree, subset_file, tmp_path / "out")
    path = own_tree / "../../ImageSets/CLS-LOC/train_cls.txt"
    (first, one), (second, two), *others = [x.split() for x in path.read_text().splitlines()]
    swapped = [(first, two), (second, one), *others]
    path.write_text("".join(f"{name} {number}\n" for name, number in swapped))
    with pytest.raises(ResumeMismatchError, match=r"\(train: other photos.*--overwrite"):
        carried_out(plan(own_tree, subset_file, tmp_path / "out"))


def test_a_file_that_lacks_one_image_and_has_another_is_not_complete(
    own_tree, subset_file, tmp_path
) -> None:
    records = plan(own_tree, subset_file, tmp_path / "out").records
    train, val = (own_tree / records[split][0].location for split in SPLITS)
    away = val.rename(tmp_path / val.name)
    carried_out(plan(own_tree, subset_file, tmp_path / "out", missing="skip"))
    away.rename(val)
    train.rename(tmp_path / train.name)
    with pytest.raises(OutputExistsError, match="other images"):
        carried_out(plan(own_tree, subset_file, tmp_path / "out", missing="skip"))


def test_overwriting_is_resumed_too(own_tree, subset_file, tmp_path) -> None:
    """A batch system that runs a stopped job again runs it with the same flags."""
    expected = carried_out(plan(own_tree, subset_file, tmp_path / "a")).plan.output.npz
    todo = begun(own_tree, subset_file, tmp_path / "b")
    result = carried_out(todo, overwrite=True)
    assert (result.kept, result.decoded) == (sum(todo.rows.values()) - 1, 1)
    assert sha256(todo.output.npz) == sha256(expected)


def test_going_on_with_photos_from_elsewhere_is_told(own_tree, subset_file, tmp_path) -> None:
    todo = begun(own_tree, subset_file, tmp_path / "out")
    moved = own_tree.parents[1].rename(tmp_path / "moved")
    result = carried_out(plan(moved, subset_file, tmp_path / "out"))
    assert result.decoded == 1
    assert result.notices == [
        f"goes on with the photos in {moved / 'Data/CLS-LOC'}; what is done already was made of "
        f"those in {todo.store.root}"
    ]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["five_cls.npz", "five_cls_metadata.csv"])
def test_a_folder_under_a_final_name_is_refused_before_the_first_image(
    own_tree, subset_file, tmp_path, name, overwrite
) -> None:
    (tmp_path / "out" / name).mkdir(parents=True)
    with pytest.raises(OutputError, match=f"{name} is a folder; remove it"):
        carried_out(plan(own_tree, subset_file, tmp_path / "out"), overwrite=overwrite)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_overwriting_begins_again_where_the_journal_is_damaged(
    own_tree, subset_file, tmp_path
) -> None:
    todo = begun(own_tree, subset_file, tmp_path / "out")
    todo.output.journal.write_bytes(b"no journal")
    with pytest.raises(ResumeMismatchError, match=r"damaged.*--overwrite"):
        carried_out(todo)
    assert carried_out(todo, overwrite=True).kept == 0


def test_what_a_pipeline_logs_is_told_once_and_not_by_each_worker(
    tree, subset_file, tmp_path, monkeypatch, capsys
) -> None:
    pytest.importorskip("llvmlite")
    from pipelines.turbo import kernel

    noted = replace(kernel.LOADED, note="the disk is full")
    monkeypatch.setattr(kernel, "LOADED", noted)
    with ThreadPoolExecutor(2) as executor:
        result = carried_out(plan(tree, subset_file, tmp_path, pipeline="turbo"), executor=executor)
    assert result.notices == ["each run compiles turbo's kernel: the disk is full"]
    assert capsys.readouterr().err == ""
