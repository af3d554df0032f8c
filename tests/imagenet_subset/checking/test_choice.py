"""Verify makes the choice of train photos again: sound files pass, others don't."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import imagenet_subset
from imagenet_subset.checking.file import VerifyReport
from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from imagenet_subset.errors import SubsetError
from imagenet_subset.npz.comment import encode_comment
from imagenet_subset.reading.subset import open_subset
from tests.conftest import Cli
from tests.harness.originals import originals, train_list
from tests.harness.planned import carried_out, planned

WNIDS = DEMO_WNIDS[:2]
MADE_AGAIN = "the choice of train photos, made again: "
UNCHECKED = "not which train photos were chosen, "


class Tree:
    """Two classes, and files built of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.data = write_demo_tree(root / "ILSVRC", wnids=WNIDS, train_per_class=12, odd=False)
        (root / "two.txt").write_text("\n".join(WNIDS))
        stems = [photo.stem for photo in originals(self.data, "train")]
        self.some = root / "some.txt"
        self.some.write_text("".join(f"{stem}.JPEG\n" for stem in stems[::3]))
        self.list = train_list(self.data)

    def build(self, out: Path, data: Path | None = None, **options: Any) -> Path:
        """Of train alone, where nothing else is asked for."""
        options = {"pipeline": "pillow", "splits": ["train"], **options}
        plan = planned(self.root / "two.txt", data or self.data, out, **options)
        return carried_out(plan).plan.output.npz


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    """Not to be written to."""
    return Tree(tmp_path_factory.mktemp("tree"))


WAYS: dict[str, Callable[[Tree], dict[str, Any]]] = {
    "per_class": lambda tree: {"per_class": 5, "seed": 3},
    "fraction": lambda tree: {"fraction": 0.2},
    "photo_list": lambda tree: {"photo_list": tree.some},
}


def verified(npz: Path, *where: Any, **more: Any) -> VerifyReport:
    return imagenet_subset.verify(npz, *where, sample=2, workers=1, **more)


def choice_lines(report: VerifyReport) -> list[str]:
    return [line for line in report.checked if line.startswith((MADE_AGAIN, UNCHECKED))]


