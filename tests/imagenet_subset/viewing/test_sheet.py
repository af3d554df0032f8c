"""The contact sheet."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFont, features

from imagenet_subset.errors import OutputError
from imagenet_subset.reading.subset import open_subset
from imagenet_subset.reading.thumbnails import thumbnail
from imagenet_subset.viewing import lettering
from imagenet_subset.viewing.lettering import Lettering
from imagenet_subset.viewing.page import write_page
from imagenet_subset.viewing.sheet import SheetStyle, write_sheets
from tests.harness.tiers import thorough
from tests.imagenet_subset.viewing.photos import write_npz

Write = Callable[..., Path]
Command = Callable[..., str]
Cli = Callable[..., "subprocess.CompletedProcess[str]"]

needs_freetype = pytest.mark.skipif(
    not features.check("freetype2"), reason="Pillow has no FreeType"
)


def pillows_own_font() -> bytes:
    """The file of Pillow's own font: Latin letters."""
    font = ImageFont.load_default(16)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font.font_bytes


def found(path: Path, shade: int) -> tuple[int, int]:
    """Left and top of the image of a shade, which is on the sheet once and whole."""
    with Image.open(path) as image:
        sheet = np.asarray(image.convert("RGB"))
    places = np.argwhere((sheet == (shade, 2 * shade, 3 * shade)).all(axis=2))
    assert len(places) == 112 * 112
    top, left = places[0].tolist()
    return left, top


def test_the_sheet_shows_the_images_in_their_classes_block(
    write_subset: Write, command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "sheet.png"
    npz = write_subset([0, 0, 1, 2], [])
    printed = command("preview", npz, "--out", out, "--columns", "1")
    assert printed == f"{out}\n"
    lefts, tops = zip(*(found(out, shade) for shade in range(4)), strict=True)
    assert tops[0] == tops[1] < tops[2] < tops[3]
    assert lefts[0] == lefts[2] == lefts[3] < lefts[1]


def test_classes_are_side_by_side_with_their_images_at_one_height(
    write_subset: Write, tmp_path: Path
) -> None:
    csv = (
        "subset_label,original_id,WNID,human_label\n0,1,n1,one\n1,2,n2,a name of many words it is\n"
    )
    subset = open_subset(write_subset([0, 1], [], csv=csv, foreign=True))
    (path,) = write_sheets(subset, tmp_path / "s.png", "train")
    (left, top), (other_left, other_top) = found(path, 0), found(path, 1)
    assert top == other_top
    assert left + 112 < other_left


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (480, 480)])
@pytest.mark.parametrize("classes", [1, 3, 40])
def test_a_page_has_the_size_that_is_asked_for(
    write_subset: Write, tmp_path: Path, size: tuple[int, int], classes: int
) -> None:
    subset = open_subset(write_subset(list(range(classes)) * 2, [], csv=None, foreign=True))
    style = SheetStyle(size=size)
    pages = write_sheets(subset, tmp_path / "s.png", "train", per_class=1, style=style)
    for path in pages:
        with Image.open(path) as image:
            assert image.size == size
            gray = np.asarray(image.convert("L"))
        assert (gray[:, -20:] == 255).all()
        assert (gray[-20:] == 255).all()
    assert len(pages) == 1 or size == (480, 480)


def test_on_a_slide_images_are_as_large_as_there_is_room(
    write_subset: Write, tmp_path: Path
) -> None:
    subset = open_subset(write_subset([0] * 8 + [1] * 8, [], csv=None, foreign=True))
    style = SheetStyle(size=(1920, 1080))
    (path,) = write_sheets(subset, tmp_path / "s.png", "train", style=style)
    with Image.open(path) as image:
        sheet = np.asarray(image.convert("RGB"))
    pixels = (sheet == (15, 30, 45)).all(axis=2).sum()
    assert pixels >= 220 * 220


