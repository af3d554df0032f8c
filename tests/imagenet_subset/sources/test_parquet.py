"""The store of parquet shards: as Hugging Face writes them, and what isn't so."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from imagenet_subset.columns import Location, pack
from imagenet_subset.errors import SourceError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.ilsvrc.numbering import val_name
from imagenet_subset.sources.base import PhotoReader, Store
from imagenet_subset.sources.catalogue import list_images
from imagenet_subset.sources.parquet import store as parquet_store
from imagenet_subset.sources.parquet.files import batches
from imagenet_subset.sources.parquet.store import ParquetStore, open_parquet
from imagenet_subset.sources.patience import read_each
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
        rows.append((f"{stem}_{wnid}.JPEG", data, LABELS[wnid]))
    random.Random(0).shuffle(rows)
    return rows


def write(path: Path, rows: Sequence[tuple[str | None, bytes | None, int]], **options: Any) -> Path:
    image = [{"bytes": data, "path": name} for name, data, _ in rows]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    labels = pa.array([label for _, _, label in rows], pa.int64())
    table = pa.table({"image": pa.array(image, kind), "label": labels})
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = {"row_group_size": ROWS, "use_dictionary": False, **options}
    pq.write_table(table, path, **chosen)
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

        monkeypatch.setattr(parquet_store, "batches", count)
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


def some_rows(count: int, size: int = 10) -> list[tuple[str, bytes, int]]:
    """Rows of val."""
    wnids = val_numbers()
    return [
        (f"{val_name(n)}_{wnids[n]}.JPEG", bytes([k % 256]) * size, LABELS[wnids[n]])
        for k, n in enumerate(sorted(wnids)[:count])
    ]


def test_other_photos_under_the_same_names_are_not_taken_for_them(tmp_path: Path) -> None:
    store = opened(write(tmp_path / "a.parquet", some_rows(100)))
    found = list(store.photos("val", SUBSET.wnids))
    write(tmp_path / "a.parquet", some_rows(100, 11))
    with contextlib.closing(store.open()) as reader:
        outcomes = list(read_each(reader, [photo.location for photo in found]))
    assert {getattr(outcome, "errno", None) for outcome in outcomes} == {errno.ESTALE}
    assert store.describe(found[0].location, found[0].stem).endswith(f"/{found[0].stem}.JPEG")


def test_other_tables_beside_or_above_are_left_out(tmp_path: Path) -> None:
    own = pa.table({"wnid": ["n01440764"], "name": ["tench"]})
    pq.write_table(own, tmp_path / "classes.parquet")
    with pytest.raises(SourceError, match="expected image: struct<bytes, path>"):
        opened(tmp_path)
    write(tmp_path / "data/validation-00000-of-00001.parquet", some_rows(100))
    store = opened(tmp_path)
    assert store.notes == ()
    assert len(list(store.photos("val", SUBSET.wnids))) == 100
    pq.write_table(own, tmp_path / "data" / "classes.parquet")
    (note,) = opened(tmp_path).notes
    assert note.startswith(f"{tmp_path}/data/classes.parquet isn't as ILSVRC/imagenet-1k")
    assert note.endswith("; it is left out")
    assert len(list(opened(tmp_path).photos("val", SUBSET.wnids))) == 100


def errno_of(reader: PhotoReader, location: Location) -> int | None:
    """Number of the error that a photo can't be read for."""
    try:
        reader.read(location)
    except OSError as error:
        return error.errno
    raise AssertionError(f"{location} was read")


