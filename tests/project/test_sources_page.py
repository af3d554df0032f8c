"""docs/sources.md: its commands read each form where it says, and make the same file of all."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import pages
from tests.harness.archives import KAGGLE_TAR, KAGGLE_ZIP, kaggle_by_zip, official_tars, tree_tar
from tests.harness.forms import hf_flat
from tests.harness.originals import small_tree, train_list
from tests.harness.pages import blocks
from tests.harness.tables import hf_parquet, timm_wds
from tests.harness.tiers import thorough

SHELL = [block for block in blocks("docs/sources.md") if block.language == "sh"]
Place = Callable[[Path, Path], object]


def new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def older_kaggle(tree: Path, here: Path) -> None:
    """A zip with a tar.gz in it."""
    tar = tree_tar(tree, new(here / "made"))
    with tar.open("rb") as file:
        packed = subprocess.run(["gzip"], stdin=file, capture_output=True, check=True).stdout
    with zipfile.ZipFile(here / KAGGLE_ZIP, "w") as archive:
        archive.writestr(f"{KAGGLE_TAR}.gz", packed)
        archive.writestr("LOC_synset_mapping.txt", "")
    shutil.rmtree(here / "made")


def hf_tars(tree: Path, here: Path) -> None:
    """The five tar.gz of train, and that of val."""
    flat, data = hf_flat(tree, new(here / "made")), new(here / "data")
    train = sorted(path.name for path in (flat / "train").iterdir())
    parts = {f"train_images_{k}": ("train", train[k::5]) for k in range(5)}
    parts["val_images"] = ("val", sorted(path.name for path in (flat / "val").iterdir()))
    for name, (split, names) in parts.items():
        packed = ["tar", "-czf", str(data / f"{name}.tar.gz"), "-C", str(flat / split), *names]
        subprocess.run(packed, check=True)
    shutil.rmtree(flat)


PLACES: dict[str, Place] = {
    "ImageNet's site": lambda tree, here: official_tars(tree, new(here / "home/imagenet")),
    "Kaggle": lambda tree, here: kaggle_by_zip(tree, here),
    "Kaggle, older": older_kaggle,
    "Hugging Face, parquet": lambda tree, here: hf_parquet(tree, new(here / "home/imagenet-1k")),
    "Hugging Face, tar.gz": hf_tars,
    "WebDataset": lambda tree, here: timm_wds(tree, new(here / "home/imagenet-1k-wds")),
    "folders": lambda tree, here: shutil.copytree(tree.parents[1], here / "home/ILSVRC"),
}
"""Puts what each of the page's blocks reads where the block expects it, in their order."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_tree(tmp_path_factory.mktemp("sources"))


def build(folder: Path, tree: Path, script: str) -> bytes:
    """Run a block on a small tree, whose list of train photos it gets; the file that it makes.

    The tree's photos of TensorFlow Datasets' shards are the original files.
    """
    (folder / "two.txt").write_text("n12267677\nn02690373\n")
    asked = "--subset_name imagenet30"
    assert script.count(asked) == 1
    small = f"--subset_name two.txt --device cpu --train_list {train_list(tree)}"
    pages.run(["bash", "-ec", script.replace(asked, small)], folder)
    return (folder / "out_files/two_cls.npz").read_bytes()


@pytest.fixture(scope="module")
def plain(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of the tree itself."""
    script = f"imagenet-subset --subset_name imagenet30 --data_dir {tree}"
    return build(tmp_path_factory.mktemp("plain"), tree, script)


@thorough("runs what the page shows")
@pytest.mark.parametrize(("name", "block"), list(zip(PLACES, SHELL, strict=True)), ids=PLACES)
def test_a_block_reads_its_form_and_makes_the_same_file(
    tree: Path, plain: bytes, tmp_path: Path, name: str, block: pages.Block
) -> None:
    PLACES[name](tree, tmp_path)
    lines = [line for line in block.commands if not line.startswith("pip install")]
    assert build(tmp_path, tree, "\n".join(lines)) == plain
