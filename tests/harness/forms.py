"""Every form in which people hold ImageNet, made from a small tree by the tools that they use.

A form is a function that takes a tree's ``Data/CLS-LOC`` and an empty folder, and returns what
``--data_dir`` is given. The tree is copied, never linked to.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType

from tests.harness.archives import (
    half_unpacked,
    kaggle_by_7z,
    kaggle_by_zip,
    official_tars,
    python_tars,
    tree_tar,
)
from tests.harness.originals import Original, originals
from tests.harness.tables import hf_parquet, hf_parquet_datasets, timm_wds

Form = Callable[[Path, Path], Path]


def laid_out(tree: Path, folder: Path, where: Callable[[Original], str]) -> Path:
    """Copy a tree's photos, each to the path that ``where`` gives it."""
    for split in ("train", "val"):
        for photo in originals(tree, split):
            path = folder / where(photo)
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(photo.path, path)
    return folder


def hf_flat(tree: Path, folder: Path) -> Path:
    """Hugging Face's tar.gz of 2022, unpacked: flat, and each name has the class at its end."""
    return laid_out(tree, folder, lambda photo: f"{photo.split}/{photo.hf_name}")


def hf_folders(tree: Path, folder: Path) -> Path:
    """The same, moved to class folders; val is called ``validation``."""
    return laid_out(
        tree, folder, lambda photo: f"{_validation(photo)}/{photo.wnid}/{photo.hf_name}"
    )


def torchvision(tree: Path, folder: Path) -> Path:
    """What ``torchvision.datasets.ImageNet`` leaves: val in class folders."""
    return laid_out(tree, folder, lambda photo: f"{photo.split}/{photo.wnid}/{photo.name}")


def timm(tree: Path, folder: Path) -> Path:
    """timm's and the TPU scripts' folders: val in class folders of ``validation``."""
    return laid_out(tree, folder, lambda photo: f"{_validation(photo)}/{photo.wnid}/{photo.name}")


def mmpretrain(tree: Path, folder: Path) -> Path:
    """mmpretrain's folders: val flat, and lists of names with labels in ``meta``."""
    (folder / "meta").mkdir()
    for split in ("train", "val"):
        lines = (f"{_flat_val(photo)} {photo.label}\n" for photo in originals(tree, split))
        text = "".join(line.removeprefix(f"{split}/") for line in lines)
        (folder / "meta" / f"{split}.txt").write_text(text, newline="\n")
    return laid_out(tree, folder, _flat_val)


def _validation(photo: Original) -> str:
    return "validation" if photo.split == "val" else photo.split


def _flat_val(photo: Original) -> str:
    below = photo.wnid + "/" if photo.split == "train" else ""
    return f"{photo.split}/{below}{photo.name}"


PLAIN: Mapping[str, Form] = MappingProxyType(
    {
        "hf_flat": hf_flat,
        "hf_folders": hf_folders,
        "torchvision": torchvision,
        "mmpretrain": mmpretrain,
        "timm": timm,
        "inner_tars": half_unpacked,
        "official_tars": official_tars,
        "tree_tar": tree_tar,
        "kaggle_zip": kaggle_by_zip,
        "hf_parquet": hf_parquet,
        "timm_wds": timm_wds,
    }
)
"""Each form by its name, as it is met most often."""

VARIANTS: Mapping[str, Form] = MappingProxyType(
    {
        "official_tars_ustar": partial(official_tars, layout="ustar"),
        "official_tars_posix": partial(official_tars, layout="posix"),
        "python_tars": python_tars,
        "tree_tar_ustar": partial(tree_tar, layout="ustar"),
        "tree_tar_posix": partial(tree_tar, layout="posix"),
        "kaggle_zip_deflated": partial(kaggle_by_zip, options=("-6",)),
        "kaggle_zip_64": partial(kaggle_by_zip, options=("-0", "-fz")),
        "kaggle_7z": kaggle_by_7z,
        "hf_parquet_small_groups": partial(hf_parquet, rows_per_group=3, shards=2),
        "hf_parquet_datasets": hf_parquet_datasets,
    }
)
"""The same by another tool, or in another format of its container."""

FORMS: Mapping[str, Form] = MappingProxyType({**PLAIN, **VARIANTS})
"""Each form by its name."""

WITH_TRAIN_LIST = frozenset(name for name in FORMS if name.startswith(("kaggle", "tree_tar")))
"""Forms that have ILSVRC's ``train_cls.txt`` in them."""