def with_provenance(npz: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The same file, but for what its provenance says; for `change`, its fields."""
    made = open_subset(npz).made
    assert made is not None
    fields = made.to_dict()
    change(fields)
    old, new = made.to_comment(), encode_comment(fields)
    data = npz.read_bytes()
    assert data.endswith(old)
    npz.write_bytes(data[: -len(old) - 2] + len(new).to_bytes(2, "little") + new)
    return npz


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("by", ["data_dir", "train_list"])
def test_a_sound_file_passes(tree: Tree, tmp_path: Path, way: str, by: str) -> None:
    options = WAYS[way](tree)
    npz = tree.build(tmp_path / "out", **options)
    lists = {"photo_list": tree.some} if way == "photo_list" else {}
    report = verified(npz, **{by: tree.data if by == "data_dir" else tree.list}, **lists)
    assert report.ok, report.problems
    assert [line.startswith(MADE_AGAIN) for line in choice_lines(report)] == [True]


def test_what_would_have_to_be_given_is_said(tree: Tree, tmp_path: Path) -> None:
    listed = tree.build(tmp_path / "listed", photo_list=tree.some)
    lines = choice_lines(verified(listed, tree.data))
    assert lines == [
        f"{UNCHECKED}those of some.txt, which names 8 photos: give this list by --photo_list"
    ]
    drawn = tree.build(tmp_path / "drawn", per_class=5)
    report = verified(drawn)
    assert report.ok
    assert choice_lines(report) == [
        f"{UNCHECKED}5 of each class, seed 0: say by --train_list or --data_dir which photos "
        "there are"
    ]


def test_where_ids_are_names_a_train_list_is_not_asked_for(tree: Tree, tmp_path: Path) -> None:
    bare = shutil.copytree(tree.data, tmp_path / "bare" / "CLS-LOC")
    npz = tree.build(tmp_path / "out", bare, per_class=5, missing="skip")
    (line,) = choice_lines(verified(npz, train_list=tree.list))
    assert line.endswith("seed 0: say by --data_dir which photos there are")


def test_a_file_without_a_choice_has_no_word_of_it(tree: Tree, tmp_path: Path) -> None:
    report = verified(tree.build(tmp_path / "out"), tree.data)
    assert (report.ok, choice_lines(report)) == (True, [])


def test_another_seed_than_that_of_the_rows_is_found(tree: Tree, tmp_path: Path) -> None:
    npz = tree.build(tmp_path / "out", per_class=5, seed=3)
    with_provenance(npz, lambda fields: fields["choice"].update(seed=4))
    (problem,) = verified(npz, tree.data).problems
    assert "train images aren't those that are chosen (5 of each class, seed 4), the" in problem


def test_fewer_rows_than_are_chosen_are_found(tree: Tree, tmp_path: Path) -> None:
    npz = tree.build(tmp_path / "out", per_class=5, seed=3)
    with_provenance(npz, lambda fields: fields["choice"].update(per_class=6))
    assert verified(npz, None, train_list=tree.list).problems == [
        "of the images that are chosen (6 of each class, seed 3) it lacks 2 of train, and says "
        "that 0 were left out"
    ]


def test_photos_that_were_left_out_are_counted(tree: Tree, tmp_path: Path) -> None:
    data = shutil.copytree(tree.data.parent.parent, tmp_path / "copy") / "Data" / "CLS-LOC"
    chosen = planned(tree.root / "two.txt", data, tmp_path, per_class=5).records["train"]
    lost, bad = (data / str(chosen.locations[row]) for row in (0, 1))
    lost.unlink()
    bad.write_bytes(b"no JPEG")
    next((data / "val").iterdir()).unlink()
    options = {
        "missing": "skip",
        "skip_undecodable": True,
        "per_class": 5,
        "splits": ["train", "val"],
    }
    npz = tree.build(tmp_path / "out", data, **options)
    assert verified(npz, tree.data).ok
    with_provenance(npz, lambda fields: fields["left_out"].update(missing=1))
    (problem,) = verified(npz, tree.data).problems
    assert "it lacks 2 of train and 1 of val, and says that 2 were left out" in problem


@pytest.mark.parametrize("way", WAYS)
def test_ids_that_are_made_of_names_are_checked_too(tree: Tree, tmp_path: Path, way: str) -> None:
    data = shutil.copytree(tree.data, tmp_path / "names")
    npz = tree.build(tmp_path / "out", data, missing="skip", **WAYS[way](tree))
    lists = {"photo_list": tree.some} if way == "photo_list" else {}
    report = verified(npz, data, **lists)
    assert report.ok, report.problems
    assert [line.startswith(MADE_AGAIN) for line in choice_lines(report)] == [True]
    next(path for path in (data / "train").glob("*/*.JPEG")).unlink()
    assert [line.startswith(UNCHECKED) for line in choice_lines(verified(npz, data, **lists))] == [
        True
    ]


def test_other_photos_to_choose_from_are_no_fault_of_the_file(tree: Tree, tmp_path: Path) -> None:
    npz = tree.build(tmp_path / "out", per_class=5, seed=3)
    fewer = tmp_path / "train_cls.txt"
    fewer.write_text("".join(tree.list.read_text().splitlines(keepends=True)[1:]))
    report = verified(npz, None, train_list=fewer)
    assert report.ok
    (line,) = choice_lines(report)
    assert line.startswith(f"{UNCHECKED}5 of each class, seed 3: they were chosen from 24 photos")


def test_another_list_of_photos_is_refused(tree: Tree, tmp_path: Path) -> None:
    npz = tree.build(tmp_path / "out", photo_list=tree.some)
    other = tmp_path / "other.txt"
    other.write_text(tree.some.read_text().split("\n", 1)[1])
    with pytest.raises(SubsetError, match=r"other\.txt isn't the list of photos of .*8 photos of"):
        verified(npz, tree.data, photo_list=other)
    drawn = tree.build(tmp_path / "drawn", per_class=5)
    with pytest.raises(SubsetError, match="which has 5 of each class, seed 0"):
        verified(drawn, tree.data, photo_list=tree.some)
    whole = tree.build(tmp_path / "whole")
    with pytest.raises(SubsetError, match="wasn't built by a list"):
        verified(whole, photo_list=tree.some)


def test_the_command_line_says_the_same_and_inspect_shows_it(
    tree: Tree, tmp_path: Path, cli: Cli
) -> None:
    npz = tree.build(tmp_path / "out", photo_list=tree.some)
    done = cli("verify", npz, "--train_list", tree.list, "--photo_list", tree.some)
    assert done.returncode == 0, done.stderr
    assert f"checked  {MADE_AGAIN}those of some.txt, which names 8 photos" in done.stdout
    with_provenance(npz, lambda fields: fields["left_out"].update(missing=1))
    done = cli("verify", npz, "--train_list", tree.list, "--photo_list", tree.some)
    assert (done.returncode, "PROBLEM  of the images that are chosen" in done.stdout) == (1, True)
    shown = cli("inspect", npz).stdout
    assert "those of some.txt, which names 8 photos" in shown
    assert ", out of 24 photos and not of all ILSVRC's" in shown


@pytest.mark.parametrize(
    "choice",
    [
        None,
        {},
        {"seed": 0},
        {"per_class": None, "seed": 0},
        {"per_class": 0, "seed": 0},
        {"per_class": True, "seed": 0},
        {"per_class": 1},
        {"per_class": 1, "fraction": 0.1, "seed": 0},
        {"fraction": 1, "seed": 0},
        {"fraction": float("nan"), "seed": 0},
        {"photo_list": "some.txt"},
        {"photo_list": {"name": "some.txt", "photos": "8", "sha256": ""}},
        {"photo_list": {"photos": 8, "sha256": ""}},
        {"per_class": 1, "seed": 0, "from": 3},
        {"per_class": 1, "seed": 0, "from": {"photos": 8}},
    ],
    ids=repr,
)
def test_a_choice_of_another_kind_is_reported(tree: Tree, tmp_path: Path, choice: Any) -> None:
    npz = tree.build(tmp_path / "out", per_class=1, splits=["train"])
    with_provenance(npz, lambda fields: fields.update(choice=choice))
    (problem,) = verified(npz).problems
    assert "isn't one that a build writes (choice" in problem
