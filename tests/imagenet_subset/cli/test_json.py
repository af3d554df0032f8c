"""``--json``: JSON alone on standard output; what else there is to say is on standard error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imagenet_subset.ilsvrc.classes import class_table
from imagenet_subset.ilsvrc.named_subsets import named_subsets
from tests.harness.tiers import thorough

CPU = ("--device", "cpu", "--pipeline", "pillow", "--workers", 1)


def parsed(done: Any, code: int = 0) -> Any:
    """What standard output holds, which is one JSON value and nothing else."""
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def refused(done: Any, code: int = 1) -> str:
    """The line of a command that ended in an error: standard output is empty."""
    assert (done.returncode, done.stdout) == (code, ""), done.stdout
    assert done.stderr.count("\n") == 1
    return str(done.stderr)


@pytest.fixture
def build(cli, tree: Path, subset_file: Path):
    words = ("--subset_name", subset_file, "--data_dir", tree, *CPU, "--splits", "train", "--json")
    return lambda *more: cli(*words, *more)


def test_a_build_tells_what_it_made_and_its_notes_are_on_stderr(build, tmp_path: Path) -> None:
    done = build()
    made = parsed(done)
    assert done.stderr.startswith("cpu (pillow): as asked\n")
    assert (tmp_path / made["npz"]).stat().st_size == made["size"]
    assert (tmp_path / made["csv"]).exists()
    assert made["images"] == {"train": 100, "val": 0}
    assert (made["decoded"], made["kept"], made["already_complete"]) == (100, 0, False)
    assert (made["failures"], made["fallbacks"]) == ([], {})
    assert made["pipeline"]["name"] == "pillow"
    assert made["pixel_rule"] == {"resize": 256, "crop": 224, "interpolation": "bilinear"}
    assert sum(worker["images"] for worker in made["by_worker"]) == 100
    again = build("--quiet")
    assert parsed(again)["already_complete"]
    assert again.stderr == ""


def test_images_that_were_left_out_are_listed_with_their_photos(
    cli, subset_file: Path, tmp_path: Path
) -> None:
    from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree

    tree = write_demo_tree(tmp_path / "ILSVRC", wnids=DEMO_WNIDS[::2], train_per_class=4, damaged=1)
    words = ("--subset_name", subset_file, "--data_dir", tree, *CPU, "--splits", "train", "--json")
    failure = parsed(cli(*words, "--skip_undecodable"))["failures"][0]
    assert failure.keys() == {"split", "id", "photo", "reason"}
    assert Path(failure["photo"]).exists()


def test_images_that_were_left_to_pillow_are_counted_by_reason(build) -> None:
    pytest.importorskip("llvmlite")
    pytest.importorskip("simplejpeg")
    made = parsed(build("--pipeline", "turbo", "--overwrite"))
    assert made["fallbacks"]
    assert sum(made["fallbacks"].values()) < made["decoded"]
    assert {type(count) for count in made["fallbacks"].values()} == {int}


def test_a_dry_run_of_what_can_t_be_planned_has_the_line_alone(
    cli, subset_file: Path, tmp_path: Path
) -> None:
    words = ("--subset_name", subset_file, "--dry_run", *CPU)
    (tmp_path / "none").mkdir()
    line = refused(cli(*words, "--data_dir", "none")).removeprefix("imagenet-subset: ")
    assert parsed(cli(*words, "--data_dir", "none", "--json"), 1) == {
        "ok": False,
        "problems": [line.strip()],
    }


def test_a_dry_run_of_photos_that_are_missing_has_the_line_alone(
    cli, subset_file: Path, tmp_path: Path
) -> None:
    from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree

    tree = write_demo_tree(tmp_path / "ILSVRC", wnids=DEMO_WNIDS[:2], train_per_class=4)
    words = ("--subset_name", subset_file, "--data_dir", tree, "--dry_run", *CPU)
    line = refused(cli(*words)).removeprefix("imagenet-subset: ")
    assert parsed(cli(*words, "--json"), 1) == {"ok": False, "problems": [line.strip()]}


def test_a_refused_build_prints_no_json(build) -> None:
    assert parsed(build("--per_class", "3"))["images"]["train"] == 15
    assert "--per_class 3 finds it complete" in refused_after_notes(build())
    assert "--resize" in refused(build("--resize", "tall"), 2)


def refused_after_notes(done: Any) -> str:
    """The last line; a build has told its notes before."""
    assert (done.returncode, done.stdout) == (1, "")
    return str(done.stderr.splitlines()[-1])


def test_a_dry_run_tells_its_facts_whatever_the_exit_code(build) -> None:
    found = parsed(build("--dry_run"))
    assert found["ok"]
    assert (found["act"], found["left"], found["images"]["train"]) == ("build", 100, 100)
    assert found["time"]["images_per_second"] > 0
    assert found["classes"][0]["WNID"] == "n12267677"
    parsed(build("--per_class", "3"))
    found = parsed(build("--dry_run"), 1)
    assert (found["ok"], found["act"], found["time"]) == (False, "refuse", None)
    assert "--per_class 3 finds it complete" in found["problems"][0]


def test_classes_are_an_array_with_the_names_of_the_csv(cli) -> None:
    cranes = parsed(cli("classes", "crane", "--json"))
    assert [c["title"] for c in cranes] == ["crane (bird)", "crane (machine)"]
    assert cranes[0] == {
        "WNID": "n02012849",
        "original_id": class_table()["n02012849"].clsloc_id,
        "index": 134,
        "human_label": "crane",
        "title": "crane (bird)",
        "train_photos": 1300,
    }
    assert len(parsed(cli("classes", "--json"))) == 1000
    assert "no class of ILSVRC 2012 matches" in refused(cli("classes", "zzz", "--json"))
    assert "not allowed with" in refused(cli("classes", "--json", "--wnids_only"), 2)


def test_subsets_are_an_array_and_one_of_them_an_object(cli) -> None:
    every = parsed(cli("subsets", "--json"))
    assert [each["name"] for each in every] == list(named_subsets())
    one = parsed(cli("subsets", "living17", "--json"))
    assert one == next(each for each in every if each["name"] == "breeds_living17")
    assert (one["labels"], len(one["WNIDs"])) == (17, 68)
    assert "no list named" in refused(cli("subsets", "none", "--json"))


def test_what_reads_a_file_has_its_path_as_it_was_given(cli, write_subset) -> None:
    path = write_subset([0, 1, 2], [0])
    for command in ("inspect", "verify"):
        assert json.loads(cli(command, path, "--json").stdout)["path"] == str(path)
    row = parsed(cli("locate", path, "--split", "train", "--row", 1, "--json"))
    assert (row["WNID"], row["label"], row["saved"]) == ("n02690373", 1, "")
    which = ("--split", "train", "--row", 1)
    assert parsed(cli("locate", path, *which, "--save", "x.png", "--json"))["saved"] == "x.png"
    for command in ("inspect", "verify", "locate"):
        where = ("--split", "val", "--row", 0) if command == "locate" else ()
        refused(cli(command, "none.npz", *where, "--json"))


@thorough("a measurement of some ten seconds")
def test_a_selftest_tells_its_report_and_the_pipeline_is_on_stderr(cli) -> None:
    done = cli("selftest", *CPU, "--json", "--progress", "none")
    report = parsed(done)
    assert report["ok"]
    assert report["whole_rate"] > 0
    assert done.stderr == "cpu (pillow): as asked\n"
