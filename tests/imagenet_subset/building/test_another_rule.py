"""A build by another pixel rule, from its plan to its preview."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imagenet_subset
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.checking.file import verify
from imagenet_subset.checking.pixels import compare_with_photos
from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from imagenet_subset.errors import OutputExistsError, ReadError, ResumeMismatchError
from imagenet_subset.npz.comment import encode_comment
from imagenet_subset.reading.subset import open_subset
from imagenet_subset.records import SPLITS
from imagenet_subset.viewing.page import write_page
from imagenet_subset.viewing.sheet import write_sheets
from pipelines.rule import DEFAULT, PixelRule
from tests.contracts.pipeline import scaled_whole
from tests.harness.planned import carried_out, planned

RULE = PixelRule(72, 64)
LARGER = PixelRule(96, 64)
"""Of the same crop, which is in the output's name."""


def plan(tree: Path, subset: Path, out: Path, **options: Any) -> BuildPlan:
    chosen = {"device": "cpu", "pipeline": "pillow", "rule": RULE, **options}
    return planned(subset, tree, out, **chosen)


def unfinished(todo: BuildPlan) -> BuildPlan:
    """Stop a build after its first shard."""

    def stop(_shard: object) -> None:
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
        carried_out(todo, executor=executor, progress=stop)
    assert todo.output.partial.exists()
    return todo


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def built(tree: Path, subset_file: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildPlan:
    return carried_out(plan(tree, subset_file, tmp_path_factory.mktemp("small"))).plan


def test_every_row_is_what_pillows_resize_and_crop_make_of_its_photo(built: BuildPlan) -> None:
    with np.load(built.output.npz) as npz:
        for split in SPLITS:
            images = npz[f"X_{split}"]
            assert images.shape == (len(built.records[split]), 64, 64, 3)
            for image, record in zip(images, built.records[split], strict=True):
                with Image.open(built.store.describe(record.location)) as opened:
                    expected = scaled_whole(opened.convert("RGB"), RULE)
                np.testing.assert_array_equal(image, expected)


def test_turbo_makes_the_same_rows(
    built: BuildPlan, tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    pytest.importorskip("llvmlite")
    pytest.importorskip("simplejpeg")
    quick = carried_out(plan(tree, subset_file, tmp_path, pipeline="turbo")).plan
    with np.load(built.output.npz) as one, np.load(quick.output.npz) as other:
        for split in SPLITS:
            np.testing.assert_array_equal(one[f"X_{split}"], other[f"X_{split}"])


def test_the_provenance_names_the_rule(built: BuildPlan) -> None:
    made = open_subset(built.output.npz).made
    assert made is not None
    assert PixelRule.from_text(made.pixel_rule) == RULE


def test_verify_decodes_by_the_rule_of_the_file(built: BuildPlan, tree: Path) -> None:
    report = verify(built.output.npz)
    compare_with_photos(report, tree, sample=None)
    assert report.ok, (report.problems, report.source_problems)
    assert report.compared == sum(built.rows.values())
    said = "; ".join(report.checked)
    assert "images of 64x64, as its rule makes them" in said
    assert "decoded again by Pillow (shorter side 72, crop 64, bilinear): largest" in said


def test_a_file_of_a_rule_that_is_not_known_is_not_compared(
    built: BuildPlan, tree: Path, tmp_path: Path
) -> None:
    named = {**built.provenance.to_dict(), "pixel_rule": "as it pleases\n" * 100}
    report = verify(with_comment(built, tmp_path, encode_comment(named)))
    with pytest.raises(ReadError, match=r"another pixel rule.* as it pleases\\nas it") as caught:
        compare_with_photos(report, tree)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("rule", [DEFAULT, PixelRule(2048, 2048)], ids=["default", "huge"])
def test_images_of_another_size_than_the_rule_names_are_a_problem(
    built: BuildPlan, tree: Path, tmp_path: Path, rule: PixelRule
) -> None:
    named = {**built.provenance.to_dict(), "pixel_rule": rule.text}
    report = verify(with_comment(built, tmp_path, encode_comment(named)))
    wrong = f"its images are (64, 64, 3), and its pixel rule makes {rule.shape}"
    assert wrong in report.problems
    with pytest.raises(ReadError, match=f"its images aren't {rule.crop}x{rule.crop}"):
        compare_with_photos(report, tree)


def with_comment(built: BuildPlan, folder: Path, comment: bytes) -> Path:
    """The file with another archive comment."""
    old = built.provenance.to_comment()
    data = built.output.npz.read_bytes().removesuffix(len(old).to_bytes(2, "little") + old)
    path = folder / built.output.npz.name
    path.write_bytes(data + len(comment).to_bytes(2, "little") + comment)
    return path


@pytest.mark.parametrize(
    ("rule", "other"), [(RULE, LARGER), (LARGER, RULE), (DEFAULT, PixelRule(288, 224))]
)
def test_another_rule_goes_not_on_with_an_unfinished_file(
    tree: Path, subset_file: Path, tmp_path: Path, rule: PixelRule, other: PixelRule
) -> None:
    unfinished(plan(tree, subset_file, tmp_path, rule=rule))
    with pytest.raises(ResumeMismatchError) as caught:
        carried_out(plan(tree, subset_file, tmp_path, rule=other))
    sides = f"...{rule.resize}, longer .* there, ...{other.resize}, longer .* here"
    assert caught.match(f"[(]pixel_rule: {sides}")
    assert str(caught.value).isprintable()


def test_a_finished_file_of_another_rule_is_not_taken_for_this_builds(
    built: BuildPlan, tree: Path, subset_file: Path
) -> None:
    before = sha256(built.output.npz)
    with pytest.raises(OutputExistsError, match=r"pixel_rule: \.\.\.72, longer"):
        carried_out(plan(tree, subset_file, built.output.folder, rule=LARGER))
    assert sha256(built.output.npz) == before
    assert carried_out(plan(tree, subset_file, built.output.folder)).already_complete


def test_the_same_rule_goes_on_and_makes_the_same_bytes(
    built: BuildPlan, tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    result = carried_out(unfinished(plan(tree, subset_file, tmp_path)))
    assert result.kept > 0
    assert sha256(result.npz) == sha256(built.output.npz)


def test_images_that_cannot_be_decoded_are_left_out(subset_file: Path, tmp_path: Path) -> None:
    tree = write_demo_tree(tmp_path / "ILSVRC", wnids=DEMO_WNIDS[::2], damaged=2)
    result = carried_out(plan(tree, subset_file, tmp_path / "out", skip_undecodable=True))
    assert len(result.failures) == result.plan.undecodable > 0
    report = verify(result.npz)
    compare_with_photos(report, tree, sample=None)
    assert report.ok, (report.problems, report.source_problems)


def test_sheet_and_page_show_it(built: BuildPlan, tmp_path: Path) -> None:
    subset = open_subset(built.output.npz)
    (sheet,) = write_sheets(subset, tmp_path / "s.png", "train")
    write_page(subset, tmp_path / "p.html")
    with Image.open(sheet) as image:
        assert min(image.size) > 112
    page = (tmp_path / "p.html").read_text()
    assert "64\N{MULTIPLICATION SIGN}64" in page
    assert 'width="64" height="64"' in page


def test_the_crop_is_in_the_name_of_the_output(built: BuildPlan, tree: Path) -> None:
    names = [path.name for path in (built.output.npz, built.output.csv)]
    assert names == ["five_cls_64.npz", "five_cls_64_metadata.csv"]
    assert open_subset(built.output.npz).name == built.subset.name == "five"


def test_format_and_rule_are_in_the_provenance_of_another_crop(
    tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    def fields(rule: PixelRule) -> dict[str, Any]:
        return plan(tree, subset_file, tmp_path, rule=rule).provenance.to_dict()

    assert fields(RULE)["format_version"] == 2
    assert fields(RULE)["rule"] == {"resize": 72, "crop": 64, "interpolation": "bilinear"}
    assert fields(PixelRule(256, 224, "box"))["format_version"] == 1
    assert fields(PixelRule(256, 224, "box"))["rule"]["interpolation"] == "box"
    assert "rule" not in fields(DEFAULT)


def test_the_public_build_makes_it(
    built: BuildPlan, tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    result = imagenet_subset.build(
        subset_file, tree, tmp_path, resize=72, crop=64, out_name="x", device="cpu",
        pipeline="pillow",
    )  # fmt: skip
    assert result.npz.name == "x_cls_64.npz"
    assert sha256(result.npz) == sha256(built.output.npz)


@pytest.mark.parametrize("chosen", [{"crop": 64, "resize": 63}, {"crop": 7}, {"resize": 2049}])
def test_the_public_build_refuses_a_rule_that_makes_no_sense(
    tree: Path, subset_file: Path, tmp_path: Path, chosen: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"crop|resize"):
        imagenet_subset.build(subset_file, tree, tmp_path, **chosen)
