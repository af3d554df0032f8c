"""Photos of the user's own for a selftest."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagenet_subset.checking import yours
from imagenet_subset.checking.yours import sample_files, sample_photos, your_photos
from imagenet_subset.errors import SourceError
from tests.harness.stores import HOLE, OneFile, write_one_file


def test_a_sample_comes_from_many_folders(tmp_path: Path) -> None:
    for folder in range(20):
        (tmp_path / str(folder)).mkdir()
        for k in range(30):
            (tmp_path / str(folder) / f"{k}.JPEG").touch()
    chosen = sample_files(tmp_path, 50)
    assert len(set(chosen)) == 50
    assert len({path.parent for path in chosen}) == 10
    assert chosen == sample_files(tmp_path, 50)


def test_a_sample_of_few_files_is_all_of_them(tmp_path: Path) -> None:
    for k in range(12):
        (tmp_path / f"{k}.jpg").touch()
    (tmp_path / "x.png").touch()
    assert len(sample_files(tmp_path, 300)) == 12


def names(split: str, count: int) -> list[str]:
    return [f"{split}/n01440764/n01440764_{k}.JPEG" for k in range(count)]


def one_file(path: Path, photos: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> OneFile:
    """A store of another form than files; `your_photos` finds it, and no folder."""
    store = write_one_file(path, photos)
    monkeypatch.setattr(yours, "open_source", lambda _: store)
    return store


def test_photos_of_an_archive_are_drawn_from_both_splits(tmp_path: Path, monkeypatch) -> None:
    photos = {name: name.encode() for split in ("train", "val") for name in names(split, 30)}
    store = one_file(tmp_path / "photos", photos, monkeypatch)
    found = list(your_photos(tmp_path / "photos", 10))
    assert len(set(found)) == 10
    assert {contents.split(b"/")[0] for contents in found} == {b"train", b"val"}
    assert found == list(your_photos(tmp_path / "photos", 10))
    assert len(sample_photos(store, 100)) == 60
    assert sample_photos(store, 10) != sample_photos(store, 30)[:10], "the first ones"


def test_an_archive_without_val_gives_train_photos(tmp_path: Path, monkeypatch) -> None:
    photos = {name: name.encode() for name in names("train", 3)}
    one_file(tmp_path / "photos", photos, monkeypatch)
    assert sorted(your_photos(tmp_path / "photos", 10)) == sorted(photos.values())


def test_a_photo_that_an_archive_cannot_give_is_named(tmp_path: Path, monkeypatch) -> None:
    one_file(tmp_path / "photos", {names("val", 1)[0]: HOLE}, monkeypatch)
    with pytest.raises(SourceError, match=r"^can't read .*n01440764_0\.JPEG: a hole$"):
        list(your_photos(tmp_path / "photos", 10))


def test_where_there_are_none_is_said(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(SourceError, match=r"has neither train/ nor val/ in it.* is empty; "):
        your_photos(tmp_path, 1)
    with pytest.raises(SourceError, match=r"none doesn't exist; --data_dir is"):
        your_photos(tmp_path / "none", 1)
    one_file(tmp_path / "photos", {}, monkeypatch)
    with pytest.raises(SourceError, match=r"has no photo that a selftest could try$"):
        your_photos(tmp_path, 1)