def test_all_pages_are_equally_wide(write_subset: Write, tmp_path: Path) -> None:
    y = [label for label in range(90) for _ in range(1 + label % 3)]
    subset = open_subset(write_subset(y, [], csv=None, foreign=True))
    widths = set()
    style = SheetStyle(columns=2)
    for path in write_sheets(subset, tmp_path / "s.png", "train", style=style):
        with Image.open(path) as image:
            widths.add(image.width)
    assert len(widths) == 1
    assert (tmp_path / "s-2.png").exists()


@pytest.mark.parametrize(
    ("style", "per_class", "why"),
    [
        (SheetStyle(size=(480, 480), columns=9), 1, "9 classes side by side of 1 images each"),
        (SheetStyle(size=(480, 480)), 99, "a class of 60 images each; ask for a larger --size"),
        (SheetStyle(font=Path(__file__)), 1, r"test_sheet.py can't be used as a font"),
        (SheetStyle(font=Path("none.ttf")), 1, r"none.ttf can't be used as a font"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_a_page_is_written(
    write_subset: Write, tmp_path: Path, style: SheetStyle, per_class: int, why: str
) -> None:
    subset = open_subset(write_subset([0] * 60, []))
    with pytest.raises(OutputError, match=why) as caught:
        write_sheets(subset, tmp_path / "s.png", "train", per_class=per_class, style=style)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "s.png").exists()


def test_a_line_breaks_after_a_hyphen_and_a_name_that_is_too_long_says_so() -> None:
    letters = Lettering()
    assert letters.wrap("sulphur-crested cockatoo", 16, 112, 5) == [
        "sulphur-",
        "crested",
        "cockatoo",
    ]
    lines = letters.wrap("W" * 100, 16, 112, 3)
    assert len(lines) == 3
    assert lines[-1].endswith("W...")
    assert all(letters.width(line, 16) <= 112 for line in lines)
    assert letters.wrap("", 16, 112, 3) == [""]


@pytest.mark.parametrize("size", [(64, 64), (1, 1), (1, 1000), (1000, 1), (333, 250)])
def test_images_of_any_size_are_shown(tmp_path: Path, size: tuple[int, int]) -> None:
    arrays: dict[str, Any] = {"X_train": np.full((2, *size, 3), 7, np.uint8)}
    arrays |= {"X_val": arrays["X_train"][:0], "y_train": np.arange(2), "train_id": np.arange(2)}
    np.savez(tmp_path / "any.npz", **arrays, y_val=np.zeros(0, int), val_id=np.zeros(0, int))
    subset = open_subset(tmp_path / "any.npz")
    assert max(thumbnail(subset.X_train[0], 112).size) == 112
    write_sheets(subset, tmp_path / "s.png", "train")
    write_page(subset, tmp_path / "p.html", ["train"])


def test_what_has_no_room_goes_on_in_further_files(write_subset: Write, tmp_path: Path) -> None:
    subset = open_subset(write_subset(list(range(61)), [], csv=None, foreign=True))
    style = SheetStyle(columns=1)
    pages = write_sheets(subset, tmp_path / "s.png", "train", style=style)
    assert [page.name for page in pages] == ["s.png", "s-2.png", "s-3.png", "s-4.png"]
    heights = []
    for page in pages:
        with Image.open(page) as image:
            heights.append(image.height)
    assert 3500 < heights[0] == heights[1] == heights[2] <= 4150 > heights[3]
    assert set(tmp_path.glob("s*")) == set(pages)


@pytest.mark.parametrize("freetype", [True, False])
@pytest.mark.parametrize(
    "name", ["W" * 200, "black_and_gold_garden_spider " * 9, "\u96ea\u8c79 \u017bubr", "a\tb\x07"]
)
@pytest.mark.parametrize("size", [None, (900, 700)])
def test_no_name_runs_into_the_images_or_off_the_page(
    write_subset: Write,
    tmp_path: Path,
    monkeypatch: Any,
    name: str,
    freetype: bool,
    size: tuple[int, int] | None,
) -> None:
    if not freetype:
        monkeypatch.setattr(
            lettering, "_font", lambda file, size: ImageFont.load_default_imagefont()
        )
    csv = f'subset_label,original_id,WNID,human_label\n0,1,n1,"{name}"\n'
    subset = open_subset(write_subset([0, 0], [], csv=csv, foreign=True))
    (path,) = write_sheets(subset, tmp_path / "s.png", "train", style=SheetStyle(size=size))
    with Image.open(path) as image:
        sheet = np.asarray(image.convert("L")).astype(int)
    assert (sheet[:, -20:] == 255).all()
    assert (sheet[-10:] == 255).all()
    black = np.argwhere((sheet == 0) & (np.roll(sheet, 60, axis=1) == 0))
    top, left = black.min(axis=0)
    assert (sheet[top - 5 : top - 1] > 200).all()
    assert (sheet[90:top, left - 60 :] < 128).any()


def test_a_class_of_many_images_goes_on_in_further_lines(
    write_subset: Write, tmp_path: Path
) -> None:
    subset = open_subset(write_subset([0] * 30 + [1] * 12, []))
    (page,) = write_sheets(subset, tmp_path / "s.png", "train", per_class=30)
    with Image.open(page) as image:
        sheet = np.asarray(image.convert("RGB"))
    assert sheet.shape[1] < 2000
    places = []
    for shade in range(42):
        found = np.argwhere((sheet == (shade, 2 * shade, 3 * shade)).all(axis=2))
        assert len(found) == 112 * 112
        places.append(tuple(found[0].tolist()))
    lines = sorted({top for top, _ in places})
    assert [sum(top == line for top, _ in places) for line in lines] == [12, 12, 6, 12]


@thorough("draws hundreds of images")
def test_a_page_ends_before_a_class_that_has_no_room_on_it(
    write_subset: Write, tmp_path: Path
) -> None:
    subset = open_subset(write_subset([0] * 300 + [1] * 70 + [2] * 5, []))
    style = SheetStyle(columns=1)
    pages = write_sheets(subset, tmp_path / "s.png", "train", per_class=300, style=style)
    assert [page.name for page in pages] == ["s.png", "s-2.png"]


def test_letters_with_accents_lose_them_unless_a_font_has_them(tmp_path: Path) -> None:
    assert Lettering().drawable("na\xefve caf\xe9 \xb7 \u96ea") == "naive cafe \xb7 ?"
    assert Lettering(tmp_path / "any.ttf").drawable("caf\xe9 \u96ea") == "caf\xe9 \u96ea"


def named(write_subset: Write, *names: str) -> Path:
    rows = "".join(f"{label},{label + 1},n{label},{name}\n" for label, name in enumerate(names))
    csv = f"subset_label,original_id,WNID,human_label\n{rows}"
    return write_subset(list(range(len(names))), [], csv=csv, foreign=True)


def test_names_without_glyphs_are_told_on_standard_error(
    write_subset: Write, cli: Cli, tmp_path: Path
) -> None:
    npz = named(write_subset, "fish", "سمكة", "caf\xe9", "雪豹")
    done = cli("preview", npz, "--out", tmp_path / "s.png")
    assert done.returncode == 0
    assert done.stderr == (
        "2 names have characters that the font of the sheet has no glyphs for; give one that has "
        "by --font FILE\n"
    )
    npz = named(write_subset, "fish", "caf\xe9")
    assert cli("preview", npz, "--out", tmp_path / "s.png").stderr == ""


@needs_freetype
def test_a_given_font_may_lack_glyphs_too(write_subset: Write, cli: Cli, tmp_path: Path) -> None:
    font = tmp_path / "latin.ttf"
    font.write_bytes(pillows_own_font())
    npz = named(write_subset, "fish", "雪豹", "white space")
    done = cli("preview", npz, "--out", tmp_path / "s.png", "--font", font)
    assert done.stderr == (
        f"1 name has characters that {font} has no glyphs for; give another by --font FILE\n"
    )


@needs_freetype
def test_a_font_that_is_not_there_is_refused(write_subset: Write, command: Command) -> None:
    why = "nofont.ttf can't be used as a font (there is no such file)"
    with pytest.raises(OutputError, match=re.escape(why)):
        command("preview", write_subset([0], []), "--out", "s.png", "--font", "nofont.ttf")


def test_pages_that_a_former_sheet_had_beyond_are_removed_and_no_others(
    write_subset: Write, tmp_path: Path
) -> None:
    many = open_subset(write_subset(list(range(61)), [], csv=None, foreign=True))
    style, out = SheetStyle(columns=1), tmp_path / "s.png"
    assert len(write_sheets(many, out, "train", style=style)) == 4
    write_sheets(many, tmp_path / "t.png", "train", style=style)
    write_sheets(many, tmp_path / "s-9.png", "train")  # a sheet of that name
    Image.new("RGB", (9, 9)).save(tmp_path / "s-7.png")
    (tmp_path / "s-8.png").write_bytes((tmp_path / "s-4.png").read_bytes())
    (tmp_path / "s-x.png").write_bytes((tmp_path / "s-4.png").read_bytes())
    few = open_subset(write_subset([0], [], csv=None, foreign=True))
    write_sheets(few, out, "train", style=style)
    left = {path.name for path in tmp_path.glob("*.png")}
    others = {"s-7.png", "s-8.png", "s-9.png", "s-x.png"}
    assert left == {"s.png", *others, "t.png", "t-2.png", "t-3.png", "t-4.png"}


@pytest.mark.parametrize("classes", [1, 5, 12])
def test_a_page_of_twice_the_size_is_the_same_page_in_more_pixels(
    write_subset: Write, tmp_path: Path, classes: int
) -> None:
    subset = open_subset(write_subset(list(range(classes)) * 4, [], csv=None, foreign=True))
    ink = []
    for scale in (1, 2):
        style = SheetStyle(size=(1920 * scale, 1080 * scale))
        (path,) = write_sheets(subset, tmp_path / "s.png", "train", per_class=4, style=style)
        with Image.open(path) as image:
            rows, columns = np.nonzero(np.asarray(image.convert("L"))[120 * scale :] < 200)
        ink.append([side / scale for side in (rows.max(), columns.min(), columns.max())])
    assert ink[0] == pytest.approx(ink[1], abs=40)


def test_a_single_class_is_in_the_middle_of_a_slide(write_subset: Write, tmp_path: Path) -> None:
    subset = open_subset(write_subset([5], [], csv=None, foreign=True))
    style = SheetStyle(size=(1920, 1080))
    (path,) = write_sheets(subset, tmp_path / "s.png", "train", per_class=1, style=style)
    with Image.open(path) as image:
        black = np.argwhere(np.asarray(image.convert("L")) == 0)
    black = black[black[:, 0] > 120]
    top, left = black.min(axis=0).tolist()
    bottom, right = black.max(axis=0).tolist()
    assert (left + right) / 2 == pytest.approx(960, abs=2)
    assert (top + bottom) / 2 == pytest.approx(590, abs=60)


def test_few_pixels_are_enlarged_as_they_are() -> None:
    board = np.zeros((8, 8, 3), np.uint8)
    board[::2, 1::2] = board[1::2, ::2] = 255
    assert set(np.unique(np.asarray(thumbnail(board, 112)))) == {0, 255}
    assert len(np.unique(np.asarray(thumbnail(np.tile(board, (8, 8, 1)), 112)))) > 2


@thorough("keeps sheets for people to look at")
def test_sheets_of_photos_are_kept_to_be_looked_at(tmp_path: Path) -> None:
    output = Path(__file__).parents[3] / ".ci/output"
    output.mkdir(parents=True, exist_ok=True)
    subset = open_subset(write_npz(tmp_path / "forty_cls.npz", 40, (8, 2)))
    slide = SheetStyle(size=(1920, 1080))
    for name, per_class, style in (("", 8, None), ("-slide", 1, slide), ("-slide-of-3", 3, slide)):
        out = output / f"sheet{name}.png"
        assert write_sheets(subset, out, "train", per_class=per_class, style=style) == [out]
