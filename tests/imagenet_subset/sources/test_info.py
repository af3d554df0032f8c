"""``_info.json`` beside a set of shards: what it says of the files that aren't there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.records import SPLITS
from imagenet_subset.sources import open_source
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.sources.tar.kinds import open_tar
from tests.contracts.store import SUBSET, photos, train_entries, val_numbers
from tests.harness.files import put
from tests.harness.tars import tar_of

TRAIN = {name: data for name, data in photos().items() if name.startswith("train/")}
VAL = {name: data for name, data in photos().items() if name.startswith("val/")}


def put_list(folder: Path) -> Path:
    lines = "".join(f"{name} {number}\n" for name, number in train_entries())
    return put(folder / "list.txt", lines.encode())


def put_set(folder: Path, about: str | bytes) -> Path:
    """Two shards of train and one of val, and ``_info.json`` beside them."""
    for k, name in enumerate(shards("train", 2)):
        put_shard(folder / name, dict(list(TRAIN.items())[k::2]))
    put_shard(folder / "imagenet1k-validation-00.tar", VAL)
    put(folder / "_info.json", about.encode() if isinstance(about, str) else about)
    return folder


def put_shard(path: Path, photos_of: dict[str, bytes]) -> None:
    files: dict[str, bytes] = {}
    for name, data in photos_of.items():
        stem = Path(name).stem
        wnid = stem[:9] if name in TRAIN else val_numbers()[int(stem[-8:])]
        label = sorted(class_table()).index(wnid)
        files |= {f"{stem}.cls": b"%d" % label, f"{stem}.jpg": data, f"{stem}.json": b"{}"}
    put(path, tar_of(files))


def info(**names: object) -> str:
    return json.dumps({"splits": {s: {"name": s, "filenames": n} for s, n in names.items()}})


def shards(split: str, n: int) -> list[str]:
    return [f"imagenet1k-{split}-{k:0{4 if split == 'train' else 2}}.tar" for k in range(n)]


def test_shards_that_a_set_lacks_are_named(tmp_path: Path) -> None:
    about = info(train=shards("train", 2), validation=shards("validation", 1))
    assert open_source(put_set(tmp_path / "whole", about)).notes == ()
    about = info(
        train=[*shards("train", 3), shards("train", 1)[0]],
        validation=shards("validation", 64),
        test=shards("test", 9),
    )
    lacking = put_set(tmp_path / "lacking", about)
    one, many = open_source(lacking).notes
    assert one == ("of the 3 train files in _info.json 1 isn't there (imagenet1k-train-0002.tar)")
    assert many.startswith("of the 64 validation files in _info.json 63 aren't there (imagenet1k-v")
    (lacking / "imagenet1k-train-0001.tar").unlink()
    with pytest.raises(SourceError, match="missing in ") as error:
        list_images(SUBSET, SPLITS, open_source(lacking), put_list(tmp_path))
    says = "; of the 3 train files in _info.json 2 aren't there (imagenet1k-train-0001.tar, "
    assert says in str(error.value)


def test_of_a_split_that_was_not_fetched_nothing_is_said(tmp_path: Path) -> None:
    about = info(train=["other-0.tar", "other-1.tar"], validation=shards("validation", 1))
    assert open_source(put_set(tmp_path, about)).notes == ()


def test_one_shard_that_is_given_is_all_that_is_wanted(tmp_path: Path) -> None:
    put_set(tmp_path, info(train=shards("train", 9), validation=["imagenet1k-validation-00.tar"]))
    store = open_tar(tmp_path / "imagenet1k-train-0000.tar")
    assert store is not None
    assert store.notes == ()


@pytest.mark.parametrize(
    "about",
    [
        b"",
        b"\xff\xfe",
        "null",
        "[" * 100_000,
        "9" * 10_000,
        '{"splits": []}',
        '{"splits": {"train": 1}}',
        info(train="imagenet1k-train-0000.tar"),
        info(train=[*shards("train", 2), 1]),
        info(train=[*shards("train", 2), "a" * 1000]),
        info(train=shards("train", 3)) + " " * (16 << 20),
    ],
    ids=range(11),
)
def test_what_else_a_set_says_is_ignored(tmp_path: Path, about: str | bytes) -> None:
    assert open_source(put_set(tmp_path, about)).notes == ()


def test_an_odd_name_in_a_set_is_printed_harmlessly(tmp_path: Path) -> None:
    put_set(tmp_path, info(train=[*shards("train", 2), "\x1b[31m\n\ud800\0"]))
    (note,) = open_source(tmp_path).notes
    assert "1 isn't there" in note
    assert note.isprintable()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_that_is_named_so_is_not_waited_for(tmp_path: Path) -> None:
    put_set(tmp_path, "{}")
    (tmp_path / "_info.json").unlink()
    os.mkfifo(tmp_path / "_info.json")
    assert open_source(tmp_path).notes == ()
