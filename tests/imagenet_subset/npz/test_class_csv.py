"""The CSV: the four columns, and readers of every kind."""

from __future__ import annotations

import csv
import stat
import sys
from pathlib import Path

import pandas as pd
import pytest

from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.npz.class_csv import write_metadata
from imagenet_subset.selection.subset import Subset, load_subset


def test_the_csv_has_a_line_per_class_in_the_order_of_the_labels(tmp_path: Path) -> None:
    subset = Subset("two", (class_table()["n12267677"], class_table()["n02690373"]))
    write_metadata(tmp_path / "two_cls_metadata.csv", subset)
    assert (tmp_path / "two_cls_metadata.csv").read_bytes() == (
        b"subset_label,original_id,WNID,human_label\n"
        b"0,327,n12267677,acorn\n"
        b"1,230,n02690373,airliner\n"
    )


def test_pandas_reads_every_class_of_ilsvrc_back(tmp_path: Path) -> None:
    write_metadata(tmp_path / "all.csv", Subset("all", tuple(class_table().values())))
    read = pd.read_csv(tmp_path / "all.csv")
    assert read["subset_label"].tolist() == list(range(1000))
    assert read["original_id"].tolist() == [c.clsloc_id for c in class_table().values()]
    assert read["WNID"].tolist() == list(class_table())
    assert read["human_label"].tolist() == [c.human_label for c in class_table().values()]


def test_the_csv_module_reads_four_fields_in_each_line(tmp_path: Path) -> None:
    write_metadata(tmp_path / "m.csv", load_subset("imagenet100"))
    with open(tmp_path / "m.csv", newline="") as file:
        assert [len(row) for row in csv.reader(file)] == [4] * 101


def test_another_csv_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("old")
    write_metadata(tmp_path / "m.csv", load_subset("imagenet30"))
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"]
    assert (tmp_path / "m.csv").read_text().startswith("subset_label,")


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "m.csv").mkdir()
    (tmp_path / "m.csv/kept").write_text("")
    with pytest.raises(OSError, match=r"m\.csv"):
        write_metadata(tmp_path / "m.csv", load_subset("imagenet30"))
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"]


@pytest.mark.skipif(sys.platform == "win32", reason="no POSIX permissions there")
def test_others_may_read_it_as_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    write_metadata(tmp_path / "m.csv", load_subset("imagenet30"))
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "m.csv")]
    assert modes[0] == modes[1]
