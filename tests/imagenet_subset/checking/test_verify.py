"""Verify: a sound file passes, and whatever is wrong with one is named."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imagenet_subset
from imagenet_subset.checking.file import VerifyReport, verify
from imagenet_subset.checking.pixels import compare_with_photos
from imagenet_subset.cli.main import main
from imagenet_subset.demo.tree import write_demo_tree
from imagenet_subset.errors import ReadError, ReadRefusedError, SourceError
from imagenet_subset.ilsvrc.classes import class_table, val_ground_truth
from imagenet_subset.ilsvrc.numbering import name_id
from imagenet_subset.npz.comment import encode_comment
from imagenet_subset.npz.layout import KEYS, Layout, finish
from imagenet_subset.reading.subset import open_subset
from imagenet_subset.records import SPLITS
from imagenet_subset.system.files import open_for_update
from pipelines.rule import DEFAULT, PixelRule
from tests.harness.planned import carried_out, planned
from tests.harness.terminals import drawn

WNIDS = ("n12267677", "n02690373")  # acorn, airliner
PROVENANCE: dict[str, Any] = {
    "format": "imagenet-subset",
    "format_version": 1,
    "program_version": "0.1.0",
    "subset": {"name": "two", "wnids": list(WNIDS), "wnids_sha256": "0"},
    "splits": ["train", "val"],
    "pixel_rule": "shorter side 256, center crop 224",
    "pipeline": {"name": "pillow", "device": "cpu", "versions": {}},
    "left_out": {"missing": 0, "undecodable": 0},
}
CSV = "subset_label,original_id,WNID,human_label\n0,327,n12267677,acorn\n1,230,n02690373,airliner\n"


def arrays() -> dict[str, Any]:
    """Three train and two val images, ids and labels as ILSVRC has them."""
    rng = np.random.default_rng(4)
    first = {wnid: class_table()[wnid].first_train_id for wnid in WNIDS}
    val = [int(np.flatnonzero(val_ground_truth() == i)[0]) + 1 for i in (327, 230)]
    ids = {
        "train": [first[WNIDS[1]], first[WNIDS[1]] + 7, first[WNIDS[0]] + 2],
        "val": sorted(val),
    }
    labels = {"train": [1, 1, 0], "val": [0, 1] if val[0] < val[1] else [1, 0]}
    made: dict[str, Any] = {}
    for split in SPLITS:
        n = len(ids[split])
        made[f"X_{split}"] = rng.integers(0, 256, (n, 224, 224, 3), np.uint8)
        made[f"y_{split}"] = np.array(labels[split], np.int32)
        made[f"{split}_id"] = np.array(ids[split], np.int32)
    return made


def write(path: Path, data: dict[str, Any], provenance: dict[str, Any] = PROVENANCE) -> Path:
    """Write a file of ours, with all CRCs right."""
    layout = Layout.of(
        {split: len(data[f"X_{split}"]) for split in SPLITS},
        DEFAULT.shape,
        encode_comment(provenance),
    )
    crcs = {s: np.array([zlib.crc32(x) for x in data[f"X_{s}"]], np.uint32) for s in SPLITS}
    columns = {key: data[key] for key in KEYS if not key.startswith("X")}
    fd = open_for_update(path, create=True)
    try:
        finish(fd, layout, crcs, columns)
        for split in SPLITS:
            os.lseek(fd, layout.rows.offset_of(split, 0), os.SEEK_SET)
            os.write(fd, data[f"X_{split}"].tobytes())
    finally:
        os.close(fd)
    return path


def one_problem(report: VerifyReport) -> str:
    assert len(report.problems) == 1, report.problems
    assert report.problems[0].isprintable(), "one line"
    return report.problems[0]


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return write(tmp_path / "two_cls.npz", arrays())


# Sound files


def test_a_file_of_ours_is_sound(two: Path) -> None:
    report = verify(two)
    assert report.ok
    assert report.readable
    assert report.checked == [
        "CRC-32 of 6 arrays",
        "structure, byte for byte",
        "labels against the classes, ids against the tables of ILSVRC 2012",
    ]


def test_a_file_with_its_csv_is_sound(two: Path) -> None:
    two.with_name("two_cls_metadata.csv").write_text(CSV)
    assert verify(two).ok


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_split_that_was_left_out_is_sound(tmp_path: Path, split: str) -> None:
    data = {key: a[:0] if split in key else a for key, a in arrays().items()}
    assert verify(write(tmp_path / "one.npz", data)).ok


def test_no_rows_at_all_are_sound(tmp_path: Path) -> None:
    assert verify(write(tmp_path / "none.npz", {key: a[:0] for key, a in arrays().items()})).ok


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("csv", [None, CSV])
def test_a_file_of_another_program_is_checked_as_far_as_it_goes(
    tmp_path: Path, save: Callable[..., None], csv: str | None
) -> None:
    save(tmp_path / "foreign.npz", **arrays())
    if csv:
        (tmp_path / "foreign_metadata.csv").write_text(csv)
    report = verify(tmp_path / "foreign.npz")
    assert report.ok, report.problems
    assert "no provenance: a file of another program" in report.checked
    assert ("labels against" in report.checked[-1]) == bool(csv)


def test_pickled_objects_beside_the_six_arrays_have_a_right_crc_too(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", **arrays(), notes=np.array(["a", {}], object))
    report = verify(tmp_path / "t.npz")
    assert report.ok, report.problems
    assert "CRC-32 of 7 arrays" in report.checked


def test_a_file_of_another_program_may_have_its_own_order_and_comment(tmp_path: Path) -> None:
    data = {key: a[::-1] for key, a in arrays().items()}
    np.savez(tmp_path / "foreign.npz", **data)
    with zipfile.ZipFile(tmp_path / "foreign.npz", "a") as archive:
        archive.comment = b"made by hand"
    assert verify(tmp_path / "foreign.npz").ok


def test_progress_adds_up_to_the_arrays(two: Path) -> None:
    steps: list[int] = []
    verify(two, workers=2, progress=steps.append)
    headers = Layout.of({"train": 3, "val": 2}, DEFAULT.shape, encode_comment(PROVENANCE)).members
    assert sum(steps) == sum(m.end - m.offset - 30 - len(m.name) - 20 for m in headers)


def test_many_blocks_and_workers_give_the_same_crc(two: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("imagenet_subset.checking.file._BLOCK", 1000)
    assert verify(two, workers=3).ok


# One bit


def regions(layout: Layout) -> list[tuple[str, range]]:
    """Every byte of a file but the images, and a word that a problem there has to hold."""
    found = []
    for member in layout.members:
        stop = member.data_offset if member.key.startswith("X") else member.end
        found.append((member.key, range(member.offset, stop)))
    return [*found, ("", range(layout.members[-1].end, layout.size))]


def flip(path: Path, offset: int, bit: int) -> None:
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))


def assert_noticed(path: Path, offset: int, bit: int, word: str) -> None:
    flip(path, offset, bit)
    report = verify(path)
    assert report.problems, f"bit {bit} of byte {offset}"
    assert all(problem.isprintable() for problem in report.problems)
    assert any(word in problem for problem in report.problems), report.problems
    flip(path, offset, bit)


def test_a_flipped_bit_outside_the_images_is_noticed_wherever_it_is(two: Path) -> None:
    rng = random.Random(11)
    layout = Layout.of({"train": 3, "val": 2}, DEFAULT.shape, encode_comment(PROVENANCE))
    for word, region in regions(layout):
        # Headers, their first bytes above all, are where another meaning can hide.
        places = [*rng.sample(region[:140], 12), *rng.sample(region, 12)]
        if not word:
            places = rng.sample(region, 120)
        for offset in places:
            assert_noticed(two, offset, rng.randrange(8), word)
    assert verify(two).ok


@pytest.mark.long
def test_a_flipped_bit_in_each_byte_outside_the_images_is_noticed(two: Path) -> None:
    rng = random.Random(12)
    layout = Layout.of({"train": 3, "val": 2}, DEFAULT.shape, encode_comment(PROVENANCE))
    for word, region in regions(layout):
        for offset in region:
            assert_noticed(two, offset, rng.randrange(8), word)
    assert verify(two).ok


@pytest.mark.parametrize("split", SPLITS)
def test_a_flipped_bit_in_an_image_is_noticed(two: Path, split: Any) -> None:
    layout = Layout.of({"train": 3, "val": 2}, DEFAULT.shape, encode_comment(PROVENANCE))
    rng = random.Random(13)
    for row in range(len(arrays()[f"X_{split}"])):
        for offset in (0, 150_527, rng.randrange(150_528)):
            place = layout.rows.offset_of(split, row) + offset
            assert_noticed(two, place, rng.randrange(8), f"X_{split} is damaged: its CRC-32")


def test_a_lost_comment_is_noticed(two: Path) -> None:
    data = two.read_bytes()
    end = data.rindex(b"PK\5\6")
    two.write_bytes(data[: end + 20] + b"\0\0")
    assert "the archive comment is damaged" in one_problem(verify(two))


# Other damage


@pytest.mark.parametrize("keep", [0, 1, 3000, 400_000, -1, -700, -1300])
def test_a_file_that_is_cut_short_is_noticed(two: Path, keep: int) -> None:
    two.write_bytes(two.read_bytes()[:keep])
    assert not verify(two).ok


@pytest.mark.parametrize("more", [b"\0", b"\n", b"PK\5\6", bytes(5000), bytes(70_000)])
def test_bytes_that_were_added_are_noticed(two: Path, more: bytes) -> None:
    two.write_bytes(two.read_bytes() + more)
    assert not verify(two).ok


def test_bytes_in_front_are_noticed(two: Path) -> None:
    two.write_bytes(b"#!/bin/sh\n" + two.read_bytes())
    assert not verify(two).ok


def test_an_array_that_was_added_is_noticed(two: Path) -> None:
    with zipfile.ZipFile(two, "a") as archive:
        archive.writestr("extra.npy", b"")
    assert not verify(two).ok


def test_exchanged_rows_are_noticed(two: Path) -> None:
    layout = Layout.of({"train": 3, "val": 2}, DEFAULT.shape, encode_comment(PROVENANCE))
    data = bytearray(two.read_bytes())
    a, b = (slice(o, o + 150_528) for o in (layout.rows.offset_of("train", k) for k in (0, 2)))
    data[a], data[b] = data[b], data[a]
    two.write_bytes(data)
    assert "X_train is damaged" in one_problem(verify(two))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damage_in_a_file_of_another_program_is_noticed(
    tmp_path: Path, save: Callable[..., None]
) -> None:
    path = tmp_path / "foreign.npz"
    save(path, **arrays())
    data = bytearray(path.read_bytes())
    data[200_000] ^= 1
    path.write_bytes(data)
    assert "X_train" in one_problem(verify(path))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="tells files by /proc/self/fd")
def test_an_array_on_a_failing_disk_is_named(two: Path) -> None:
    from tests.harness.sabotage import Sabotage

    fault = f"preadv:1:{errno.EIO}"
    saboteur = Sabotage(fault, str(two.parent), str(two.with_name("fired")))
    saboteur.install()
    try:
        report = verify(two)
    finally:
        saboteur.remove()
    assert report.problems == ["X_train can't be read: Input/output error"]
    assert report.unread == 1
    assert not report.ok
    assert not report.readable, "a map of a failing disk would end the process"


@contextlib.contextmanager
def refused(two: Path, name: str, code: int) -> Iterator[None]:
    """The first call of a name fails."""
    from tests.harness.sabotage import Sabotage

    fired = two.parent.with_name(f"{two.parent.name}-fired")
    saboteur = Sabotage(f"{name}:1:{code}", str(two.parent), str(fired))
    saboteur.install()
    try:
        yield
    finally:
        saboteur.remove()
    assert fired.exists()
    fired.unlink()


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="has means of Linux")


@linux
def test_a_file_that_can_t_be_read_in_full_is_not_called_unsound(two: Path, capsys: Any) -> None:
    with refused(two, "preadv", errno.EIO):
        assert main(["verify", str(two), "--workers", "1"]) == 1
    done = capsys.readouterr()
    assert done.out.splitlines() == [
        "PROBLEM  X_train can't be read: Input/output error",
        f"{two} can't be read in full, so whether it is sound is unknown; see to its disk or its "
        "network, and verify it again",
    ]
    layout = Layout.of({"train": 3, "val": 2}, DEFAULT.shape, encode_comment(PROVENANCE))
    flip(two, layout.rows.offset_of("val", 0), 3)
    with refused(two, "preadv", errno.EIO):
        assert main(["verify", str(two), "--workers", "1"]) == 1
    assert "is NOT sound" in capsys.readouterr().out


@linux
@pytest.mark.parametrize("name", ["stat", "builtins.open"])
@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ESTALE, errno.EMFILE])
def test_a_file_that_can_t_be_opened_is_not_called_unsound(
    two: Path, capsys: Any, name: str, code: int
) -> None:
    with refused(two, name, code), pytest.raises(ReadRefusedError) as caught:
        verify(two)
    assert str(caught.value) == (
        f"whether {two} is sound is unknown: can't read {two}: {os.strerror(code)}; put that "
        "right and try again"
    )
    if name == "builtins.open":
        with refused(two, name, code):
            assert main(["verify", str(two)]) == 1
        done = capsys.readouterr()
        assert (done.out, done.err) == ("", f"imagenet-subset: {caught.value}\n")
    assert verify(two).ok


@linux
@pytest.mark.parametrize("left", [0, 1])
def test_a_process_with_too_many_open_files_calls_no_file_unsound(two: Path, left: int) -> None:
    import resource

    assert verify(two).ok  # all is imported
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    fd = os.open(os.devnull, os.O_RDONLY)
    os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (fd + left, limits[1]))
    try:
        with pytest.raises(ReadRefusedError, match=r"unknown: can't .*Too many open files"):
            verify(two)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert verify(two).ok


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no POSIX permissions here")
@pytest.mark.parametrize("name", ["two_cls.npz", "two_cls_metadata.csv"])
def test_a_file_that_one_may_not_read_is_not_called_unsound(two: Path, name: str) -> None:
    command = [sys.executable, "-m", "imagenet_subset", "verify", str(two)]
    if os.getuid() == 0:  # root without the powers that let it read everything
        if not shutil.which("setpriv"):
            pytest.skip("root reads everything, and there is no setpriv")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    two.with_name("two_cls_metadata.csv").write_text(CSV)
    two.with_name(name).chmod(0)
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"imagenet-subset: whether {two} is sound is unknown: can't read {two.with_name(name)}: "
        "Permission denied; put that right and try again\n"
    )
    two.with_name(name).chmod(0o644)
    assert verify(two).ok


@linux
def test_a_damaged_file_is_unsound_whether_or_not_its_csv_can_be_read(two: Path) -> None:
    two.with_name("two_cls_metadata.csv").write_text(CSV)
    flip(two, 200_000, 3)

    def close(_nbytes: int) -> None:
        stack.enter_context(refused(two, "open", errno.EACCES))

    with contextlib.ExitStack() as stack:
        first = iter([close])
        report = verify(two, progress=lambda n: next(first, lambda _: None)(n))
    damaged, csv = report.problems
    assert damaged.startswith("X_train is damaged")
    assert "metadata.csv: Permission denied" in csv


# Consistent, and wrong


def test_a_wrong_label_is_named_with_its_row(tmp_path: Path) -> None:
    data = arrays()
    data["y_train"][1] = 0
    problem = one_problem(verify(write(tmp_path / "two_cls.npz", data)))
    assert problem.startswith("row 1 of train: label 0 (acorn), but ILSVRC's train image")
    assert problem.endswith("shows airliner")


def test_an_id_of_another_class_is_named_with_its_row(tmp_path: Path) -> None:
    data = arrays()
    other = next(n for n in range(data["val_id"][0] + 1, 50_001) if val_ground_truth()[n - 1] == 1)
    data["val_id"][1] = other
    assert one_problem(verify(write(tmp_path / "t.npz", data))).startswith("row 1 of val: label")


@pytest.mark.parametrize(("split", "image_id"), [("train", 1_281_168), ("val", 50_001)])
def test_an_id_that_does_not_exist_is_named(tmp_path: Path, split: str, image_id: int) -> None:
    data = arrays()
    data[f"{split}_id"][-1] = image_id
    problem = one_problem(verify(write(tmp_path / "t.npz", data)))
    assert f"ILSVRC's {split} image {image_id} doesn't exist" in problem


# Ids that are made of names

NAMED: dict[str, Any] = {**PROVENANCE, "format_version": 2, "train_id": "names"}


def named() -> dict[str, Any]:
    """The arrays, their train ids made of names; an acorn has the smallest one."""
    ids = [
        name_id(class_table()[wnid], f"{wnid}_{k}") for wnid, k in zip(WNIDS, (3, 9), strict=True)
    ]
    return {
        **arrays(),
        "y_train": np.array([0, 1, 1], np.int32),
        "train_id": np.array([*ids, ids[1] + 4], np.int32),
    }


def test_ids_of_names_are_checked_against_their_classes(tmp_path: Path) -> None:
    report = verify(write(tmp_path / "two_cls.npz", named(), NAMED))
    assert report.ok, report.problems
    assert report.checked[-1].endswith("; train ids are made of the photos' names")


def test_a_name_of_another_class_than_the_label_says_is_named_with_its_row(tmp_path: Path) -> None:
    data = named()
    data["y_train"][0] = 1
    problem = one_problem(verify(write(tmp_path / "two_cls.npz", data, NAMED)))
    image_id = data["train_id"][0]
    assert problem == (
        f"row 0 of train: label 1 (airliner), but id {image_id} is made of n12267677_3, which "
        "shows acorn"
    )


@pytest.mark.parametrize("image_id", [-1, -1_999_999, 0, 7, 2**31 - 1])
def test_an_id_that_no_name_has_is_named(tmp_path: Path, image_id: int) -> None:
    data = named()
    data["train_id"][-1] = image_id
    problem = one_problem(verify(write(tmp_path / "two_cls.npz", data, NAMED)))
    assert problem.endswith(f"but id {image_id} is made of no train photo's name")


@pytest.mark.parametrize("image_id", [-2_002_000_000, -(2**31)])
def test_an_id_below_those_of_all_names_is_named(tmp_path: Path, image_id: int) -> None:
    data = named()
    data["train_id"][0] = image_id
    problem = one_problem(verify(write(tmp_path / "two_cls.npz", data, NAMED)))
    assert problem.endswith(f"but id {image_id} is made of no train photo's name")


def test_the_provenance_says_which_kind_the_ids_are(tmp_path: Path) -> None:
    problem = one_problem(verify(write(tmp_path / "two_cls.npz", named())))
    assert problem.endswith(f"ILSVRC's train image {named()['train_id'][0]} doesn't exist")
    problem = one_problem(verify(write(tmp_path / "two_cls.npz", arrays(), NAMED)))
    assert problem.endswith(f"id {arrays()['train_id'][0]} is made of no train photo's name")


def test_the_smallest_number_of_a_foreign_file_is_no_name(tmp_path: Path) -> None:
    data = {**named(), "train_id": np.array([-(2**63), *named()["train_id"][1:]], np.int64)}
    np.savez(tmp_path / "two_cls.npz", **data)
    (tmp_path / "two_cls_metadata.csv").write_text(CSV)
    problem = one_problem(verify(tmp_path / "two_cls.npz"))
    assert problem.endswith(f"id {-(2**63)} is made of no train photo's name")


# Labels and ids that are out of range


@pytest.mark.parametrize("label", [-1, 2, 2**31 - 1, -(2**31)])
def test_a_label_out_of_range_is_named_with_its_row(tmp_path: Path, label: int) -> None:
    data = arrays()
    data["y_val"][1] = label
    assert one_problem(verify(write(tmp_path / "t.npz", data))) == (
        f"row 1 of val: label {label}, but there are 2 classes"
    )


def test_ids_that_descend_or_stand_twice_are_named(tmp_path: Path) -> None:
    data = arrays()
    ids = data["train_id"]
    ids[1] = ids[0]
    assert one_problem(verify(write(tmp_path / "t.npz", data))).startswith("row 1 of train: id")
    np.savez(tmp_path / "foreign.npz", **data)
    assert one_problem(verify(tmp_path / "foreign.npz")) == (
        f"row 1 of train: id {ids[0]} is in an earlier row too"
    )
    down = {key: a[::-1] for key, a in arrays().items()}
    problems = verify(write(tmp_path / "down.npz", down)).problems
    assert [p.split(":")[0] for p in problems] == ["row 1 of train", "row 1 of val"]


@pytest.mark.parametrize(
    ("csv", "says"),
    [
        (CSV.replace("327", "328"), "n12267677 is 327, acorn, and not 328, acorn"),
        (CSV.replace("acorn", "oak"), "n12267677 is 327, acorn, and not 327, oak"),
        (CSV.replace("n12267677", "n01440764"), "names other classes than"),
        ("".join(CSV.splitlines(True)[:2]), "names other classes than"),
        (CSV + CSV, "can't read"),
        (CSV + "2,1\n", ":4: expected 4 fields, found 2"),
        ("", "expected subset_label"),
    ],
)
def test_a_csv_that_disagrees_is_told(two: Path, csv: str, says: str) -> None:
    two.with_name("two_cls_metadata.csv").write_text(csv)
    assert any(says in problem for problem in verify(two).problems)


def test_a_csv_of_unknown_classes_beside_a_foreign_file_is_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "foreign.npz", **arrays())
    (tmp_path / "foreign_metadata.csv").write_text(CSV.replace("n12267677", "n99999999"))
    problems = verify(tmp_path / "foreign.npz").problems
    assert problems == ["class 0 of the CSV: n99999999 is no class of ILSVRC 2012"]


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "none.npz", "doesn't exist"), (tmp_path, "is a folder")):
        with pytest.raises(ReadError, match=says):
            verify(path)


def test_what_is_no_npz_is_not_sound(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("hello")
    assert "is not an NPZ" in one_problem(verify(tmp_path / "text.npz"))


# Against the photos


@pytest.fixture(scope="module")
def own_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ilsvrc")
    return write_demo_tree(folder, wnids=WNIDS, train_per_class=6, damaged=1)


@pytest.fixture(scope="module")
def made(own_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real build, one undecodable photo left out."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "two.txt").write_text("\n".join(WNIDS))
    plan = planned(folder / "two.txt", own_tree, folder, device="cpu", pipeline="pillow")
    return carried_out(plan, skip_undecodable=True).plan.output.npz


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path))


def rewritten(path: Path, key: str, change: Callable[[np.ndarray], None]) -> Path:
    """The same file with one array changed and every CRC right again."""
    subset = open_subset(path)
    data = {key: np.array(getattr(subset, key)) for key in KEYS}
    change(data[key])
    assert subset.provenance is not None
    new = write(path.with_name("new_cls.npz"), data, subset.provenance)
    assert verify(new).ok
    return new


def test_a_build_is_exactly_its_photos(made: Path, own_tree: Path) -> None:
    report = verify(made)
    compare_with_photos(report, own_tree, sample=None, workers=2)
    assert report.ok, report.problems
    assert (report.compared, report.max_difference) == (111, 0)


def test_a_sample_is_drawn_by_its_seed(made: Path, own_tree: Path) -> None:
    report = verify(made)
    compare_with_photos(report, own_tree, sample=7)
    assert report.ok
    assert report.compared == 7


def test_one_wrong_value_is_named_with_its_row_and_photo(copied: Path, own_tree: Path) -> None:
    def change(images: np.ndarray) -> None:
        images[4, 100, 200, 1] ^= 2

    report = verify(rewritten(copied, "X_train", change))
    compare_with_photos(report, own_tree, sample=None)
    problem = one_problem(report)
    assert problem.startswith("row 4 of train (")
    assert ".JPEG): differs from the photo by up to 2 of 255, 0 allowed" in problem
    assert report.max_difference == 2


def test_exchanged_images_with_right_crcs_are_named(copied: Path, own_tree: Path) -> None:
    def change(images: np.ndarray) -> None:
        images[[3, 50]] = images[[50, 3]]

    report = verify(rewritten(copied, "X_val", change))
    compare_with_photos(report, own_tree, sample=None)
    assert [p.split(" (")[0] for p in report.problems] == ["row 3 of val", "row 50 of val"]


def test_many_wrong_rows_are_counted_and_the_first_named(copied: Path, own_tree: Path) -> None:
    def change(images: np.ndarray) -> None:
        images[:] = 255 - images

    report = verify(rewritten(copied, "X_val", change))
    compare_with_photos(report, own_tree, sample=None)
    assert len(report.problems) == 21
    assert report.problems[0].startswith("row 0 of val")
    assert report.problems[-1] == "80 more rows differ from their photos"


@pytest.mark.parametrize(
    ("interpolation", "off", "ok"), [("bicubic", 2, True), ("bicubic", 3, False), ("box", 1, False)]
)
def test_the_bounds_of_a_file_made_by_dali_are_those_of_its_filter(
    tree: Path, subset_file: Path, tmp_path: Path, interpolation: Any, off: int, ok: bool
) -> None:
    rule = PixelRule(interpolation=interpolation)
    todo = planned(subset_file, tree, tmp_path, device="cpu", pipeline="pillow", rule=rule)
    subset = open_subset(carried_out(todo).npz)
    assert subset.provenance is not None
    data = {key: np.array(getattr(subset, key)) for key in KEYS}
    image = data["X_train"][4]
    image[0] = np.where(image[0] < 128, image[0] + off, image[0] - off)
    pipeline = {"name": "dali", "device": "cpu", "versions": {}}
    new = write(tmp_path / "n.npz", data, {**subset.provenance, "pipeline": pipeline})
    report = verify(new)
    compare_with_photos(report, tree, sample=None)
    assert report.ok == ok, report.problems


@pytest.mark.parametrize(
    ("device", "off", "ok"), [("cpu", 1, True), ("cpu", 2, False), ("gpu", 2, False)]
)
def test_a_file_made_by_dali_may_differ_within_its_bounds(
    copied: Path, own_tree: Path, device: str, off: int, ok: bool
) -> None:
    subset = open_subset(copied)
    assert subset.provenance is not None
    data = {key: np.array(getattr(subset, key)) for key in KEYS}
    image = data["X_train"][4]
    places = (0, 0, 0) if device == "cpu" else slice(None)  # many a step on average is too far
    image[places] = np.where(image[places] < 128, image[places] + off, image[places] - off)
    pipeline = {"name": "dali", "device": device, "versions": {}}
    new = write(copied.with_name("n.npz"), data, {**subset.provenance, "pipeline": pipeline})
    report = verify(new)
    compare_with_photos(report, own_tree, sample=None)
    assert report.ok == ok


def test_photos_that_are_gone_or_damaged_since_are_named(copied: Path, tmp_path: Path) -> None:
    tree = write_demo_tree(tmp_path / "ILSVRC", wnids=WNIDS, train_per_class=6, damaged=1)
    gone, bad = sorted(tree.glob("val/*"))[:2]
    gone.unlink()
    bad.write_bytes(b"bad")
    report = verify(copied)
    compare_with_photos(report, tree, sample=None)
    absent, unreadable = report.source_problems
    assert "1 photos of val aren't in the source, the first of id" in absent
    assert unreadable.startswith("row 1 of val")
    assert "its photo can't be decoded" in unreadable
    assert not report.ok
    assert report.problems == [], "the file itself is sound"
    assert report.compared == 109


def test_photos_of_another_tree_are_noticed(made: Path, tmp_path: Path) -> None:
    other = write_demo_tree(tmp_path / "o", wnids=WNIDS, train_per_class=6, damaged=1, seed=1)
    report = verify(made)
    compare_with_photos(report, other, sample=20)
    assert not report.ok


def test_a_file_of_another_program_is_held_against_the_photos_by_its_csv(
    copied: Path, own_tree: Path
) -> None:
    subset = open_subset(copied)
    foreign = copied.with_name("foreign.npz")
    np.savez_compressed(foreign, **{key: getattr(subset, key)[:20] for key in KEYS})
    with pytest.raises(ReadError, match="nothing says which classes its labels are"):
        compare_with_photos(verify(foreign), own_tree)
    foreign.with_name("foreign_metadata.csv").write_text(CSV)
    report = verify(foreign)
    compare_with_photos(report, own_tree, sample=None)
    assert report.ok
    assert report.compared == 31


def test_images_of_another_size_can_not_be_compared(tmp_path: Path, own_tree: Path) -> None:
    data = arrays()
    for split in SPLITS:
        data[f"X_{split}"] = data[f"X_{split}"][:, :64, :64]
    np.savez(tmp_path / "small.npz", **data)
    (tmp_path / "small_metadata.csv").write_text(CSV)
    with pytest.raises(ReadError, match="its images aren't 224x224"):
        compare_with_photos(verify(tmp_path / "small.npz"), own_tree)


def test_a_wrong_folder_of_photos_is_an_error(made: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has neither train/ nor val/"):
        compare_with_photos(verify(made), tmp_path)


def test_another_version_of_pillow_is_told(copied: Path, own_tree: Path) -> None:
    subset = open_subset(copied)
    assert subset.provenance is not None
    pipeline = {"name": "pillow", "device": "cpu", "versions": {"pillow": "9.5.0"}}
    data = {key: np.array(getattr(subset, key)) for key in KEYS}
    new = write(copied.with_name("n.npz"), data, {**subset.provenance, "pipeline": pipeline})
    report = verify(new)
    compare_with_photos(report, own_tree, sample=1)
    assert report.checked[-1].endswith("here, 9.5.0 when the file was made)")


def test_a_file_that_names_no_pipeline_is_compared_like_one_of_pillow(
    copied: Path, own_tree: Path
) -> None:
    subset = open_subset(copied)
    assert subset.provenance is not None
    del subset.provenance["pipeline"]
    data = {key: np.array(getattr(subset, key)) for key in KEYS}
    data["X_train"][4, 0, 0, 0] ^= 1
    report = verify(write(copied.with_name("n.npz"), data, subset.provenance))
    assert report.ok
    compare_with_photos(report, own_tree, sample=None)
    (problem,) = report.problems
    assert problem.startswith("row 4 of train")
    assert problem.endswith("differs from the photo by up to 1 of 255, 0 allowed")


# The command


def test_a_sound_file_ends_in_0_and_a_damaged_one_in_1(two: Path, capsys: Any) -> None:
    assert main(["verify", str(two)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{two} is sound"
    flip(two, 200_000, 3)
    assert main(["verify", str(two)]) == 1
    done = capsys.readouterr()
    assert "PROBLEM  X_train is damaged" in done.out
    assert "is NOT sound; copy it again" in done.out
    assert done.err == ""


def test_the_command_compares_all_photos(made: Path, own_tree: Path, capsys: Any) -> None:
    assert main(["verify", str(made), "--data_dir", str(own_tree), "--all", "--workers", "1"]) == 0
    assert "111 photos decoded again" in capsys.readouterr().out


def test_json_says_the_same(made: Path, own_tree: Path, two: Path, capsys: Any) -> None:
    code = main(["verify", str(made), "--data_dir", str(own_tree), "--sample", "3", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert (code, report["ok"], report["compared"], report["problems"]) == (0, True, 3, [])
    flip(two, 200_000, 3)
    assert main(["verify", str(two), "--json"]) == 1
    printed = capsys.readouterr().out
    report = json.loads(printed)
    assert report == verify(two).to_dict()
    assert not report["ok"]
    assert report["problems"][0].startswith("X_train is damaged")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.npz"], "none.npz doesn't exist"),
        (["."], ". is a folder, not a file"),
        (["FILE", "--all"], "say by --data_dir where they are"),
        (["FILE", "--sample", "3"], "say by --data_dir where they are"),
        (["FILE", "--data_dir", "nowhere"], "nowhere doesn't exist"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(
    two: Path, capsys: Any, arguments: list[str], says: str
) -> None:
    assert main(["verify", *(str(two) if a == "FILE" else a for a in arguments)]) == 1
    done = capsys.readouterr()
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert says in done.err


def test_sample_and_all_exclude_each_other(two: Path) -> None:
    with pytest.raises(SystemExit) as end:
        main(["verify", str(two), "--data_dir", ".", "--sample", "3", "--all"])
    assert end.value.code == 2


def test_progress_is_shown_on_a_terminal_only(two: Path) -> None:
    command = [sys.executable, "-m", "imagenet_subset", "verify", str(two)]
    quiet = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert quiet.stderr == ""
    _, output, shown = drawn(command)
    assert "checksums: 100%" in shown
    assert output == quiet.stdout


@pytest.mark.parametrize(
    ("flags", "photos"), [([], 111), (["--sample", "5"], 5), (["--all"], 111)], ids=str
)
def test_the_bar_of_the_pixels_knows_how_many_there_are(
    made: Path, own_tree: Path, flags: list[str], photos: int
) -> None:
    command = [sys.executable, "-m", "imagenet_subset", "verify", str(made), *flags]
    _, _, shown = drawn([*command, "--data_dir", str(own_tree)])
    assert "pixels: 100%" in shown
    assert f"{photos}/{photos}" in shown


def test_python_is_told_the_bytes_of_the_file_and_nothing_of_the_photos(
    made: Path, own_tree: Path
) -> None:
    steps: list[int] = []
    assert imagenet_subset.verify(made, own_tree, progress=steps.append).ok
    assert sum(steps) == made.stat().st_size
