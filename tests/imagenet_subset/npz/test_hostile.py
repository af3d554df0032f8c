"""Files that were made to mislead: whoever reads one refuses it in one line, or isn't misled."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagenet_subset.building import journal
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.run import BuildResult
from imagenet_subset.checking.file import verify
from imagenet_subset.cli.main import main
from imagenet_subset.errors import ImagenetSubsetError, OutputError, OutputExistsError, ReadError
from imagenet_subset.npz.comment import encode_comment
from imagenet_subset.npz.crc import crc32
from imagenet_subset.reading.subset import open_subset
from imagenet_subset.reading.summary import summarize
from imagenet_subset.system.text import first_unprintable
from tests.harness.planned import carried_out, planned
from tests.harness.tiers import first_quick

WNIDS = ["n12267677", "n02690373"]
PROVENANCE: dict[str, Any] = {
    "format": "imagenet-subset",
    "format_version": 1,
    "program_version": "0.1.0",
    "subset": {"name": "two", "wnids": WNIDS, "wnids_sha256": "0"},
    "splits": ["train", "val"],
    "pixel_rule": "shorter side 256, center crop 224",
    "pipeline": {"name": "pillow", "device": "cpu", "versions": {"pillow": "13.0.0"}},
    "left_out": {"missing": 0, "undecodable": 0},
}
ALARMS = ("unexpected", "defect", "Traceback", "\n")


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(descr: str, shape: str) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text


def members() -> dict[str, bytes]:
    one = {"X_{}": np.zeros((1, 224, 224, 3), np.uint8), "y_{}": np.zeros(1, np.int32)}
    one["{}_id"] = np.ones(1, np.int32)
    return {key.format(s): npy(array) for s in ("train", "val") for key, array in one.items()}


def written(path: Path, comment: bytes = b"", **other: bytes) -> Path:
    """An NPZ with some of its members as given, or with more than it needs."""
    with zipfile.ZipFile(path, "w") as archive:
        for key, data in {**members(), **other}.items():
            archive.writestr(f"{key}.npy", data)
        archive.comment = comment
    return path


def said(arguments: list[object], capsys: Any) -> tuple[int, str]:
    """Exit code and what a command said on stderr, which may be one line."""
    code = main([str(argument) for argument in arguments])
    stderr = capsys.readouterr().err
    assert code in (0, 1)
    assert not any(alarm in stderr.removesuffix("\n") for alarm in ALARMS), stderr
    return code, stderr


def all_commands(path: Path) -> list[list[object]]:
    out = path.parent
    return [
        ["verify", path],
        ["verify", path, "--json"],
        ["inspect", path],
        ["inspect", path, "--json", "--stats"],
        ["preview", path, "--out", out / "s.png", "--html", out / "p.html"],
        ["locate", path, "--split", "train", "--row", "0"],
        ["locate", path, "--split", "val", "--id", "1"],
    ]


# Shapes and types

SHAPES = [
    f"(0, {10**30}, 224, 3)",
    f"(0, {2**62}, {2**62}, 3)",
    f"(0, {2**40}, {2**40}, 3)",
    f"({10**20}, 224, 224, 3)",
    f"({2**63}, 224, 224, 3)",
    f"(0, {'9' * 5000}, 224, 3)",
    "(-1, 224, 224, 3)",
    "(True, 224, 224, 3)",
    "(0, 0, 224, 3)",
    "(0, 224, 0, 3)",
    "(1.0, 224, 224, 3)",
    "[1, 224, 224, 3]",
    "(" + "0, " * 70 + ")",
    "(" * 300 + ")" * 300,
    "()",
    "None",
]


FORGED = "forges every field in every way"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_that_no_array_has_is_refused_by_every_reader(
    tmp_path: Path, capsys: Any, shape: str
) -> None:
    path = written(tmp_path / "two_cls.npz", X_train=header("'|u1'", shape))
    with pytest.raises(ReadError, match="X_train"):
        open_subset(path)
    for command in all_commands(path):
        code, stderr = said(command, capsys)
        assert code == 1 or (command[0] == "inspect" and not stderr)


@pytest.mark.parametrize(
    "descr",
    ["()", "('u1',)", "[()]", "{}", "5", "[('a',)]", "'O'", "'<M8[zz]'", "''", "('<i4', (10**9,))"],
)
def test_a_type_that_no_array_has_is_refused_by_every_reader(
    tmp_path: Path, capsys: Any, descr: str
) -> None:
    path = written(tmp_path / "two_cls.npz", y_train=header(descr, "(1,)") + bytes(4))
    with pytest.raises(ReadError, match="y_train"):
        open_subset(path)
    for command in all_commands(path):
        said(command, capsys)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3).map(tuple) | st.lists(inner, max_size=3),
        max_leaves=9,
    ),
    st.sampled_from(["shape", "descr", "fortran_order"]),
)
def test_any_value_in_an_array_header_is_refused_or_right(
    tmp_path_factory: pytest.TempPathFactory, value: Any, field: str
) -> None:
    fields = {"descr": "<i4", "fortran_order": False, "shape": (1,), field: value}
    text = f"{fields}\n".encode("utf-8", "surrogatepass")
    data = b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + bytes(4)
    path = written(tmp_path_factory.mktemp("header") / "two_cls.npz", y_train=data)
    try:
        assert open_subset(path).y_train.tolist() == [0]
    except ReadError as error:
        assert first_unprintable(str(error)) is None  # noqa: PT017 - either outcome will do
    assert all(first_unprintable(problem) is None for problem in verify(path).problems)


# Members that no subset needs

EXTRAS = {
    "__MACOSX/._X_train": b"\0\5\x16\7\0\2\0\0Mac OS X",
    "empty": b"",
    "objects": npy(np.array([{}], object)),
    "cut": npy(np.zeros(9))[:-5],
    "huge": header("'|u1'", f"({10**30},)"),
    "text": b"hello",
    "a\nb": b"",
}


@pytest.mark.parametrize("key", EXTRAS)
def test_a_member_that_is_not_needed_keeps_no_reader_from_reading(
    tmp_path: Path, capsys: Any, key: str
) -> None:
    path = written(tmp_path / "two_cls.npz", **{key: EXTRAS[key]})
    assert len(open_subset(path)) == 2
    report = verify(path)
    assert report.readable
    assert all(first_unprintable(line) is None for line in report.checked + report.problems)
    assert not any("X_" in line for line in report.problems)
    for command in all_commands(path):
        assert said(command, capsys) == (0, "")


def test_inspect_lists_what_can_be_read_and_says_why_the_rest_can_not(tmp_path: Path) -> None:
    path = written(tmp_path / "two_cls.npz", extra=npy(np.zeros(3)), broken=b"junk")
    summary = summarize(path)
    assert [array.key for array in summary.arrays] == [*members(), "extra"]
    assert "broken has an unreadable header" in summary.unreadable["broken"]
    assert summary.not_a_subset is None


# Provenance with a right CRC

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=12,
)
PLACES = [
    ("subset",), ("subset", "name"), ("subset", "wnids"), ("subset", "wnids_sha256"), ("splits",),
    ("pixel_rule",), ("program_version",), ("pipeline",), ("pipeline", "name"),
    ("pipeline", "device"), ("pipeline", "versions"), ("left_out",), ("left_out", "undecodable"),
    ("format_version",), ("train_id",), ("more",),
]  # fmt: skip
_ABSENT = object()


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


def forged(place: tuple[str, ...], value: Any) -> bytes:
    provenance = json.loads(json.dumps(PROVENANCE))
    inner = provenance
    for key in place[:-1]:
        inner = inner[key]
    if value is _ABSENT:
        inner.pop(place[-1], None)
    else:
        inner[place[-1]] = value
    return encode_comment(provenance)


VALUES = [
    _ABSENT, None, True, 5, -1, 1e300, "", "n12267677", "a\nb\x1b[2J", [], ["a", 1], [[]], {},
    {"name": []}, {"a\nb": 3}, ["n12267677\n"], {"pillow": {}}, deep(7), deep(200), deep(700),
]  # fmt: skip


@pytest.mark.parametrize(
    "place", first_quick([(place,) for place in PLACES], FORGED, quick=2), ids=".".join
)
def test_a_forged_field_of_the_provenance_is_refused_or_does_no_harm(
    tmp_path: Path, capsys: Any, place: tuple[str, ...]
) -> None:
    refused = 0
    for value in VALUES:
        path = written(tmp_path / "two_cls.npz", forged(place, value))
        try:
            subset = open_subset(path)
            assert first_unprintable(repr(subset)) is None
            _ = subset.class_rows
        except ReadError as error:
            assert first_unprintable(str(error)) is None  # noqa: PT017 - either outcome will do
            refused += 1
        for command in all_commands(path):
            said(command, capsys)
    assert refused >= 2, "what is nested too deep, at least"


@given(st.sampled_from(PLACES), JSON)
def test_any_value_in_the_provenance_is_refused_or_does_no_harm(
    tmp_path_factory: pytest.TempPathFactory, place: tuple[str, ...], value: Any
) -> None:
    folder = tmp_path_factory.mktemp("forged")
    path = written(folder / "two_cls.npz", forged(place, value))
    assert all(first_unprintable(p) is None for p in verify(path).problems)
    try:
        subset = open_subset(path)
        summarize(path)
        assert first_unprintable(repr(subset)) is None
    except ReadError as error:
        assert first_unprintable(str(error)) is None  # noqa: PT017 - either outcome will do


# What a build finds in its output folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("subset") / "two.txt"
    path.write_text("\n".join(WNIDS))
    return path


def of_val(two: Path, tree: Path, out: Path) -> BuildPlan:
    return planned(two, tree, out, device="cpu", pipeline="pillow", splits=["val"])


def build(todo: BuildPlan, **options: Any) -> BuildResult:
    with ThreadPoolExecutor(1) as executor:
        return carried_out(todo, executor=executor, **options)


@pytest.mark.parametrize(
    "place", first_quick([(place,) for place in PLACES], FORGED, quick=2), ids=".".join
)
def test_a_build_refuses_a_forged_file_under_its_name_in_one_line(
    two: Path, tree: Path, tmp_path: Path, place: tuple[str, ...]
) -> None:
    todo = of_val(two, tree, tmp_path)
    for value in VALUES:
        written(todo.output.npz, forged(place, value))
        for skip in (False, True):
            with pytest.raises(OutputExistsError, match="--overwrite") as caught:
                build(todo, skip_undecodable=skip)
            assert first_unprintable(str(caught.value)) is None
    assert not build(todo, overwrite=True).already_complete
    assert verify(todo.output.npz).ok


def journal_of(header: bytes, rows: int = 100) -> bytes:
    """A journal with this header, whose CRC is right, and every row pending."""
    head = journal.MAGIC + struct.pack("<2I", len(header), crc32(header))
    return head + header + bytes(8 * (rows + 1))


HEADERS: list[Any] = [
    None, True, 5, "text", [], [[]], {}, {"fingerprint": {}}, {"source": ""},
    {"fingerprint": [], "source": ""}, {"fingerprint": {}, "source": 5},
    {"fingerprint": {}, "source": "elsewhere"}, {"fingerprint": {"records": 5}, "source": ""},
    {"fingerprint": {"provenance": "x", "records": {"train": 1}}, "source": ""},
    {"fingerprint": {"a\nb": "c\nd"}, "source": "e\nf"},
    {"fingerprint": {"provenance": {"subset": deep(700)}}, "source": ""},
    {"fingerprint": {}, "source": deep(700)},
]  # fmt: skip
JOURNALS = [
    *[json.dumps(header).encode() for header in HEADERS],
    b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"fingerprint": NaN}', b"1" * 5000,
]  # fmt: skip


def refused_and_begun_again(todo: BuildPlan) -> None:
    with pytest.raises(ImagenetSubsetError, match="--overwrite to begin again") as caught:
        build(todo)
    assert first_unprintable(str(caught.value)) is None
    assert not todo.output.npz.exists()
    assert build(todo, overwrite=True).decoded == 100
    assert sorted(path.name for path in todo.output.folder.iterdir()) == [
        "two_cls.npz",
        "two_cls_metadata.csv",
    ]
    todo.output.npz.unlink()


@pytest.mark.parametrize("header", first_quick(JOURNALS, FORGED, quick=2), ids=range(len(JOURNALS)))
def test_a_forged_journal_is_refused_in_one_line_and_overwrite_gets_past_it(
    two: Path, tree: Path, tmp_path: Path, header: bytes
) -> None:
    todo = of_val(two, tree, tmp_path)
    todo.output.partial.write_bytes(b"begun")
    todo.output.journal.write_bytes(journal_of(header))
    refused_and_begun_again(todo)


@given(JSON | st.fixed_dictionaries({"fingerprint": JSON, "source": JSON}))
def test_any_header_of_a_journal_opens_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, header: Any
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j"
    path.write_bytes(journal_of(json.dumps(header).encode(), rows=3))
    try:
        with journal.opened(path, 3) as opened:
            assert isinstance(opened.source, str)
            different = journal.differences(opened.fingerprint, {"provenance": PROVENANCE})
            assert all(first_unprintable(line) is None for line in different)
            assert different
    except ImagenetSubsetError as error:
        assert first_unprintable(str(error)) is None  # noqa: PT017 - either outcome will do


def test_a_journal_that_claims_a_header_of_4_gb_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(journal.MAGIC + struct.pack("<2I", 0xFFFFFFFF, 0))
    os.truncate(path, 1 << 33)
    with pytest.raises(ImagenetSubsetError, match="is damaged"), journal.opened(path, 3):
        pass


# Pipes and devices

pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
Make = Callable[[Path], None]


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pipes
@pytest.mark.parametrize("make", [os.mkfifo, device], ids=["pipe", "device"])
def test_a_pipe_or_a_device_for_an_npz_is_refused_at_once(
    tmp_path: Path, capsys: Any, make: Make
) -> None:
    make(path := tmp_path / "two_cls.npz")
    for command in all_commands(path):
        code, stderr = said(command, capsys)
        assert code == 1
        assert "pipe" in stderr or "device" in stderr


@pipes
@pytest.mark.parametrize("make", [os.mkfifo, device], ids=["pipe", "device"])
def test_a_pipe_or_a_device_for_the_csv_is_refused_at_once(
    tmp_path: Path, capsys: Any, make: Make
) -> None:
    path = written(tmp_path / "two_cls.npz", encode_comment(PROVENANCE))
    make(path.with_name("two_cls_metadata.csv"))
    with pytest.raises(ReadError, match="not a file; remove it"):
        _ = open_subset(path).class_rows
    assert said(["preview", path, "--out", tmp_path / "s.png"], capsys)[0] == 1


@pipes
@pytest.mark.parametrize("make", [os.mkfifo, device, Path.mkdir], ids=["pipe", "device", "folder"])
def test_a_pipe_or_a_device_in_a_builds_folder_is_refused_at_once(
    two: Path, tree: Path, tmp_path: Path, make: Make
) -> None:
    for name in ("partial", "journal", "npz"):
        todo = of_val(two, tree, tmp_path / name)
        todo.output.folder.mkdir()
        if name == "journal":
            todo.output.partial.write_bytes(b"begun")
        make(getattr(todo.output, name))
        with pytest.raises(ImagenetSubsetError, match=r"pipe|device|folder|directory") as caught:
            build(todo)
        assert first_unprintable(str(caught.value)) is None
        assert getattr(todo.output, name).exists(), "what isn't ours is left alone"


def dangling(path: Path) -> None:
    path.symlink_to("nowhere/at/all")


@pipes
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "a named pipe"),
        (device, "a link"),
        (dangling, "a link"),
        (Path.mkdir, "a folder"),
    ],
    ids=["pipe", "device", "link", "folder"],
)
@pytest.mark.parametrize("name", ["journal", "csv"])
def test_what_stands_in_the_way_of_a_temporary_file_is_named_before_the_first_image(
    two: Path, tree: Path, tmp_path: Path, name: str, make: Make, kind: str
) -> None:
    todo = of_val(two, tree, tmp_path / "out")
    todo.output.folder.mkdir()
    path = getattr(todo.output, name)
    make(temporary := path.with_name(f"{path.name}.tmp"))
    with pytest.raises(OutputError) as caught:
        build(todo)
    assert str(caught.value) == (
        f"can't write {temporary}: it is {kind}, not a file; remove it and run the same command "
        "again"
    )
    assert os.listdir(todo.output.folder) == [temporary.name], "what isn't ours is left alone"


@pipes
def test_overwrite_gets_past_a_journal_that_is_a_pipe(
    two: Path, tree: Path, tmp_path: Path
) -> None:
    todo = of_val(two, tree, tmp_path)
    todo.output.partial.write_bytes(b"begun")
    os.mkfifo(todo.output.journal)
    assert build(todo, overwrite=True).decoded == 100


def test_a_csv_of_a_terabyte_is_refused_unread(tmp_path: Path) -> None:
    path = written(tmp_path / "two_cls.npz", encode_comment(PROVENANCE))
    csv = path.with_name("two_cls_metadata.csv")
    csv.touch()
    os.truncate(csv, 1 << 40)
    with pytest.raises(ReadError, match="no list of classes"):
        _ = open_subset(path).class_rows


@pytest.mark.parametrize("number", ["-1", str(2**31), "9" * 30, "9" * 5000])
def test_an_id_that_no_class_has_is_refused_with_its_line(tmp_path: Path, number: str) -> None:
    path = written(tmp_path / "two_cls.npz")
    rows = f"0,{number},n12267677,acorn\n"
    path.with_name("two_cls_metadata.csv").write_text(
        "subset_label,original_id,WNID,human_label\n" + rows
    )
    (problem,) = verify(path).problems
    assert "two_cls_metadata.csv" in problem
    assert first_unprintable(problem) is None
    assert len(problem) < 500


def test_names_with_control_characters_print_in_one_line(tmp_path: Path, capsys: Any) -> None:
    path = written(tmp_path / "two_cls.npz")
    path.with_name("two_cls_metadata.csv").write_text(
        'subset_label,original_id,WNID,human_label\n0,327,"n1226\n\x1b[2J","aco\nrn"\n'
    )
    report = verify(path)
    assert report.problems
    assert all(first_unprintable(problem) is None for problem in report.problems)
    for command in all_commands(path):
        said(command, capsys)


def test_a_file_that_is_replaced_while_it_is_verified_is_not_mixed_with_the_new_one(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "two_cls.npz")
    other = {**members(), "X_train": npy(np.ones((1, 224, 224, 3), np.uint8))}

    def replace(_nbytes: int) -> None:
        os.replace(written(tmp_path / "new.npz", **other), path)

    report = verify(path, progress=replace)
    assert report.ok, report.problems
    assert open_subset(path).X_train.max() == 1


@pipes
def test_a_pipe_does_not_hold_up_the_command(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "two_cls.npz")
    done = subprocess.run(
        [sys.executable, "-m", "imagenet_subset", "inspect", tmp_path / "two_cls.npz"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stderr.endswith("two_cls.npz: it is a named pipe, not a file\n")
