"""The flags that a refusal names: run so, the command goes on with what is there."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from imagenet_subset.building import journal
from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.plan import plan_build
from imagenet_subset.building.resolution import resolve_on_worker
from imagenet_subset.building.run import run_build
from imagenet_subset.cli.commands import arguments, build
from imagenet_subset.cli.main import main
from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from imagenet_subset.errors import ResumeMismatchError
from imagenet_subset.execution.borrowed import Borrowed
from tests.harness.tiers import thorough

PILLOW = ["--pipeline", "pillow"]
SAID = re.compile(
    r"the same command (?:with (.+?))?(?: and )?(?:without (.+?))? (goes on|finds it)"
)
Words = Sequence[object]


def options_of(words: Words) -> BuildOptions:
    """Options that the command line makes of its words."""
    parser = argparse.ArgumentParser()
    build.add_arguments(parser)
    args = parser.parse_args([str(word) for word in words])
    names = {field.name for field in fields(BuildOptions)}
    given = {name: value for name, value in vars(args).items() if name in names}
    return BuildOptions(**given, rule=arguments.rule_of(args))


def begin(words: Words) -> None:
    """Stop a build after its first shard."""

    def stop(_shard: object) -> None:
        raise KeyboardInterrupt

    plan = plan_build(options_of(words))
    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
        run_build(plan, runner=Borrowed(executor), progress=stop)
    assert plan.output.partial.exists()


def mended(words: Words, said: str) -> list[str]:
    """The command with the flags that a refusal names, and without those it says to leave out."""
    found = SAID.search(said)
    assert found, said
    given, left_out = shlex.split(found[1] or ""), shlex.split(found[2] or "")
    kept = [str(word) for word in words]
    for flag in left_out:
        at = kept.index(flag)
        del kept[at : at + 2]
    return [*kept, *given]


@pytest.fixture
def where(tree: Path, subset_file: Path, tmp_path: Path) -> list[object]:
    """What all of a test's commands have in common."""
    out = tmp_path / "out"
    places = ["--subset_name", subset_file, "--data_dir", tree, "--out_dir", out]
    return [*places, "--device", "cpu", "--workers", "1", "--splits", "train"]


