"""What a notebook shows of an open subset and of its datasets."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from imagenet_subset.reading.notebook import CLASSES
from imagenet_subset.reading.subset import open_subset
from imagenet_subset.system.text import gigabytes
from tests.imagenet_subset.conftest import CSV


class Reader(HTMLParser):
    """Text and pictures of a piece of HTML, each tag of which is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs))
        else:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def shown(path: Path) -> Reader:
    html = open_subset(path)._repr_html_()
    assert html is not None
    reader = Reader(html)
    assert reader.open == []
    return reader


def picture(source: str | None) -> Any:
    assert source is not None
    head, data = source.split(",")
    assert head == "data:image/jpeg;base64"
    assert len(data) < 4096
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


def test_it_shows_name_counts_provenance_and_file(write_subset: Callable[..., Path]) -> None:
    path = write_subset([0, 1, 2, 0], [2])
    text = shown(path).text
    facts = dict(zip(text[1::2], text[2::2], strict=False))
    assert text[0] == "ImagenetSubset three"
    assert facts["images"] == "4 train and 1 val, 224\xd7224"
    assert facts["subset"] == "three, 3 classes"
    assert facts["pipeline"] == "pillow on cpu (pillow 13.0.0)"
    assert facts["pixel rule"] == "shorter side 256, center crop 224"
    assert facts["left out"] == "0 missing, 2 undecodable"
    assert facts["file"] == f"{path}, {gigabytes(path.stat().st_size)}"


def test_it_shows_the_first_image_of_each_class_with_its_name(
    write_subset: Callable[..., Path],
) -> None:
    """Image ``i`` has the color ``i, 2 * i, 3 * i``; the volcano has a val image only."""
    reader = shown(write_subset([1] * 9 + [0], [1] * 40 + [2]))
    assert [image["alt"] for image in reader.images] == [
        "acorn: label 0, train row 9",
        "airliner: label 1, train row 0",
        "volcano: label 2, val row 40",
    ]
    for image, row in zip(reader.images, (9, 0, 40), strict=True):
        pixels = picture(image["src"])
        assert pixels.shape == (int(image["height"] or 0), int(image["width"] or 0), 3)
        assert np.abs(pixels.mean((0, 1)) - np.array([row, 2 * row, 3 * row])).max() <= 4  # JPEG's
    assert "2 volcano" in reader.text


def test_of_many_classes_it_shows_a_few_and_says_how_many_more_there_are(
    write_subset: Callable[..., Path],
) -> None:
    path = write_subset(list(range(CLASSES + 3)), [], csv=None, foreign=True)
    reader = shown(path)
    assert len(reader.images) == CLASSES
    assert "and 3 more classes" in reader.text
    assert "none: another program wrote this file" in reader.text


def test_without_images_it_shows_the_facts_alone(write_subset: Callable[..., Path]) -> None:
    reader = shown(write_subset([], []))
    assert reader.images == []
    assert "0 train and 0 val, 224\xd7224" in reader.text


def test_what_comes_from_the_file_is_escaped(write_subset: Callable[..., Path]) -> None:
    evil = '"<script>alert(1)</script>&"'
    html = open_subset(
        write_subset([0], [], csv=CSV.replace("acorn", '"' + evil.replace('"', '""') + '"'))
    )._repr_html_()
    assert html is not None
    assert "<script" not in html
    assert Reader(html).images[0]["alt"] == f"{evil}: label 0, train row 0"


def test_it_brings_no_colors_of_its_own_and_no_rules_for_the_rest_of_the_page(
    write_subset: Callable[..., Path],
) -> None:
    """So that it fits a dark notebook."""
    html = open_subset(write_subset([0], [0]))._repr_html_()
    assert html is not None
    assert "<style" not in html
    styles = re.findall('style="(.*?)"', html)
    assert styles
    assert not any(re.search("color|background|#", style) for style in styles)


def test_a_csv_of_other_classes_leaves_the_plain_repr(write_subset: Callable[..., Path]) -> None:
    path = write_subset([0, 1], [2])
    other = CSV.replace("n12267677", "n01440764")
    path.with_name("three_cls_metadata.csv").write_text(other)
    subset = open_subset(path)
    assert subset._repr_html_() is None
    assert repr(subset).startswith("<ImagenetSubset three: 2 train and 1 val images")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps the names of mapped files")
@pytest.mark.parametrize("fate", ["deleted", "replaced"])
def test_a_file_that_lost_its_name_is_shown_and_said_to_have(
    write_subset: Callable[..., Path], fate: str
) -> None:
    path = write_subset([0, 1], [2])
    size = gigabytes(path.stat().st_size)
    subset = open_subset(path)
    if fate == "deleted":
        path.unlink()
    else:
        (path.parent / "short").write_bytes(b"short")
        (path.parent / "short").replace(path)
    reader = Reader(subset._repr_html_() or "")
    assert f"{path}, {size}, {fate} since" in reader.text
    assert len(reader.images) == 3


CUT = """
import os, sys
from imagenet_subset import open_subset
subset = open_subset(sys.argv[1])
os.truncate(sys.argv[1], 4096)
print(subset._repr_html_(), subset)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows doesn't cut mapped files short")
def test_a_file_that_was_cut_short_ends_no_process_that_shows_it(
    write_subset: Callable[..., Path],
) -> None:
    words = [sys.executable, "-c", CUT, str(write_subset([0, 1], [2]))]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = "<ImagenetSubset three: cut short since it was opened, so that no row can be read>"
    assert done.stdout == f"None {said}\n"


class Flip:
    def __repr__(self) -> str:
        return "Flip(\n    p=0.5\n)"


def test_a_dataset_shows_itself_as_those_of_torchvision_do(
    write_subset: Callable[..., Path],
) -> None:
    path = write_subset([0, 1], [2])
    subset = open_subset(path)
    assert repr(subset.dataset("train")) == (
        f"Dataset ImagenetSubset\n    Number of datapoints: 2\n    Root location: {path}\n"
        "    Split: train"
    )
    assert repr(subset.dataset("val", Flip())).endswith(  # type: ignore[arg-type]
        "\n    Split: val\n    Transform: Flip(\n        p=0.5\n    )"
    )
