"""``imagenet-subset demo``: it writes where nothing is, or a demo, and replaces nobody's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imagenet_subset.demo.tree import demo_names, foreign_files, write_demo_tree
from tests.harness.tiers import thorough

TEXT = "# every second class of the demo's ten\n"
"""How the demo's subset file begins."""


def one_line(done) -> str:
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    return line


def put(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@thorough("runs the demo three times")
def test_the_demo_runs_again_over_its_own_and_over_an_interrupted_one(cli, tmp_path) -> None:
    made = tmp_path / "demo/out_files/demo5_cls.npz"
    assert cli("demo").returncode == 0
    first = files(tmp_path)
    with np.load(made) as npz:
        assert len(npz["X_train"]) == 100
        assert len(npz["X_val"]) == 250
    again = cli("demo")
    assert again.returncode == 0, again.stderr
    assert files(tmp_path) == first
    for photo in list((tmp_path / "demo/ILSVRC/Data/CLS-LOC/val").iterdir())[:30]:
        photo.unlink()
    photo.with_name(photo.name + ".partial").write_bytes(b"cut short")
    made.unlink()
    done = cli("demo")
    assert done.returncode == 0, done.stderr
    assert files(tmp_path) == first


@pytest.mark.parametrize(
    "name",
    [
        "demo5.txt",
        "ILSVRC/Data/CLS-LOC/train/n01491361/n01491361_1.JPEG",
        "ILSVRC/notes.txt",
        "ILSVRC/ImageSets/CLS-LOC/train_cls.txt",
        "out_files/demo5_cls.npz",
        "out_files/demo5_cls_metadata.csv",
    ],
)
def test_a_file_that_is_not_the_demo_s_stays_and_is_named(cli, tmp_path, name) -> None:
    put(tmp_path / "demo/demo5.txt", TEXT)
    mine = put(tmp_path / "demo" / name, "mine")
    before = files(tmp_path)
    message = one_line(cli("demo"))
    assert f"{Path('demo', name)} exists and isn't what the demo writes" in message
    assert "--out_dir" in message
    assert mine.read_text() == "mine"
    assert files(tmp_path) == before


def test_a_tree_without_the_demo_s_list_is_left_alone(cli, tmp_path) -> None:
    (tmp_path / "demo/ILSVRC").mkdir(parents=True)
    assert "demo/ILSVRC exists and isn't" in one_line(cli("demo"))


def test_another_build_of_the_demo_s_classes_is_not_taken_for_a_demo_s(cli, tree, tmp_path) -> None:
    put(tmp_path / "demo/demo5.txt", TEXT)
    words = ["--subset_name", "n12267677,n02701002,n02793495,n02098286,n04310018"]
    words += ["--out_name", "demo5", "--out_dir", "demo/out_files", "--splits", "val"]
    built = cli("build", *words, "--data_dir", tree, "--pipeline", "pillow")
    assert built.returncode == 0, built.stderr
    before = files(tmp_path)
    assert "demo5_cls.npz exists and isn't" in one_line(cli("demo"))
    assert files(tmp_path) == before


def test_nothing_of_a_demo_tree_is_foreign_to_it(tmp_path) -> None:
    names = demo_names()
    for name in names.photos:
        put(tmp_path / "Data/CLS-LOC" / name, "")
    for name, text in names.lists.items():
        put(tmp_path / "ImageSets/CLS-LOC" / name, text[:50])
    put(tmp_path / "Data/.DS_Store", "a file manager's")
    assert list(foreign_files(tmp_path)) == []


def test_a_photo_that_is_there_stays_as_it_is(tmp_path) -> None:
    data = write_demo_tree(tmp_path, wnids=["n12267677"], train_per_class=5)
    photo = put(next(data.glob("train/*/*")), "mine")
    write_demo_tree(tmp_path, wnids=["n12267677"], train_per_class=5)
    assert photo.read_text() == "mine"
