"""The store of parquet shards: as Hugging Face writes them, and what isn't so."""

from __future__ import annotations

import errno
import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagenet_subset.columns import pack
from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.sources import parquet
from imagenet_subset.sources.base import Store
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.sources.parquet import ParquetStore, open_parquet
from imagenet_subset.sources.parquet_files import batches
from tests.contracts.store import SUBSET, StoreContract, name_of, photos, val_numbers

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

LABELS = {wnid: label for label, wnid in enumerate(class_table())}
ROWS = 7


def rows_of(photos: Mapping[str, bytes]) -> list[tuple[str, bytes, int]]:
    """Path, bytes and label of each photo, shuffled."""
    wnids, rows = val_numbers(), []
    for name, data in photos.items():
        stem = name.rpartition("/")[2].removesuffix(".JPEG")
        wnid = wnids[int(stem[-8:])] if name.startswith("val/") else stem[:9]
        appended = (
            f"_{wnid}" if len(data) > 1 else ""
        )  # of the contract's extra photo it looks for the name
        rows.append((f"{stem}{appended}.JPEG", data, LABELS[wnid]))
    random.Random(0).shuffle(rows)
    return rows


def write(path: Path, rows: list[tuple[str, bytes, int]]) -> Path:
    image = [{"bytes": data, "path": name} for name, data, _ in rows]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    labels = pa.array([label for _, _, label in rows], pa.int64())
    table = pa.table({"image": pa.array(image, kind), "label": labels})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=ROWS, use_dictionary=False)
    return path


def opened(path: Path) -> ParquetStore:
    store = open_parquet(path)
    assert store is not None
    return store


class TestParquetStore(StoreContract):
    def make(self, folder: Path, photos: Mapping[str, bytes]) -> ParquetStore:
        rows = rows_of(photos)
        for k in range(3):
            write(folder / f"data/train-0000{k}-of-00003.parquet", rows[k::3])
        return opened(folder)

    def lose(self, folder: Path, name: str) -> None:
        for path in folder.glob("data/*.parquet"):
            group, start, size = pages_of(path, photos()[name])
            if group >= 0:
                with path.open("r+b") as file:
                    file.seek(start)
                    file.write(b"\xff" * size)

    def test_a_photo_that_can_not_be_read_costs_no_other(
        self, store: Store, folder: Path, train_list: Path
    ) -> None:
        """It costs its row group, whose photos are in one page, and no more."""
        records = list(list_images(SUBSET, ["train"], store, train_list).records["train"])
        self.lose(folder, name_of(records[2]))
        outcomes = self.read(store, records)
        lost = records[2].location[:2]
        for record, data in zip(records, outcomes, strict=True):
            if record.location[:2] == lost:
                assert isinstance(data, OSError)
                assert data.errno == errno.EBADMSG
            else:
                assert data == photos()[name_of(record)]

    def test_each_row_group_is_read_once(
        self, store: ParquetStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = []

        def count(file: object, path: str, group: int, *columns: str, rows: int) -> object:
            read.append((path, group))
            return batches(file, path, group, *columns, rows=rows)

        monkeypatch.setattr(parquet, "batches", count)
        locations = pack([photo.location for photo in store.photos("val", SUBSET.wnids)])
        reader = store.open()
        for group in store.groups(locations):
            for index in group:
                reader.read(locations[index])
        assert len(read) == len(set(read)) > 1


def pages_of(path: Path, data: bytes) -> tuple[int, int, int]:
    """Row group of a photo, and where the pages of its bytes are; -1 if it isn't in the file."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=["image.bytes"])
            if {"bytes": data} in table.column(0).to_pylist():
                column = file.metadata.row_group(group).column(0)
                return group, column.data_page_offset, column.total_compressed_size
    return -1, 0, 0


def test_what_holds_no_parquet_file_is_none(tmp_path: Path) -> None:
    write(tmp_path / ".hidden.parquet", rows_of(photos()))
    (tmp_path / "a.txt").write_text("no parquet")
    assert open_parquet(tmp_path) is None
    assert open_parquet(tmp_path / "a.txt") is None


@pytest.mark.parametrize("name", ["a.parquet", "data/a.parquet", "default/train/0000.parquet"])
def test_the_names_in_a_file_say_its_split(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, [row for row in rows_of(photos()) if row[0].startswith("ILSVRC")])
    assert opened(tmp_path).splits == opened(tmp_path / name).splits == {"val"}


def test_a_label_that_is_not_the_names_is_refused(tmp_path: Path) -> None:
    rows = rows_of(photos())
    rows[9] = (*rows[9][:2], 0)
    store = opened(write(tmp_path / "a.parquet", rows))
    with pytest.raises(SourceError, match=r"row 2 of row group 1.*expected n.*label 0"):
        list(store.photos("val", SUBSET.wnids))


def test_lost_names_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", [("0.jpg", b"x", 3)])
    with pytest.raises(SourceError, match=r"names of the photos are lost .*'0\.jpg'"):
        open_parquet(tmp_path)


def test_other_columns_are_refused_and_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [b"x"], "text": ["y"]}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="columns image: binary, text: string"):
        open_parquet(tmp_path)


def test_a_cut_file_is_refused_in_one_line(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.parquet", rows_of(photos())).read_bytes()
    for size in [*range(4, 12), *range(13, len(whole), 997), len(whole) - 1]:
        (tmp_path / "a.parquet").write_bytes(whole[:size])
        with pytest.raises(SourceError, match="can't read") as error:
            open_parquet(tmp_path)
        assert "\n" not in str(error.value)