def in_child(code: str, *arguments: object) -> str:
    """What code prints in a process of its own, which has nothing to complain about."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd", "brotli", "lz4"])
def test_every_compression_is_read(tmp_path: Path, compression: str) -> None:
    rows = some_rows(20)
    store = opened(write(tmp_path / "a.parquet", rows, compression=compression))
    reader = store.open()
    for k, photo in enumerate(store.photos("val", SUBSET.wnids)):
        assert reader.read(photo.location) == rows[k][1]
    reader.close()


def test_a_photo_without_bytes_costs_no_other(tmp_path: Path) -> None:
    rows: list[tuple[str, bytes | None, int]] = [*some_rows(20)]
    rows[3] = (rows[3][0], None, rows[3][2])
    store = opened(write(tmp_path / "a.parquet", rows))
    reader = store.open()
    for k, photo in enumerate(store.photos("val", SUBSET.wnids)):
        if k != 3:
            assert reader.read(photo.location) == rows[k][1]
            continue
        with pytest.raises(OSError, match=r"row 3 of row group 0 of .*a\.parquet has no") as error:
            reader.read(photo.location)
        assert error.value.errno == errno.EBADMSG
    reader.close()


def test_a_photo_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(write(tmp_path / "a.parquet", some_rows(2)))
    photo = next(store.photos("val", SUBSET.wnids))
    monkeypatch.setattr(parquet_store, "LARGEST_PHOTO", 9)
    with pytest.raises(OSError, match="more than any photo") as error:
        store.open().read(photo.location)
    assert error.value.errno == errno.EFBIG


@pytest.mark.parametrize("name", [None, "foo.jpg", "n01440764_1.png", ""])
def test_rows_of_other_names_are_counted(tmp_path: Path, name: str | None) -> None:
    rows: list[tuple[str | None, bytes, int]] = [*some_rows(20)]
    rows[9] = rows[17] = (name, b"x", 3)
    store = opened(write(tmp_path / "a.parquet", rows))
    says = r"the name in 2 rows is none of ILSVRC's \(row 2 of row group 1 has"
    with pytest.raises(SourceError, match=says) as error:
        list(store.photos("val", SUBSET.wnids))
    assert repr(name) in str(error.value)


def test_photos_of_test_are_left_out(tmp_path: Path) -> None:
    test = [(f"ILSVRC2012_test_{k:08}.JPEG", b"x", -1) for k in range(20)]
    write(tmp_path / "a.parquet", [*test, *some_rows(3)])
    assert len(list(opened(tmp_path).photos("val", SUBSET.wnids))) == 3
    write(tmp_path / "a.parquet", test)
    with pytest.raises(SourceError, match="no photo of train or val"):
        open_parquet(tmp_path)


def test_a_damaged_row_group_is_unpacked_once_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [(name, os.urandom(100), label) for name, _, label in some_rows(20)]
    store = opened(write(tmp_path / "a.parquet", rows))
    found = list(store.photos("val", SUBSET.wnids))
    _, start, size = pages_of(tmp_path / "a.parquet", rows[8][1])
    with (tmp_path / "a.parquet").open("r+b") as file:
        file.seek(start)
        file.write(b"\xff" * size)
    begun = []

    def count(file: object, path: str, group: int, *columns: str, rows: int) -> object:
        begun.append(group)
        return batches(file, path, group, *columns, rows=rows)

    monkeypatch.setattr(parquet_store, "batches", count)
    reader = store.open()
    for k, photo in enumerate(found):
        if k // ROWS != 1:
            assert reader.read(photo.location) == rows[k][1]
            continue
        with pytest.raises(OSError, match=r"row group 1 of .*a\.parquet can't be") as error:
            reader.read(photo.location)
        assert error.value.errno == errno.EBADMSG
    assert begun == [0, 1, 2]
    reader.close()


def test_a_file_that_changed_is_an_error_of_the_system(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", some_rows(40, 5000), compression="none")
    store = opened(path)
    photo = list(store.photos("val", SUBSET.wnids))[-1]
    whole = path.read_bytes()
    reader = store.open()
    assert reader.read(photo.location) == some_rows(40, 5000)[-1][1]
    other = write(tmp_path / "b", some_rows(3)).read_bytes()
    same_groups = write(tmp_path / "b", some_rows(36)).read_bytes()
    for now in (b"", b"text", whole[: len(whole) // 2], whole[:-9], other, same_groups):
        path.write_bytes(now)
        fresh = store.open()
        assert errno_of(fresh, photo.location) == errno.EIO
        assert store.describe(photo.location).endswith("/row 4 of row group 5")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        store.open()
    with pytest.raises(FileNotFoundError):
        fresh.read(photo.location)


def test_a_file_that_ends_too_early_under_a_reader_is_not_damaged(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", some_rows(40, 5000), compression="none")
    store = opened(path)
    first, *_, last = store.photos("val", SUBSET.wnids)
    reader = store.open()
    reader.read(first.location)
    whole = path.read_bytes()
    os.truncate(path, len(whole) // 2)
    assert errno_of(reader, last.location) == errno.EIO
    path.write_bytes(whole)
    assert reader.read(last.location) == some_rows(40, 5000)[-1][1]


def test_garbage_in_a_file_is_an_error_in_one_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", some_rows(20))
    whole = path.read_bytes()
    wrong = r"""
    import os, sys
    from imagenet_subset.errors import SourceError
    from imagenet_subset.sources.parquet.store import open_parquet
    from pathlib import Path
    path, step = Path(sys.argv[1]), int(sys.argv[2])
    whole, errors = path.read_bytes(), 0
    for at in range(4, len(whole), step):
        data = bytearray(whole)
        data[at] ^= 0xFF >> at % 5
        path.write_bytes(data)
        try:
            store = open_parquet(path)
            found = [p for s in ("train", "val") for p in store.photos(s, ())]
        except SourceError as error:
            assert "\n" not in str(error), error
            errors += 1
            continue
        reader = store.open()
        for photo in found:
            try:
                reader.read(photo.location)
            except OSError as error:
                assert error.errno and "\n" not in str(error), error
                errors += 1
            store.describe(photo.location)
    print(errors)
    """
    done = in_child(wrong, path, len(whole) // 250)
    assert int(done) > 50


@pytest.mark.skipif(sys.platform != "linux", reason="takes the kilobytes of Linux")
def test_a_reader_needs_the_memory_of_its_row_group(tmp_path: Path) -> None:
    rows = [(n, random.Random(k).randbytes(200_000), label)
            for k, (n, _, label) in enumerate(some_rows(150))]  # fmt: skip
    path = write(tmp_path / "a.parquet", rows * 3, row_group_size=150)
    memory = """
    import resource, sys
    from pathlib import Path
    from imagenet_subset.sources.parquet.store import open_parquet
    from imagenet_subset.ilsvrc.classes import class_table
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    store = open_parquet(Path(sys.argv[1]))
    reader = store.open()
    spans = [found.span for found in store.look(class_table())]
    assert len(spans) == 3 * 150
    before = peak()
    for span in spans:
        reader.read(span)
    print(peak() - before)
    """
    done = in_child(memory, path)
    assert int(done) < 4 * 150 * 200_000


@pytest.mark.skipif(sys.platform != "linux", reason="takes the kilobytes of Linux")
def test_hundreds_of_files_are_listed_in_little_memory(tmp_path: Path) -> None:
    first = write(tmp_path / "0.parquet", some_rows(100, 10_000), row_group_size=100)
    for k in range(1, 300):
        (tmp_path / f"{k}.parquet").hardlink_to(first)
    memory = """
    import os, resource, sys
    from pathlib import Path
    from imagenet_subset.sources.parquet.store import open_parquet
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    few = open_parquet(Path(sys.argv[1]) / "0.parquet")
    list(few.photos("val", ()))
    before, files = peak(), len(os.listdir("/proc/self/fd"))
    store = open_parquet(Path(sys.argv[1]))
    photos = sum(1 for _ in store.photos("val", ()))
    print(photos, len(os.listdir("/proc/self/fd")) - files, peak() - before)
    """
    done = in_child(memory, tmp_path)
    photos, files, nbytes = map(int, done.split())
    assert (photos, files) == (30_000, 0)
    assert nbytes < 60e6


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
def test_a_forked_process_reads_after_its_parent_did(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", some_rows(40, 50_000))
    forked = """
    import multiprocessing, sys
    from pathlib import Path
    from imagenet_subset.sources.parquet.store import open_parquet

    def read(number):
        reader = store.open()
        return sum(len(reader.read(photo.location)) for photo in photos)

    store = open_parquet(Path(sys.argv[1]))
    photos = list(store.photos("val", ()))
    read(0)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(read, range(4)))
    """
    done = in_child(forked, path)
    assert done.strip() == str([40 * 50_000] * 4)


def test_without_pyarrow_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", some_rows(4))
    missing = """
    import sys
    sys.modules["pyarrow"] = None
    from pathlib import Path
    from imagenet_subset.columns import Span, Texts
    from imagenet_subset.errors import SourceError
    from imagenet_subset.sources.parquet.store import ParquetStore, open_parquet
    path = Path(sys.argv[1])
    try:
        open_parquet(path)
    except SourceError as error:
        print(error)
    store = ParquetStore(str(path.parent), Texts.of([path.name]), frozenset())
    print(store.describe(Span(0, 1, 2)))
    try:
        store.open()
    except OSError as error:
        print(error.strerror)
    """
    done = in_child(missing, path)
    refused, described, worker = done.splitlines()
    for line in (refused, worker):
        assert 'pip install "imagenet-subset[parquet]"' in line
    assert described == f"{path}/row 2 of row group 1"


def test_a_set_that_is_not_whole_is_told(tmp_path: Path) -> None:
    rows = rows_of(photos())
    for k in (0, 2):
        write(tmp_path / f"train-0000{k}-of-00003.parquet", rows[k::3])
    write(tmp_path / "validation-00000-of-00001.parquet", rows[1::3])
    store = open_parquet(tmp_path)
    assert store is not None
    assert store.notes == ("of the 3 files train-*.parquet only 2 are there",)
