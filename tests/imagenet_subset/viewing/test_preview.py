"""``imagenet-subset preview``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from imagenet_subset.cli.usage import parse
from imagenet_subset.errors import OutputError, ReadError

Write = Callable[..., Path]
Command = Callable[..., str]


def colors(image: Image.Image) -> set[Any]:
    found = image.getcolors(1 << 20)
    assert found is not None
    return {color for _, color in found}


def test_a_file_without_images_still_makes_a_sheet_and_a_page(
    write_subset: Write, tmp_path: Path, command: Command
) -> None:
    for foreign, csv in ((False, None), (True, None)):
        path = write_subset([], [], foreign=foreign, csv=csv)
        command("preview", path, "--out", tmp_path / "s.png", "--html", tmp_path / "p.html")
        command("preview", path, "--out", tmp_path / "s.png", "--size", "640x480")
        with Image.open(tmp_path / "s.png") as image:
            assert len(colors(image.convert("RGB"))) > 1
        assert (tmp_path / "p.html").read_text().endswith("</html>\n")


def test_sheet_and_page_are_the_same_bytes_for_the_same_seed(
    write_subset: Write, tmp_path: Path, command: Command
) -> None:
    path = write_subset([0] * 30 + [1] * 30, [])
    made = []
    for _ in range(2):
        command("preview", path, "--out", tmp_path / "s.png", "--html", tmp_path / "p.html")
        made.append([(tmp_path / name).read_bytes() for name in ("s.png", "p.html")])
    assert made[0] == made[1]


def test_the_page_has_both_splits_and_the_sheet_one(
    write_subset: Write, tmp_path: Path, command: Command
) -> None:
    path = write_subset([0, 0, 1], [1, 2])
    for options, splits in (([], {"train", "val"}), (["--split", "val"], {"val"})):
        command("preview", path, "--html", tmp_path / "p.html", *options)
        page = (tmp_path / "p.html").read_text()
        assert set(re.findall(r'<section class="(\w+)"', page)) == splits
    alone = write_subset([0], [])
    command("preview", alone, "--html", tmp_path / "p.html")
    assert 'class="show"' not in (tmp_path / "p.html").read_text()


def test_a_split_without_images_is_told_unless_the_file_has_none_at_all(
    write_subset: Write, command: Command
) -> None:
    with pytest.raises(ReadError, match="has no val images; the others are shown by --split train"):
        command("preview", write_subset([0], []), "--split", "val")


def test_html_alone_writes_no_sheet(
    write_subset: Write, tmp_path: Path, command: Command, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_subset([0], [0])
    assert command("preview", path, "--html", "p.html", "--split", "val") == "p.html\n"
    assert not Path("sheet.png").exists()
    assert command("preview", path) == "sheet.png\n"
    assert Path("sheet.png").exists()


def test_a_folder_that_is_not_there_is_an_error_in_one_line(
    write_subset: Write, tmp_path: Path, command: Command
) -> None:
    path = write_subset([0], [])
    for flag, name in (("--out", "s.png"), ("--html", "p.html")):
        with pytest.raises(OutputError, match=re.escape(str(tmp_path / "none" / name))) as caught:
            command("preview", path, flag, tmp_path / "none" / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [
        *[["--per_class", "0"], ["--per_class", "x"], ["--seed", "-1"], ["--split", "test"]],
        *[["--out", "s.jpg"], ["--html", "another.npz"], ["--html", ""]],
        *[["--size", "1920"], ["--size", "100x100"], ["--size", "99999x1080"], ["--columns", "0"]],
    ],
)
def test_wrong_arguments_are_wrong_usage(
    write_subset: Write, command: Command, arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command("preview", write_subset([0], []), *arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (
            ["--font", "nofont.ttf"],
            "--font is for the sheet, and --html alone draws none: add --out",
        ),
        (
            ["--columns", "3", "--size", "1920x1080"],
            "--size and --columns are for the sheet, and --html alone draws none: add --out",
        ),
        (
            ["--font", "f.ttf", "--columns", "3", "--size", "1920x1080"],
            "--size, --columns and --font are for the sheet",
        ),
        (["--size", "-5x-5"], "'-5x-5' isn't a width and a height of 480 to 16384 pixels"),
    ],
)
def test_flags_of_the_sheet_without_one_or_out_of_range_are_wrong_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["preview", "f.npz", "--html", "t.html", *arguments])
    assert caught.value.code == 2
    assert why in capsys.readouterr().err
    assert parse(["preview", "f.npz", "--size", "640x480", "--columns", "3"]).columns == 3
