from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image, ImageFont

from imagenet_subset.demo.photos import photo
from imagenet_subset.errors import OutputError, ReadError
from imagenet_subset.reading.subset import open_subset
from imagenet_subset.reading.thumbnails import thumbnail
from imagenet_subset.viewing import sheet as preview
from imagenet_subset.viewing.page import write_page
from imagenet_subset.viewing.sampling import default_split, sample_classes
from imagenet_subset.viewing.sheet import write_sheets
from tests.harness.tiers import thorough

Write = Callable[..., Path]
Command = Callable[..., str]

VOID = {"meta", "img", "input", "br"}


class Page(HTMLParser):
    """The elements of a page, with their text; fails where tags don't match."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.text.setdefault(self._open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, Any]]:
        return [attributes for name, attributes in self.elements if name == tag]


def colors(image: Image.Image) -> set[Any]:
    found = image.getcolors(1 << 20)
    assert found is not None
    return {color for _, color in found}


def test_a_sample_is_the_same_for_the_same_seed_and_differs_for_another(
    write_subset: Write,
) -> None:
    subset = open_subset(write_subset([0] * 60 + [1] * 60, []))
    rows = [sample.rows for sample in sample_classes(subset, "train", 8, seed=5)]
    assert rows == [s.rows for s in sample_classes(subset, "train", 8, seed=5)]
    assert rows != [s.rows for s in sample_classes(subset, "train", 8, seed=6)]


def test_a_sample_holds_rows_of_its_own_class_once_each(write_subset: Write) -> None:
    y = [0, 1, 0, 2, 1, 0, 0]
    subset = open_subset(write_subset(y, []))
    samples = sample_classes(subset, "train", 3, seed=0)
    assert [len(sample.rows) for sample in samples] == [3, 2, 1]
    for label, sample in enumerate(samples):
        assert {y[row] for row in sample.rows} == {label}
        assert sample.rows == sorted(set(sample.rows))


def test_the_split_shown_is_train_unless_it_is_empty(write_subset: Write) -> None:
    assert default_split(open_subset(write_subset([0], [0]))) == "train"
    assert default_split(open_subset(write_subset([], [0]))) == "val"
    assert default_split(open_subset(write_subset([], []))) == "train"


def test_the_sheet_shows_the_images_in_their_classes_row(
    write_subset: Write, command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "sheet.png"
    printed = command("preview", write_subset([0, 0, 1, 2], []), "--out", out)
    assert printed == f"{out}\n"
    with Image.open(out) as image:
        sheet = np.asarray(image.convert("RGB"))
    tops = []
    for shade in range(4):
        found = np.argwhere((sheet == (shade, 2 * shade, 3 * shade)).all(axis=2))
        assert len(found) == 112 * 112
        tops.append(int(found[0][0]))
    assert tops[0] == tops[1] < tops[2] < tops[3]


@pytest.mark.parametrize("size", [(64, 64), (1, 1), (1, 1000), (1000, 1), (333, 250)])
def test_images_of_any_size_are_shown(tmp_path: Path, size: tuple[int, int]) -> None:
    arrays: dict[str, Any] = {"X_train": np.full((2, *size, 3), 7, np.uint8)}
    arrays |= {"X_val": arrays["X_train"][:0], "y_train": np.arange(2), "train_id": np.arange(2)}
    np.savez(tmp_path / "any.npz", **arrays, y_val=np.zeros(0, int), val_id=np.zeros(0, int))
    subset = open_subset(tmp_path / "any.npz")
    assert max(thumbnail(subset.X_train[0], 112).size) == 112
    write_sheets(subset, tmp_path / "s.png", "train")
    write_page(subset, tmp_path / "p.html", "train")


def test_beyond_30_classes_the_sheet_goes_on_in_further_files(
    write_subset: Write, tmp_path: Path
) -> None:
    subset = open_subset(write_subset(list(range(61)), [], csv=None, foreign=True))
    pages = write_sheets(subset, tmp_path / "s.png", "train")
    assert [page.name for page in pages] == ["s.png", "s-2.png", "s-3.png"]
    heights = []
    for page in pages:
        with Image.open(page) as image:
            heights.append(image.height)
    assert heights[0] == heights[1] > heights[2]
    assert {path.name for path in tmp_path.glob("s*")} == {"s.png", "s-2.png", "s-3.png"}


@pytest.mark.parametrize("freetype", [True, False])
@pytest.mark.parametrize(
    "name", ["W" * 200, "black_and_gold_garden_spider " * 9, "\u96ea\u8c79 \u017bubr", "a\tb\x07"]
)
def test_no_name_is_cut_off_or_runs_into_the_images(
    write_subset: Write, tmp_path: Path, monkeypatch: Any, name: str, freetype: bool
) -> None:
    if not freetype:
        monkeypatch.setattr(preview, "_font", lambda size: ImageFont.load_default_imagefont())
    csv = f'subset_label,original_id,WNID,human_label\n0,1,n1,"{name}"\n'
    subset = open_subset(write_subset([0, 0], [], csv=csv, foreign=True))
    (path,) = write_sheets(subset, tmp_path / "s.png", "train")
    with Image.open(path) as image:
        sheet = np.asarray(image.convert("L")).astype(int)
    assert (sheet[:, -20:] == 255).all()
    assert (sheet[-10:] == 255).all()
    black = np.argwhere(sheet == 0)
    left = black[:, 1].min()
    column = sheet[90:, :left]
    assert (column < 128).any()
    assert (column[:, -20:] > 200).all()


def test_a_file_without_images_still_makes_a_sheet_and_a_page(
    write_subset: Write, tmp_path: Path, command: Command
) -> None:
    for foreign, csv in ((False, None), (True, None)):
        path = write_subset([], [], foreign=foreign, csv=csv)
        command("preview", path, "--out", tmp_path / "s.png", "--html", tmp_path / "p.html")
        with Image.open(tmp_path / "s.png") as image:
            assert len(colors(image.convert("RGB"))) > 1
        Page(tmp_path / "p.html")


def test_the_page_is_whole_and_needs_no_network(write_subset: Write, tmp_path: Path) -> None:
    subset = open_subset(write_subset([0, 0, 1, 2], [0, 1]))
    write_page(subset, tmp_path / "p.html", "train")
    page = Page(tmp_path / "p.html")
    for _, attributes in page.elements:
        assert not (attributes.get("src") or "data:").startswith(("http", "//", "file"))
        assert "srcset" not in attributes
    assert page.all("link") == []
    assert all(a["href"].startswith("#class-") for a in page.all("a"))
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert {a["href"][1:] for a in page.all("a")} <= ids
    (policy,) = [m for m in page.all("meta") if "http-equiv" in m]
    assert policy["content"].startswith("default-src 'none'")


def test_the_pages_thumbnails_are_the_images_and_say_which(
    write_subset: Write, tmp_path: Path
) -> None:
    subset = open_subset(write_subset([0, 0, 1, 2], [], ids={"train": [11, 22, 33, 44]}))
    write_page(subset, tmp_path / "p.html", "train")
    images = Page(tmp_path / "p.html").all("img")
    assert [image["alt"] for image in images] == [
        "acorn, train row 0, train_id 11",
        "acorn, train row 1, train_id 22",
        "airliner, train row 2, train_id 33",
        "volcano, train row 3, train_id 44",
    ]
    for row, attributes in enumerate(images):
        with urlopen(attributes["src"]) as data, Image.open(BytesIO(data.read())) as image:
            assert image.size == (112, 112)
            center = image.convert("RGB").getpixel((56, 56))
        assert np.abs(np.asarray(center, float) - (row, 2 * row, 3 * row)).max() <= 3


def test_the_page_counts_images_by_class_and_split(write_subset: Write, tmp_path: Path) -> None:
    subset = open_subset(write_subset([0, 0, 0, 0, 1, 2], [1, 1, 0]))
    write_page(subset, tmp_path / "p.html", "train")
    page = Page(tmp_path / "p.html")
    widths = [float(bar["style"].removeprefix("width:").rstrip("%")) for bar in page.all("i")]
    assert widths == [100, 50, 25, 100, 25, 0]
    assert page.text["span"].count("4") == 1


def test_what_a_file_says_is_shown_and_not_run(write_subset: Write, tmp_path: Path) -> None:
    name = "<script>alert('x')</script>&amp;\"><img src=x onerror=y>"
    quoted = name.replace('"', '""')
    csv = f'subset_label,original_id,WNID,human_label\n0,1,"{quoted}","{quoted}"\n'
    subset = open_subset(write_subset([0], [], csv=csv, foreign=True))
    write_page(subset, tmp_path / "p.html", "train")
    page = Page(tmp_path / "p.html")
    assert len(page.all("script")) == 1
    assert len(page.all("img")) == 1
    assert page.text["h3"] == [name]
    assert page.text["code"] == [name]


def test_every_class_can_be_found_by_name_wnid_and_label(
    write_subset: Write, tmp_path: Path
) -> None:
    write_page(open_subset(write_subset([0, 1, 2], [])), tmp_path / "p.html", "train")
    found = [article["data-find"] for article in Page(tmp_path / "p.html").all("article")]
    for text, wnid, label, name in zip(
        found, ["n12267677", "n02690373", "n09472597"], "012", ["acorn", "airliner", "volcano"],
        strict=True,
    ):  # fmt: skip
        assert {wnid, label, name} <= set(text.split())


@thorough("draws hundreds of images")
def test_a_page_of_100_classes_weighs_a_few_megabytes(tmp_path: Path) -> None:
    pixels = np.stack([np.asarray(photo(seed, 224, 224)) for seed in range(100)])
    arrays: dict[str, Any] = {"X_train": np.repeat(pixels, 8, axis=0), "X_val": pixels[:0]}
    arrays |= {"y_train": np.repeat(np.arange(100), 8), "y_val": np.zeros(0, int)}
    arrays |= {"train_id": np.arange(800), "val_id": np.zeros(0, int)}
    np.savez(tmp_path / "hundred.npz", **arrays)
    write_page(open_subset(tmp_path / "hundred.npz"), tmp_path / "p.html", "train")
    assert 1e6 < (tmp_path / "p.html").stat().st_size < 6e6


def test_sheet_and_page_are_the_same_bytes_for_the_same_seed(
    write_subset: Write, tmp_path: Path, command: Command
) -> None:
    path = write_subset([0] * 30 + [1] * 30, [])
    made = []
    for _ in range(2):
        command("preview", path, "--out", tmp_path / "s.png", "--html", tmp_path / "p.html")
        made.append([(tmp_path / name).read_bytes() for name in ("s.png", "p.html")])
    assert made[0] == made[1]


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
    pages = write_sheets(subset, tmp_path / "s.png", "train", per_class=300)
    assert [page.name for page in pages] == ["s.png", "s-2.png"]


def test_a_split_without_images_is_told_unless_the_file_has_none_at_all(
    write_subset: Write, command: Command
) -> None:
    with pytest.raises(ReadError, match="has no val images; the others are shown by --split train"):
        command("preview", write_subset([0], []), "--split", "val")


def test_letters_with_accents_lose_them_on_the_sheet() -> None:
    assert preview._drawable("na\xefve caf\xe9 \xb7 \u96ea") == "naive cafe \xb7 ?"


def test_a_number_finds_a_label_or_an_image_and_no_part_of_them(
    write_subset: Write, tmp_path: Path
) -> None:
    subset = open_subset(write_subset([0, 1, 1], [], ids={"train": [7, 77, 777]}))
    write_page(subset, tmp_path / "p.html", "train")
    numbers = [article["data-numbers"] for article in Page(tmp_path / "p.html").all("article")]
    assert numbers == ["0 7", "1 77 777", "2"]


def test_a_number_may_be_negative_as_an_id_that_is_made_of_a_name(
    write_subset: Write, tmp_path: Path
) -> None:
    subset = open_subset(write_subset([0], [], ids={"train": [-1_978_027_183]}))
    write_page(subset, tmp_path / "p.html", "train")
    page = (tmp_path / "p.html").read_text()
    assert 'data-numbers="0 -1978027183"' in page
    (number,) = re.findall(r"!/(\S+)/\.test", page)
    assert re.fullmatch(number, "-1978027183")
    assert not re.fullmatch(number, "n12267677")


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
    ],
)
def test_wrong_arguments_are_wrong_usage(
    write_subset: Write, command: Command, arguments: list[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        command("preview", write_subset([0], []), *arguments)
    assert caught.value.code == 2
