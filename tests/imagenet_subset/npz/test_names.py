"""The names of the files that belong to one NPZ."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagenet_subset.npz.names import NpzFiles, is_partial


def test_a_build_names_its_files_after_the_subset() -> None:
    files = NpzFiles.of_subset(Path("out"), "imagenet30")
    assert [files.npz, files.partial, files.journal, files.csv, files.failures] == [
        Path("out/imagenet30_cls.npz"),
        Path("out/imagenet30_cls.npz.partial"),
        Path("out/imagenet30_cls.npz.journal"),
        Path("out/imagenet30_cls_metadata.csv"),
        Path("out/imagenet30_cls_failures.csv"),
    ]


@pytest.mark.parametrize("name", ["imagenet30", "a.b", "mine_cls", "ü"])
def test_a_subset_and_its_npz_lead_to_each_other(name: str) -> None:
    files = NpzFiles.of_subset(Path("out"), name)
    assert NpzFiles.beside(files.npz) == files
    assert files.subset_name == name


@pytest.mark.parametrize(
    ("npz", "csv", "name"),
    [
        ("out/three.npz", "out/three_metadata.csv", "three"),
        ("three_cls.zip", "three_cls_metadata.csv", "three"),
        ("out/no_suffix", "out/no_suffix_metadata.csv", "no_suffix"),
    ],
)
def test_files_beside_any_npz(npz: str, csv: str, name: str) -> None:
    files = NpzFiles.beside(Path(npz))
    assert files.csv == Path(csv)
    assert files.subset_name == name


def test_only_an_unfinished_file_is_partial() -> None:
    files = NpzFiles.of_subset(Path("out"), "imagenet30")
    assert is_partial(files.partial)
    assert not any(map(is_partial, (files.npz, files.journal, files.csv, files.failures)))