Run = Callable[[Words], tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command; its exit code, stdout and stderr."""

    def run_it(words: Words) -> tuple[int, str, str]:
        code = main([str(word) for word in words])
        return (code, *capsys.readouterr())

    return run_it


CASES = [
    (["--per_class", "7", "--seed", "3"], [], ["--per_class 7 --seed 3"]),
    (["--resize", "288"], ["--interpolation", "box"], ["--resize 288", "--interpolation bilinear"]),
    (["--fraction", "0.5"], ["--per_class", "2", "--seed", "1"], ["--fraction 0.5 --seed 0"]),
    ([], ["--per_class", "2", "--seed", "1"], ["without --per_class --seed"]),
    (["--splits", "train,val"], [], ["--splits train,val"]),
]


@pytest.mark.parametrize(("begun", "now", "named"), CASES)
def test_the_flags_that_a_refused_resume_names_go_on_with_what_is_done(
    where: list[object], run: Run, begun: list[str], now: list[str], named: list[str]
) -> None:
    begin([*where, *PILLOW, *begun])
    words = [*where, *PILLOW, *now]
    code, out, said = run(words)
    assert (code, out) == (1, "")
    for flags in named:
        assert flags in said
    code, out, said = run(mended(words, said))
    assert code == 0, said
    assert "were done already" in out


def test_a_file_begun_by_another_pipeline_than_auto_takes_here_names_it(
    where: list[object], run: Run
) -> None:
    pytest.importorskip("llvmlite")
    pytest.importorskip("simplejpeg")
    begin([*where, *PILLOW])
    code, _, said = run(where)
    assert code == 1
    assert "; the same command with --pipeline pillow goes on with it; or pass --overwrite" in said
    assert "were done already" in run(mended(where, said))[1]


def test_where_workers_elsewhere_decode_they_have_to_have_what_made_it(
    where: list[object],
) -> None:
    pytest.importorskip("llvmlite")
    pytest.importorskip("simplejpeg")
    begin([*where, *PILLOW])
    options = options_of(where)
    resolved = resolve_on_worker(options.request, options.workers)
    with pytest.raises(ResumeMismatchError) as caught:
        run_build(plan_build(options, resolved))
    said = "the same command with --pipeline pillow, where workers have what made it, goes on with"
    assert said in str(caught.value)


def test_a_filter_and_the_pipeline_that_scaled_by_it_are_named_together(
    where: list[object], run: Run
) -> None:
    pytest.importorskip("nvidia.dali")
    begin([*where, "--pipeline", "dali", "--interpolation", "bicubic"])
    words = [*where, *PILLOW]
    _, _, said = run(words)
    assert "with --interpolation bicubic --pipeline dali goes on" in said
    assert "were done already" in run(mended(words, said))[1]


@pytest.mark.parametrize(
    ("finished", "now"),
    [(["--per_class", "3"], []), (["--resize", "300"], ["--fraction", "0.1"])],
)
def test_the_flags_that_are_named_for_a_finished_file_find_it_complete(
    where: list[object], run: Run, finished: list[str], now: list[str]
) -> None:
    assert run([*where, *PILLOW, *finished])[0] == 0
    words = [*where, *PILLOW, *now]
    code, _, said = run(words)
    assert code == 1
    code, out, _ = run(mended(words, said))
    assert code == 0
    assert "already complete; nothing to do" in out


def test_a_finished_file_that_left_ruins_out_names_the_flag_that_did(
    subset_file: Path, tmp_path: Path, run: Run
) -> None:
    tree = write_demo_tree(tmp_path / "ILSVRC", wnids=DEMO_WNIDS[::2], train_per_class=4, damaged=2)
    words = ["--subset_name", subset_file, "--data_dir", tree, "--out_dir", tmp_path / "out"]
    words += [*PILLOW, "--splits", "train"]
    assert run([*words, "--skip_undecodable"])[0] == 0
    code, _, said = run(words)
    assert code == 1
    assert "the same command with --skip_undecodable finds it complete" in said
    assert "nothing to do" in run(mended(words, said))[1]


# Where no flag will do


def no_way(where: list[object], run: Run, why: str) -> None:
    code, _, said = run([*where, *PILLOW])
    assert code == 1
    assert f"; no flag is known to go on with it: {why}" in said
    assert said.endswith("or pass --overwrite to begin again, or choose another --out_dir or "
                         "--out_name\n")  # fmt: skip


def test_other_classes_are_not_made_the_same_by_a_flag(
    where: list[object], run: Run, tmp_path: Path
) -> None:
    begin([*where, *PILLOW])
    (tmp_path / "five.txt").write_text("\n".join(DEMO_WNIDS[:2]))
    no_way([*where, "--subset_name", tmp_path / "five.txt"], run, "its classes are others")


def test_a_list_of_photos_is_named_but_not_its_path(
    where: list[object], run: Run, tree: Path, tmp_path: Path
) -> None:
    names = [path.name for path in sorted(tree.glob("train/*/*"))[::2]]
    (tmp_path / "half.txt").write_text("\n".join(names))
    begin([*where, *PILLOW, "--photo_list", tmp_path / "half.txt"])
    no_way(where, run, "its photos are those of the list half.txt, which --photo_list takes")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda made: made.update(program_version="0.0.1"), "another version of the program began"),
        (lambda made: made.update(format_version=99), "another version of the program began it"),
        (lambda made: made.update(subset=[1]), "another version of the program began it"),
        (
            lambda made: made["pipeline"]["versions"].update(pillow="1.0"),
            "it was made by pillow 1.0, and here is ",
        ),
        (
            lambda made: made["pipeline"].update(name="none", versions={}),
            "what made it can't be had here: ",
        ),
    ],
)
def test_what_another_version_or_machine_began_is_said_to_be_that(
    where: list[object], run: Run, change: Callable[[dict[str, Any]], object], why: str
) -> None:
    begin([*where, *PILLOW])
    plan = plan_build(options_of([*where, *PILLOW]))
    there = json.loads(json.dumps(plan.fingerprint))
    change(there["provenance"])
    journal.create(plan.output.journal, there, len(plan.layout.rows))
    no_way(where, run, why)


@thorough("one more list of photos")
def test_other_photos_are_not_made_the_same_by_a_flag(
    subset_file: Path, tmp_path: Path, run: Run
) -> None:
    tree = write_demo_tree(tmp_path / "ILSVRC", wnids=DEMO_WNIDS[::2], train_per_class=13)
    words: list[object] = ["--subset_name", subset_file, "--data_dir", tree]
    words += ["--out_dir", tmp_path / "out", "--splits", "train"]
    begin([*words, *PILLOW])
    path = tree / "../../ImageSets/CLS-LOC/train_cls.txt"
    (first, one), (second, two), *others = [x.split() for x in path.read_text().splitlines()]
    swapped = [(first, two), (second, one), *others]
    path.write_text("".join(f"{name} {number}\n" for name, number in swapped))
    no_way(words, run, "its photos are others, or their order or numbering is")
