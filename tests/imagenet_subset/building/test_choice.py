"""Builds of some of the train photos: the same from every form, after a kill, and from Python."""

from __future__ import annotations

import hashlib
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imagenet_subset
from imagenet_subset.demo.photos import jpeg, photo
from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from imagenet_subset.errors import OutputExistsError, UndecodableError
from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.reading.subset import open_subset
from tests.conftest import Cli
from tests.harness.builds import Build, sent
from tests.harness.forms import FORMS
from tests.harness.originals import originals, train_list
from tests.harness.planned import carried_out, planned

WNIDS = DEMO_WNIDS[:2]
TEN = {"per_class": 10, "seed": 3}


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes with 15 train photos each; not to be written to."""
    data = write_demo_tree(
        tmp_path_factory.mktemp("few") / "ILSVRC", wnids=WNIDS, train_per_class=15, odd=False
    )
    (data / "two.txt").write_text("\n".join(WNIDS))
    return data


def chosen(data: Path, count: int, seed: int) -> list[str]:
    """Names of the photos to take, computed another way than the program does."""

    def order(stem: str) -> str:
        return hashlib.sha256(f"{seed}:{stem}".encode()).hexdigest()

    stems = [photo.stem for photo in originals(data, "train")]
    return [
        stem
        for wnid in WNIDS
        for stem in sorted((s for s in stems if s.startswith(wnid)), key=order)[:count]
    ]


def numbers(data: Path) -> dict[str, int]:
    """ILSVRC number of each train photo by its name."""
    lines = (line.split() for line in train_list(data).read_text().splitlines())
    return {name.rpartition("/")[2]: int(number) for name, number in lines}


def built(data: Path, out: Path, **options: Any) -> Any:
    plan = planned(data / "two.txt", data, out, pipeline="pillow", device="cpu", **options)
    return open_subset(carried_out(plan).plan.output.npz)


@pytest.mark.parametrize("form", ["folder", "tree_tar", "kaggle_zip", "hf_parquet", "timm_wds"])
def test_ten_of_each_class_are_the_same_from_every_form(few, tmp_path, form) -> None:
    if form == "hf_parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / "photos").mkdir()
    data = few if form == "folder" else FORMS[form](few, tmp_path / "photos")
    plan = planned(few / "two.txt", data, tmp_path / "out", train_list=train_list(few), **TEN)
    numbered = numbers(few)
    assert plan.records["train"].ids.tolist() == sorted(numbered[s] for s in chosen(few, 10, 3))
    assert len(plan.records["val"]) == 100


def test_of_a_superclass_so_many_of_each_of_its_classes_are_taken(few, tmp_path) -> None:
    (tmp_path / "pair.txt").write_text(f"pair: {' '.join(WNIDS)}\n")
    records = planned(tmp_path / "pair.txt", few, tmp_path / "out", **TEN).records["train"]
    assert set(records.stems) == set(chosen(few, 10, 3))
    assert set(records.labels.tolist()) == {0}


def test_rows_are_the_chosen_photos_and_val_is_as_ever(few: Path, tmp_path: Path) -> None:
    whole, some = built(few, tmp_path / "whole"), built(few, tmp_path / "some", **TEN)
    there = np.isin(whole.train_id, some.train_id)
    assert there.sum() == 20
    for key in ("X_train", "y_train", "train_id"):
        assert (getattr(some, key) == getattr(whole, key)[there]).all()
    for key in ("X_val", "y_val", "val_id"):
        assert (getattr(some, key) == getattr(whole, key)).all()


def test_the_provenance_has_the_choice_and_only_where_there_was_one(few, tmp_path) -> None:
    (tmp_path / "mine.txt").write_text("\n".join(chosen(few, 4, 0)))
    names = "".join(f"{stem}\n" for stem in sorted(chosen(few, 4, 0))).encode()
    there = sorted(photo.stem for photo in originals(few, "train"))
    # The tree's list has 15 photos of a class, and not all.
    population = {
        "photos": 30,
        "sha256": hashlib.sha256("".join(f"{stem}\n" for stem in there).encode()).hexdigest(),
    }
    expected: list[tuple[dict[str, Any], dict[str, Any]]] = [
        (TEN, {"per_class": 10, "seed": 3, "from": population}),
        ({"fraction": 0.1}, {"fraction": 0.1, "seed": 0, "from": population}),
        (
            {"photo_list": tmp_path / "mine.txt"},
            {
                "photo_list": {
                    "name": "mine.txt",
                    "photos": 8,
                    "sha256": hashlib.sha256(names).hexdigest(),
                },
                "from": population,
            },
        ),
    ]
    plain = planned(few / "two.txt", few, tmp_path / "out").provenance.to_dict()
    assert "choice" not in plain
    for options, choice in expected:
        made = planned(few / "two.txt", few, tmp_path / "out", **options).provenance
        assert made.to_dict() == {**plain, "choice": choice}
        assert made.format_version == 1
        assert type(made).from_comment(tmp_path, made.to_comment()) == made


def test_whole_classes_need_no_word_on_what_was_chosen_from(tmp_path: Path) -> None:
    smallest = min(class_table().values(), key=lambda c: c.num_train_images)
    folder = tmp_path / "train" / smallest.wnid
    folder.mkdir(parents=True)
    for k in range(smallest.num_train_images):
        (folder / f"{smallest.wnid}_{k}.JPEG").touch()
    (tmp_path / "one.txt").write_text(smallest.wnid)
    plan = planned(
        tmp_path / "one.txt", tmp_path, tmp_path / "out", splits=["train"], fraction=0.01
    )
    assert plan.rows["train"] == 7
    assert plan.provenance.to_dict()["choice"] == {"fraction": 0.01, "seed": 0}


def test_a_chosen_photo_that_can_t_be_decoded_is_left_out_and_not_replaced(tmp_path) -> None:
    data = write_demo_tree(tmp_path / "ILSVRC", wnids=WNIDS, train_per_class=15)
    (data / "two.txt").write_text("\n".join(WNIDS))
    bad = chosen(data, 10, 3)[0]
    (data / "train" / bad[:9] / f"{bad}.JPEG").write_bytes(b"no JPEG")
    with pytest.raises(UndecodableError, match=bad):
        built(data, tmp_path / "out", **TEN)
    subset = built(data, tmp_path / "out", skip_undecodable=True, **TEN)
    expected = {numbers(data)[stem] for stem in chosen(data, 10, 3)[1:]}
    assert set(subset.train_id.tolist()) == expected
    assert subset.provenance["left_out"] == {"missing": 0, "undecodable": 1}


def test_a_class_whose_only_listed_photo_can_t_be_decoded_is_refused(tmp_path) -> None:
    data = write_demo_tree(tmp_path / "ILSVRC", wnids=WNIDS, train_per_class=5)
    (data / "two.txt").write_text("\n".join(WNIDS))
    bad, *_, good = chosen(data, 2, 0)
    (data / "train" / bad[:9] / f"{bad}.JPEG").write_bytes(b"no JPEG")
    (tmp_path / "some.txt").write_text(f"{bad}\n{good}\n")
    with pytest.raises(UndecodableError, match=f"1 train image of {bad[:9]} .* can't be decoded"):
        built(data, tmp_path / "out", photo_list=tmp_path / "some.txt", skip_undecodable=True)


def test_another_choice_is_no_resume_and_not_the_same_file(few: Path, tmp_path: Path) -> None:
    built(few, tmp_path / "out", **TEN)
    with pytest.raises(OutputExistsError, match=r"\(--seed 3 there, 4 here\)"):
        built(few, tmp_path / "out", per_class=10, seed=4)
    with pytest.raises(OutputExistsError, match=r"photos: --per_class 10 --seed 3 there, all here"):
        built(few, tmp_path / "out")
    with pytest.raises(OutputExistsError, match=r"seed 3 there, --fraction 0\.1 --seed 0 here"):
        built(few, tmp_path / "out", fraction=0.1)


@pytest.mark.processes
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")
def test_a_killed_build_of_a_choice_goes_on_to_the_same_bytes(photos: Path, tmp_path) -> None:
    """Of `photos`, with 50 of each class."""
    flags = ("--per_class", "45", "--seed", "1")
    expected = Build(photos, tmp_path / "whole", *flags).sha256()
    build = Build(photos, tmp_path / "out", *flags)
    with build.halted_at_first_rows() as process:
        assert sent(process, signal.SIGKILL)[0] == -signal.SIGKILL
    other = Build(photos, tmp_path / "out", "--per_class", "45", "--seed", "2").run()
    assert other.returncode == 1
    assert "--seed 1 there, 2 here" in other.stderr
    assert build.sha256() == expected


def test_python_and_the_command_line_make_the_same_file(few: Path, tmp_path: Path, cli) -> None:
    (tmp_path / "some.txt").write_text("\n".join(chosen(few, 4, 0)))
    ways: list[dict[str, Any]] = [
        TEN,
        {"fraction": 0.2, "seed": 5},
        {"photo_list": tmp_path / "some.txt"},
    ]
    for options in ways:
        out = tmp_path / "python"
        result = imagenet_subset.build(
            few / "two.txt",
            few,
            out,
            pipeline="pillow",
            overwrite=True,
            splits=["train"],
            **options,
        )
        flags = [word for name, value in options.items() for word in (f"--{name}", value)]
        done = cli(
            *("--subset_name", few / "two.txt", "--data_dir", few, "--out_dir", tmp_path / "cli"),
            *("--pipeline", "pillow", "--overwrite", "--splits", "train", *flags),
        )
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "cli" / "two_cls.npz").read_bytes() == result.npz.read_bytes()


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--per_class", "1", "--fraction", "0.1"), "not allowed with argument --per_class"),
        (("--per_class", "1", "--photo_list", "a.txt"), "not allowed with argument --per_class"),
        (("--seed", "1"), "seed goes with per_class or fraction"),
        (("--photo_list", "a.txt", "--seed", "1"), "seed goes with per_class or fraction"),
        (("--per_class", "0"), "'0' isn't a whole number from 1 on"),
        (("--per_class", "1", "--seed", "-1"), "'-1' isn't a whole number from 0 on"),
        (("--fraction", "0"), "0 isn't above 0 and up to 1"),
        (("--fraction", "1.5"), "1.5 isn't above 0 and up to 1"),
        (("--fraction", "10%"), "'10%' isn't a decimal number such as 0.01"),
        (("--fraction", "0.33333333333333333333"), "too many digits"),
        (("--per_class", "1", "--splits", "val"), "per_class chooses train photos"),
    ],
)
def test_flags_that_make_no_sense_are_wrong_usage(cli: Cli, flags, why: str) -> None:
    done = cli("--subset_name", "imagenet30", *flags)
    assert done.returncode == 2
    assert why in done.stderr
    assert done.stderr.count("\n") == 1


def test_simclr_s_names_choose_from_a_tree_of_names(tmp_path: Path, cli: Cli) -> None:
    """``1percent.txt`` has 12,811 lines such as ``n01440764_10074.JPEG``."""
    classes = [class_table()[wnid] for wnid in sorted(DEMO_WNIDS[:3])]
    (tmp_path / "photo").write_bytes(jpeg(photo(1, 40, 30)))
    lines = []
    for c in class_table().values():
        names = [f"{c.wnid}_{7 * k + 3}.JPEG" for k in range(c.num_train_images)]
        lines += names[:: c.num_train_images // 12][:13]
        if c in classes:
            folder = tmp_path / "train" / c.wnid
            folder.mkdir(parents=True)
            for name in names:
                (folder / name).hardlink_to(tmp_path / "photo")
    (tmp_path / "1percent.txt").write_text("\n".join(lines))
    (tmp_path / "three.txt").write_text("\n".join(c.wnid for c in classes))
    done = cli(
        *("--subset_name", "three.txt", "--data_dir", tmp_path, "--splits", "train", "--dry_run"),
        *("--photo_list", "1percent.txt", "--device", "cpu", "--pipeline", "pillow"),
    )
    assert done.returncode == 0, done.stderr
    counts = [line.split()[-2:] for line in done.stdout.splitlines()[1:5]]
    assert counts == [["13", "0"], ["13", "0"], ["13", "0"], ["39", "0"]]
    assert (
        f"{len(lines) - 39:,} photos of other classes than the subset's (n01440764_" in done.stdout
    )
