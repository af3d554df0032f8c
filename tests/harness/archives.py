"""ImageNet in tars and zips: the official archives, and Kaggle's."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from imagenet_subset.ilsvrc.classes import class_table
from tests.harness.originals import Original, originals, run_tool, shuffled

TRAIN_TAR, VAL_TAR = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
KAGGLE_ZIP = "imagenet-object-localization-challenge.zip"
KAGGLE_TAR = "imagenet_object_localization_patched2019.tar"


def official_tars(tree: Path, folder: Path, layout: str = "gnu") -> Path:
    """The two tars of ImageNet's site, made by GNU tar in one of its formats."""
    inner = folder / "inner"
    inner.mkdir()
    _inner_tars(tree, inner, layout)
    names = sorted(path.name for path in inner.iterdir())
    _tar(folder / TRAIN_TAR, inner, names, layout)
    shutil.rmtree(inner)
    val = shuffled(originals(tree, "val"))
    _tar(folder / VAL_TAR, tree / "val", [photo.name for photo in val], layout)
    return folder


def half_unpacked(tree: Path, folder: Path) -> Path:
    """The train tar unpacked once, to the tars of its classes, and val to its photos."""
    (folder / "train").mkdir()
    _inner_tars(tree, folder / "train", "gnu")
    shutil.copytree(tree / "val", folder / "val", copy_function=shutil.copyfile)
    return folder


def python_tars(tree: Path, folder: Path) -> Path:
    """The two tars by Python's tarfile as it is: pax, with fractions of a second."""
    with tarfile.open(folder / TRAIN_TAR, "w") as outer:
        for wnid, photos in _by_class(tree).items():
            inner = folder / f"{wnid}.tar"
            with tarfile.open(inner, "w") as tar:
                for photo in photos:
                    tar.add(photo.path, photo.name)
            outer.add(inner, inner.name)
            inner.unlink()
    with tarfile.open(folder / VAL_TAR, "w") as tar:
        for photo in shuffled(originals(tree, "val")):
            tar.add(photo.path, photo.name)
    return folder


def tree_tar(tree: Path, folder: Path, layout: str = "gnu") -> Path:
    """The tar.gz of Kaggle's older zip after gunzip: one tar of the ``ILSVRC`` folder."""
    staged = _kaggle_folder(tree, folder)
    _tar(folder / KAGGLE_TAR, staged, ["ILSVRC"], layout)
    shutil.rmtree(staged)
    return folder / KAGGLE_TAR


def kaggle_by_zip(tree: Path, folder: Path, options: Sequence[str] = ("-0",)) -> Path:
    """Kaggle's newer zip, by Info-ZIP; without further options stored."""
    staged = _kaggle_folder(tree, folder)
    run_tool(["zip", "-q", "-r", *options, str(folder / KAGGLE_ZIP), "."], staged)
    shutil.rmtree(staged)
    return folder / KAGGLE_ZIP


def kaggle_by_7z(tree: Path, folder: Path) -> Path:
    """Kaggle's newer zip, by 7-Zip, deflated; the folder that it is in."""
    staged = _kaggle_folder(tree, folder)
    run_tool(["7z", "a", "-tzip", str(folder / KAGGLE_ZIP), "."], staged)
    shutil.rmtree(staged)
    return folder


def _by_class(tree: Path) -> dict[str, list[Original]]:
    """Train photos of each class, not in the order of their names."""
    classes: dict[str, list[Original]] = {}
    for photo in shuffled(originals(tree, "train")):
        classes.setdefault(photo.wnid, []).append(photo)
    return dict(sorted(classes.items()))


def _inner_tars(tree: Path, folder: Path, layout: str) -> None:
    """A tar of each class, with bare names in it."""
    for wnid, photos in _by_class(tree).items():
        names = [photo.name for photo in photos]
        _tar(folder / f"{wnid}.tar", tree / "train" / wnid, names, layout)


def _tar(tar: Path, folder: Path, names: Sequence[str], layout: str) -> None:
    """Pack what is in a folder, in this order, by GNU tar."""
    _need_gnu_tar()
    command = ["tar", f"--format={layout}", "-cf", str(tar), "--files-from=-"]
    run_tool(command, folder, "".join(f"{name}\n" for name in names))


def _need_gnu_tar() -> None:
    version = ""
    if shutil.which("tar"):
        version = subprocess.run(["tar", "--version"], capture_output=True, text=True).stdout
    if "GNU tar" not in version:
        pytest.skip("GNU tar isn't installed")


def _kaggle_folder(tree: Path, folder: Path) -> Path:
    """What Kaggle's zip holds, as files: the tree, and the competition's other files."""
    staged = folder / "staged"
    ilsvrc = staged / "ILSVRC"
    shutil.copytree(tree.parents[1], ilsvrc, copy_function=shutil.copyfile)
    photos = {split: originals(tree, split) for split in ("train", "val")}
    for split, of_split in photos.items():
        _write_annotations(ilsvrc / "Annotations" / "CLS-LOC" / split, of_split)
        lines = [f"{photo.stem},{photo.wnid} 1 1 90 80 \n" for photo in of_split]
        text = "".join(["ImageId,PredictionString\n", *lines])
        (staged / f"LOC_{split}_solution.csv").write_text(text, newline="\n")
    test = ilsvrc / "Data" / "CLS-LOC" / "test" / "ILSVRC2012_test_00000001.JPEG"
    test.parent.mkdir()
    shutil.copyfile(photos["val"][0].path, test)
    synsets = (f"{c.wnid} {c.human_label}\n" for c in class_table().values())
    (staged / "LOC_synset_mapping.txt").write_text("".join(synsets), newline="\n")
    sample = "ImageId,PredictionString\nILSVRC2012_test_00000001,1 0 0 10 10\n"
    (staged / "LOC_sample_submission.csv").write_text(sample, newline="\n")
    return staged


def _write_annotations(folder: Path, photos: Sequence[Original]) -> None:
    """Write the boxes of half of the photos: their names are those of the photos."""
    for photo in photos[::2]:
        path = folder / (photo.wnid if photo.split == "train" else "") / f"{photo.stem}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = f"<annotation><filename>{photo.stem}</filename></annotation>\n"
        path.write_text(text, newline="\n")
