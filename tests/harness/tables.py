"""ImageNet in parquet and WebDataset shards, as Hugging Face, timm and webdataset write them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from imagenet_subset.ilsvrc.classes import class_table
from tests.harness.originals import Original, originals, shuffled

NAMES = [c.human_label for c in class_table().values()]
"""Names of the labels. As in Hugging Face's copy they aren't unique, so they are no key."""
_HF_SPLITS = {"train": "train", "val": "validation"}


def hf_parquet(tree: Path, folder: Path, rows_per_group: int = 100, shards: int = 3) -> Path:
    """``ILSVRC/imagenet-1k``: shuffled rows in parquet, the test split without labels."""
    data = folder / "data"
    data.mkdir()
    for split, name in _HF_SPLITS.items():
        rows = _rows(shuffled(originals(tree, split)))
        for k in range(shards):
            path = data / f"{name}-{k:05d}-of-{shards:05d}.parquet"
            _write_parquet(path, rows[k::shards], rows_per_group)
    photo = originals(tree, "val")[0].path.read_bytes()
    test = {"image": {"bytes": photo, "path": "ILSVRC2012_test_00000001.JPEG"}, "label": -1}
    _write_parquet(data / "test-00000-of-00001.parquet", [test], rows_per_group)
    return folder


def hf_parquet_datasets(tree: Path, folder: Path) -> Path:
    """The same by the datasets library itself, the parquet files without a ``data`` folder."""
    datasets = pytest.importorskip("datasets", reason="the datasets library isn't installed")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(num_classes=len(NAMES)),
        }
    )
    for split, name in _HF_SPLITS.items():
        rows = _rows(shuffled(originals(tree, split)))
        columns = {key: [row[key] for row in rows] for key in ("image", "label")}
        table = datasets.Dataset.from_dict(columns, features=features)
        for k in range(2):
            path = folder / f"{name}-{k:05d}-of-00002.parquet"
            table.shard(num_shards=2, index=k).to_parquet(str(path))
    return folder


def timm_wds(tree: Path, folder: Path) -> Path:
    """``timm/imagenet-1k-wds``: the key of a sample is the name of its photo."""
    info: dict[str, Any] = {"splits": {}}
    patterns = {"train": "imagenet1k-train-%04d.tar", "val": "imagenet1k-validation-%02d.tar"}
    for split, pattern in patterns.items():
        photos = shuffled(originals(tree, split))
        samples = [
            {
                "__key__": photo.stem,
                "cls": photo.label,
                "jpg": photo.path.read_bytes(),
                "json": {"filename": f"{photo.wnid}/{photo.name}", "label": photo.label},
            }
            for photo in photos
        ]
        lengths = _write_shards(folder / pattern, samples, len(samples) // 3 + 1)
        info["splits"][_HF_SPLITS[split]] = {
            "name": _HF_SPLITS[split],
            "num_samples": len(samples),
            "filenames": [pattern % k for k in range(len(lengths))],
            "shard_lengths": lengths,
        }
    (folder / "_info.json").write_text(json.dumps(info, indent=4))
    return folder


def numbered_wds(tree: Path, folder: Path) -> Path:
    """webdataset's own example: keys are places in torchvision's ``ImageFolder`.

    A place is as good as a name only where all photos of ImageNet are there.
    """
    for split in ("train", "val"):
        numbers = {photo.stem: k for k, photo in enumerate(originals(tree, split))}
        samples = [
            {
                "__key__": f"{numbers[photo.stem]:07d}",
                "cls": photo.label,
                "jpg": photo.path.read_bytes(),
            }
            for photo in shuffled(originals(tree, split))
        ]
        _write_shards(folder / f"imagenet-{split}-%06d.tar", samples, 1000)
    return folder


def _rows(photos: Iterable[Original]) -> list[dict[str, Any]]:
    return [
        {"image": {"bytes": photo.path.read_bytes(), "path": photo.hf_name}, "label": photo.label}
        for photo in photos
    ]


def _write_parquet(path: Path, rows: Sequence[dict[str, Any]], rows_per_group: int) -> None:
    """Write rows as Hugging Face does it: its features are in the schema's metadata."""
    pa = pytest.importorskip("pyarrow", reason="pyarrow isn't installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow isn't installed")
    label = {"names": NAMES, "_type": "ClassLabel"}
    features = {"info": {"features": {"image": {"_type": "Image"}, "label": label}}}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    schema = pa.schema(
        [("image", image), ("label", pa.int64())], {"huggingface": json.dumps(features)}
    )
    table = pa.Table.from_pylist(list(rows), schema)
    parquet.write_table(table, path, row_group_size=rows_per_group, compression="snappy")


def _write_shards(pattern: Path, samples: Sequence[dict[str, Any]], per_shard: int) -> list[int]:
    """Write samples by webdataset's own writer; how many each shard has."""
    webdataset = pytest.importorskip("webdataset", reason="webdataset isn't installed")
    with webdataset.ShardWriter(str(pattern), maxcount=per_shard, verbose=0) as writer:
        for sample in samples:
            writer.write(sample)
    return [len(samples[first : first + per_shard]) for first in range(0, len(samples), per_shard)]
