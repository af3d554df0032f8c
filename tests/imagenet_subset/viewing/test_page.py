"""The preview page as a file; what it does is tested in a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from imagenet_subset.demo.photos import photo
from imagenet_subset.reading.subset import ImagenetSubset, open_subset
from imagenet_subset.reading.thumbnails import data_uri
from imagenet_subset.records import Split
from imagenet_subset.viewing import page as page_module
from imagenet_subset.viewing.budget import encoding_for
from imagenet_subset.viewing.page import write_page
from tests.harness.tiers import thorough

Write = Callable[..., Path]

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

    def images(self) -> list[dict[str, Any]]:
        """Those of the file; the one that shows an enlarged image has none before."""
        return [attributes for attributes in self.all("img") if "src" in attributes]


def write(subset: ImagenetSubset, folder: Path, splits: Sequence[Split] = ("train",)) -> Page:
    """The page of a file."""
    write_page(subset, folder / "p.html", splits)
    return Page(folder / "p.html")


def test_the_page_is_whole_and_needs_no_network(write_subset: Write, tmp_path: Path) -> None:
    subset = open_subset(write_subset([0, 0, 1, 2], [0, 1]))
    write_page(subset, tmp_path / "p.html")
    page = Page(tmp_path / "p.html")
    for _, attributes in page.elements:
        assert not (attributes.get("src") or "data:").startswith(("http", "//", "file"))
        assert "srcset" not in attributes
    assert page.all("link") == []
    assert all(re.match("#(class|train|val)=", a["href"]) for a in page.all("a"))
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert {a["href"][1:] for a in page.all("a")} <= ids
    (policy,) = [m for m in page.all("meta") if "http-equiv" in m]
    assert policy["content"].startswith("default-src 'none'")


def test_the_pages_thumbnails_are_the_images_and_say_which(
    write_subset: Write, tmp_path: Path
) -> None:
    subset = open_subset(write_subset([0, 0, 1, 2], [], ids={"train": [11, 22, 33, 44]}))
    images = write(subset, tmp_path).images()
    assert [image["alt"] for image in images] == [
        "acorn, train row 0, train_id 11",
        "acorn, train row 1, train_id 22",
        "airliner, train row 2, train_id 33",
        "volcano, train row 3, train_id 44",
    ]
    for row, attributes in enumerate(images):
        with urlopen(attributes["src"]) as data, Image.open(BytesIO(data.read())) as image:
            assert image.size == (224, 224)
            center = image.convert("RGB").getpixel((112, 112))
        assert np.abs(np.asarray(center, float) - (row, 2 * row, 3 * row)).max() <= 3


def test_the_bars_of_both_splits_have_one_scale(write_subset: Write, tmp_path: Path) -> None:
    subset = open_subset(write_subset([0, 0, 0, 0, 1, 2], [1, 1, 0]))
    page = write(subset, tmp_path)
    bars = [bar["style"] for bar in page.all("i") if "style" in bar]
    widths = [float(bar.removeprefix("width:").rstrip("%")) for bar in bars]
    assert widths == [100, 25, 25, 50, 25, 0]
    assert any("a whole bar is 4 images" in text for text in page.text["p"])


def test_what_a_file_says_is_shown_and_not_run(write_subset: Write, tmp_path: Path) -> None:
    name = "<script>alert('x')</script>&amp;\"><img src=x onerror=y>"
    quoted = name.replace('"', '""')
    csv = f'subset_label,original_id,WNID,human_label\n0,1,"{quoted}","{quoted}"\n'
    subset = open_subset(write_subset([0], [], csv=csv, foreign=True))
    page = write(subset, tmp_path)
    assert len(page.all("script")) == 1
    assert len(page.images()) == 1
    assert [page.text["a"][0]] == [name]
    assert name in page.text["code"]


def test_every_class_can_be_found_by_name_wnid_and_label(
    write_subset: Write, tmp_path: Path
) -> None:
    page = write(open_subset(write_subset([0, 1, 2], [])), tmp_path)
    found = [article["data-find"] for article in page.all("article")]
    for text, wnid, label, name in zip(
        found, ["n12267677", "n02690373", "n09472597"], "012", ["acorn", "airliner", "volcano"],
        strict=True,
    ):  # fmt: skip
        assert {wnid, label, name} <= set(text.split())


def test_a_number_finds_a_label_or_a_clsloc_id(write_subset: Write, tmp_path: Path) -> None:
    csv = "subset_label,original_id,WNID,human_label\n0,327,n1,one\n0,9,n2,two\n1,0,n3,three\n"
    page = write(open_subset(write_subset([0, 1], [], csv=csv, foreign=True)), tmp_path)
    assert [article["data-numbers"] for article in page.all("article")] == ["0 327 9", "1"]


def test_the_script_knows_how_far_rows_and_ids_of_the_file_go(
    write_subset: Write, tmp_path: Path
) -> None:
    ids = {"train": [7, 77, 777], "val": [5]}
    page = write(open_subset(write_subset([0, 1, 1], [0], ids=ids)), tmp_path, ["val"])
    (body,) = page.all("body")
    assert list(json.loads(body["data-held"]).items()) == [
        ("val", {"n": 1, "least": 5, "most": 5}),
        ("train", {"n": 3, "least": 7, "most": 777}),
    ]


@pytest.mark.parametrize(
    ("name", "title"),
    [("three", "three"), ("three_64", "three_64"), ("ten", "ten (list three)")],
)
def test_files_of_one_list_have_titles_of_their_own(
    write_subset: Write, tmp_path: Path, name: str, title: str
) -> None:
    stem, _, crop = name.partition("_")
    written = write_subset([0], [])
    assert open_subset(written).name == "three"
    renamed = written.with_name(f"{stem}_cls{f'_{crop}' if crop else ''}.npz")
    subset = open_subset(written.rename(renamed))
    page = write(subset, tmp_path)
    assert page.text["title"] == [f"{title}: preview"]
    assert page.text["bdi"][0] == title
    assert title in (subset._repr_html_() or "")


def test_a_number_may_be_negative_as_an_id_that_is_made_of_a_name(
    write_subset: Write, tmp_path: Path
) -> None:
    subset = open_subset(write_subset([0], [], ids={"train": [-1_978_027_183]}))
    write(subset, tmp_path)
    page = (tmp_path / "p.html").read_text()
    assert "<figcaption>-1978027183</figcaption>" in page
    (number,) = re.findall(r"const number = /(\S+)/;", page)
    assert re.fullmatch(number, "-1978027183")
    assert not re.fullmatch(number, "n12267677")


@thorough("draws hundreds of images")
def test_a_page_of_100_classes_is_below_15_megabytes(tmp_path: Path) -> None:
    pixels = np.stack([np.asarray(photo(seed, 224, 224)) for seed in range(100)])
    arrays: dict[str, Any] = {"X_train": np.repeat(pixels, 8, axis=0), "X_val": pixels[:0]}
    arrays |= {"y_train": np.repeat(np.arange(100), 8), "y_val": np.zeros(0, int)}
    arrays |= {"train_id": np.arange(800), "val_id": np.zeros(0, int)}
    np.savez(tmp_path / "hundred.npz", **arrays)
    write_page(open_subset(tmp_path / "hundred.npz"), tmp_path / "p.html")
    assert (tmp_path / "p.html").stat().st_size < 15e6


def test_both_splits_are_there_and_a_switch_between_them(
    write_subset: Write, tmp_path: Path
) -> None:
    page = write(open_subset(write_subset([0, 0], [0])), tmp_path, ("train", "val"))
    sections = [part["class"] for part in page.all("section") if "class" in part]
    assert sections == ["train", "val"] * 3
    assert [radio["value"] for radio in page.all("input") if radio["type"] == "radio"] == [
        "train",
        "val",
        "both",
    ]
    assert write(open_subset(write_subset([0, 0], [0])), tmp_path).all("fieldset") == []


def test_an_image_says_which_photo_it_is_as_far_as_its_id_does(
    write_subset: Write, tmp_path: Path
) -> None:
    ids = {"train": [3], "val": [293]}
    page = write(open_subset(write_subset([0], [1], ids=ids)), tmp_path, ("train", "val"))
    photos = [a["data-photo"] for a in page.all("a") if "data-photo" in a]
    assert photos == ["train/n12267677/", "val/ILSVRC2012_val_00000293.JPEG"]


def test_the_page_runs_its_own_script_and_no_other(write_subset: Write, tmp_path: Path) -> None:
    write(open_subset(write_subset([0], [])), tmp_path)
    text = (tmp_path / "p.html").read_text()
    (script,) = re.findall("<script>(.*)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text


def test_a_photo_that_compresses_badly_keeps_to_its_share() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    encoding = encoding_for(4000)
    url = data_uri(Image.fromarray(noise), encoding.nbytes)
    smooth = data_uri(Image.new("RGB", (96, 96), "teal"), encoding.nbytes)
    assert len(smooth) < len(url) < 1.5 * encoding.nbytes * 4 / 3


# Contrast: the ratios that WCAG 2.2 asks for at level AA, for text (1.4.3) and for what has to be
# seen to use the page (1.4.11).

TEXT, EDGE = 4.5, 3.0
PAIRS = [
    *(("ink", ground, TEXT) for ground in ("paper", "card", "rule")),
    *(("faint", ground, TEXT) for ground in ("paper", "card")),
    ("card", "ink", TEXT),  # the choice of the switch
    *((line, ground, EDGE) for line in ("edge", "train", "val") for ground in ("paper", "card")),
]


def luminance(color: str) -> float:
    """Relative luminance of WCAG: of ``#rrggbb`` or ``#rgb``."""
    digits = color.removeprefix("#")
    pairs = re.findall("..", digits) if len(digits) == 6 else [digit * 2 for digit in digits]
    parts = [int(pair, 16) / 255 for pair in pairs]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def palettes() -> dict[str, dict[str, str]]:
    """The colors of the style sheet by name: on light, on dark and on paper."""
    css = (Path(page_module.__file__).parent / "page.css").read_text()
    blocks = re.findall(r":root \{([^}]*)\}", css)
    found = [dict(re.findall(r"--(\w+): (#[0-9a-f]+)", block)) for block in blocks]
    return dict(zip(("light", "dark", "print"), found, strict=True))


def test_the_contrast_of_black_and_white_is_21() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("look", ["light", "dark", "print"])
def test_texts_and_edges_have_enough_contrast(look: str) -> None:
    colors = palettes()[look]
    ratios = {
        (front, ground): contrast(colors[front], colors[ground]) / least
        for front, ground, least in PAIRS
    }
    assert {pair: ratio for pair, ratio in ratios.items() if ratio < 1} == {}
