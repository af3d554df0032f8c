"""A dry run: it says what the same command then does, and writes nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from imagenet_subset.building import sample, standing
from imagenet_subset.building.balance import Balance
from imagenet_subset.building.outlook import Outlook, look_ahead
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.start import begun
from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from imagenet_subset.errors import OutputError, UndecodableError
from imagenet_subset.execution.borrowed import Borrowed
from imagenet_subset.records import SPLITS
from imagenet_subset.system.publishing import locked
from imagenet_subset.system.space import look_for_room
from pipelines.base import DecodeError
from pipelines.pillow import decode
from pipelines.rule import DEFAULT
from tests.harness.planned import carried_out, planned

CPU: dict[str, Any] = {"device": "cpu", "pipeline": "pillow"}


def plan(tree: Path, subset: Path, out: Path, **options: Any) -> BuildPlan:
    return planned(subset, tree, out, **{**CPU, **options})


def unfinished(todo: BuildPlan) -> BuildPlan:
    """Stop a build after its first shard."""

    def stop(_shard: object) -> None:
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as executor, pytest.raises(KeyboardInterrupt):
        carried_out(todo, executor=executor, progress=stop)
    return todo


def looked_ahead(todo: BuildPlan) -> Outlook:
    """Outlook of the plan's options, by a process of its own."""
    with begun(todo.options) as (own, runner):
        return look_ahead(own, runner)


def contents(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """What is in a folder: times of the last change and contents."""
    found = {}
    for path in folder.rglob("*"):
        stat = path.stat()
        found[str(path)] = (stat.st_mtime_ns, stat.st_size, path.read_bytes())
    return found


# What it would do


def test_what_it_says_of_the_output_is_what_the_build_then_does(
    tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    todo = plan(tree, subset_file, tmp_path)
    assert standing.look(todo).act == "build"
    unfinished(todo)
    before = contents(tmp_path)
    going_on = standing.look(todo)
    assert contents(tmp_path) == before
    assert going_on.act == "go_on"
    result = carried_out(todo)
    assert result.kept == going_on.done > 0
    complete = standing.look(todo)
    assert (complete.act, complete.done) == ("nothing", sum(todo.rows.values()))
    assert carried_out(todo).already_complete
    again = replace(todo, options=replace(todo.options, overwrite=True))
    assert standing.look(again) == standing.Standing("replace")
    assert carried_out(again).decoded == sum(todo.rows.values())


def refused(todo: BuildPlan) -> str:
    """Why the build refuses, which a look at it says to the letter."""
    with pytest.raises(OutputError) as caught:
        carried_out(todo)
    looked = standing.look(todo)
    assert (looked.act, looked.why) == ("refuse", str(caught.value))
    return looked.why


def test_it_refuses_in_the_words_of_the_build(
    tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    begun_otherwise = unfinished(plan(tree, subset_file, tmp_path, per_class=4))
    todo = plan(tree, subset_file, tmp_path)
    assert "with --per_class 4 goes on with it" in refused(todo)
    discards = replace(todo, options=replace(todo.options, overwrite=True))
    assert standing.look(discards) == standing.Standing("build", discards=True)
    with locked(todo.output.partial):
        assert "another build is writing" in refused(begun_otherwise)
    carried_out(begun_otherwise)
    assert "--per_class 4 finds it complete" in refused(todo)
    todo.output.csv.unlink()
    todo.output.csv.mkdir()
    assert "_metadata.csv is a folder" in refused(discards)


def test_a_file_that_left_ruins_out_counts_what_it_has(subset_file: Path, tmp_path: Path) -> None:
    tree = write_demo_tree(tmp_path / "ILSVRC", wnids=DEMO_WNIDS[::2], train_per_class=4, damaged=2)
    todo = plan(tree, subset_file, tmp_path, splits=("train",), skip_undecodable=True)
    made = carried_out(todo).plan
    looked = standing.look(todo)
    assert (looked.act, looked.done) == ("nothing", made.rows["train"])


# What a worker tries


def test_the_sample_is_the_same_each_time_and_from_all_over_both_splits(
    tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    todo = plan(tree, subset_file, tmp_path)
    (records,) = sample.chosen(todo, 1)
    assert [records] == sample.chosen(todo, 1)
    assert len(records) == sample.PHOTOS
    assert {record.split for record in records} == set(SPLITS)
    assert {record.wnid for record in records} == set(todo.subset.wnids)
    ends = [record.row for record in records if record.split == "train"]
    assert (ends[0], ends[-1]) == (0, todo.rows["train"] - 1)


def test_a_small_subset_is_tried_whole(tree: Path, subset_file: Path, tmp_path: Path) -> None:
    todo = plan(tree, subset_file, tmp_path, per_class=1, splits=("train",))
    assert [record.row for record in sample.chosen(todo, 1)[0]] == list(range(5))
    assert [[record.row for record in share] for share in sample.chosen(todo, 2)] == [
        [0, 1, 2],
        [3, 4],
    ]
    assert len(sample.chosen(todo, 9)) == 5
    assert looked_ahead(todo).seconds


def decodes(path: Path) -> bool:
    try:
        decode(path.read_bytes(), DEFAULT)
    except DecodeError:
        return False
    return True


def test_photos_that_cannot_be_decoded_or_read_are_said(subset_file: Path, tmp_path: Path) -> None:
    tree = write_demo_tree(tmp_path / "ILSVRC", wnids=DEMO_WNIDS[::2], train_per_class=4, damaged=2)
    todo = plan(tree, subset_file, tmp_path / "out", splits=("train",))
    sound = next(r for r in todo.records["train"] if decodes(tree / str(r.location)))
    gone = tree / str(sound.location)
    with begun(todo.options) as (own, runner):
        gone.unlink()
        outlook = look_ahead(own, runner)
    found = outlook.sample
    assert found is not None
    assert (found.photos, len(found.undecodable), len(found.unreadable)) == (20, 2, 1)
    record, reason = found.unreadable[0]
    assert (todo.path(record), reason) == (str(gone), "No such file or directory")
    unread, undecoded = outlook.problems
    assert unread == f"photos can't be read, as {gone} (No such file or directory); put that right"
    assert undecoded.endswith("or add --skip_undecodable to finish without them")
    assert not (tmp_path / "out").exists()


def test_the_estimate_is_of_what_is_left_by_all_workers(
    tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    todo = unfinished(plan(tree, subset_file, tmp_path, workers=3))
    outlook = looked_ahead(todo)
    assert outlook.workers == 3
    assert outlook.sample is not None
    assert outlook.sample.rate is not None
    left = sum(todo.rows.values()) - outlook.standing.done
    assert 0 < outlook.left == left < sum(todo.rows.values())
    assert (outlook.sample.workers, outlook.sample.photos) == (3, 3 * sample.PHOTOS)
    expected = outlook.sample.start + left / outlook.sample.rate
    assert outlook.seconds == pytest.approx(expected)
    assert outlook.sample.start > 0
    told = outlook.to_dict()["time"]
    assert (told["tried_by"], told["workers"]) == (3, 3)
    assert told["images_per_second"] == outlook.sample.rate
    twice = outlook.sample.start + left / 2 / outlook.sample.rate
    assert replace(outlook, workers=6).seconds == pytest.approx(twice)


def test_a_class_without_a_good_photo_among_those_tried_is_named(
    subset_file: Path, tmp_path: Path
) -> None:
    tree = write_demo_tree(tmp_path / "ILSVRC", wnids=DEMO_WNIDS[::2], train_per_class=30)
    for photo in (tree / "train/n12267677").iterdir():
        photo.write_bytes(b"")
    options: dict[str, Any] = {"splits": ("train",), "skip_undecodable": True, "workers": 1}
    todo = plan(tree, subset_file, tmp_path / "out", **options)
    outlook = looked_ahead(todo)
    assert outlook.problems == []
    assert outlook.notes[-1] == (
        "none of the 10 train photos of n12267677 that were tried can be decoded; if the 20 others "
        "can't either, the build will end in an error"
    )
    whole = looked_ahead(plan(tree, subset_file, tmp_path / "out", **{**options, "workers": 3}))
    assert whole.problems == [
        "none of the 30 train photos of n12267677 can be decoded, and without them the class has "
        "none; put good files in place, or take n12267677 out of the subset file"
    ]
    with pytest.raises(UndecodableError, match="without them the class has none"):
        carried_out(todo)


def test_nothing_is_tried_where_nothing_is_to_be_done(
    tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    todo = carried_out(plan(tree, subset_file, tmp_path, splits=("train",))).plan
    outlook = looked_ahead(todo)
    assert (outlook.sample, outlook.seconds, outlook.left) == (None, 0.0, 0)
    assert outlook.problems == []


def test_workers_of_an_executor_try_the_photos_themselves(
    tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    todo = plan(tree, subset_file, tmp_path)
    with (
        ThreadPoolExecutor(2) as executor,
        begun(replace(todo.options, workers=None), Borrowed(executor)) as (own, runner),
    ):
        outlook = look_ahead(own, runner)
    assert (outlook.here, outlook.workers) == (False, 2)
    assert outlook.sample is not None
    assert outlook.sample.rate
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_dies_is_said_and_the_rest_is_printed(
    tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def hook(event, args):\n"
        "    if event == 'open' and 'val_0' in str(args[0]):\n"
        "        os.kill(os.getpid(), 9)\n"
        "sys.addaudithook(hook)\n"
    )
    words = ["--subset_name", subset_file, "--data_dir", tree, "--dry_run", "--json"]
    command = [sys.executable, "-m", "imagenet_subset", *map(str, words), "--pipeline", "pillow"]
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert (done.returncode, report["ok"], report["time"]["seconds"]) == (1, False, None)
    assert "was killed (SIGKILL) while it tried some of the photos" in report["problems"][0]


LEAN = """
import sys
from imagenet_subset.cli.main import main
code = main(sys.argv[1:])
heavy = {"llvmlite", "simplejpeg", "nvidia.dali", "cupy", "pipelines.turbo.pipeline"}
loaded = heavy & {*sys.modules}
print(sorted(loaded), file=sys.stderr)
sys.exit(code)
"""


def test_the_process_that_plans_loads_no_pipeline(
    tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    words = ["--subset_name", subset_file, "--data_dir", tree, "--dry_run", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", LEAN, *map(str, words)], cwd=tmp_path, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert "images/s" in " ".join(done.stdout.split())
    assert list(tmp_path.iterdir()) == []


# The space


def test_what_an_unfinished_file_has_counts_as_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others write to the same disk meanwhile, so what is free there is fixed."""
    free = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    path = tmp_path / "file"
    path.write_bytes(bytes(300_000))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    assert look_for_room(1, path).free == free.free + path.stat().st_blocks * 512 > free.free
    assert look_for_room(1, tmp_path / "none/at/all").free == free.free


def test_a_file_without_room_is_a_problem(tree: Path, subset_file: Path, tmp_path: Path) -> None:
    outlook = looked_ahead(plan(tree, subset_file, tmp_path, splits=("train",)))
    full = replace(outlook, room=replace(outlook.room, free=1_000_000))
    assert full.problems == [
        f"{tmp_path}/five_cls.npz takes 15 MB, and 1 MB are free; make room or choose another "
        "--out_dir"
    ]
    assert not full.to_dict()["fits"]
    on_fat = replace(outlook.room, limit=1_000_000, limited_by="the file system (vfat)")
    assert (
        replace(outlook, room=on_fat)
        .problems[0]
        .endswith("the file system (vfat) allows files of 1 MB at most; choose another --out_dir")
    )


def test_a_limit_on_the_size_of_files_is_seen(
    tree: Path, subset_file: Path, tmp_path: Path
) -> None:
    words = ["--subset_name", subset_file, "--data_dir", tree, "--dry_run", "--json"]
    command = [sys.executable, "-m", "imagenet_subset", *map(str, words), "--pipeline", "pillow"]
    limited = ["bash", "-c", 'ulimit -f 10000; exec "$@"', "bash", *command]
    done = subprocess.run(limited, cwd=tmp_path, capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert (done.returncode, report["fits"], report["largest_file"]) == (1, False, 10_240_000)
    assert report["problems"][0].endswith("ulimit -f allows files of 10 MB at most; raise it")


# The classes


@pytest.fixture
def uneven(tree: Path, tmp_path: Path) -> BuildPlan:
    """Two cranes with few photos, and one class of twenty."""
    root, photo = tmp_path / "photos", next((tree / "train/n12267677").iterdir())
    for wnid, count in (("n02012849", 2), ("n03126707", 10), ("n12267677", 20)):
        (root / "train" / wnid).mkdir(parents=True)
        for number in range(count):
            (root / "train" / wnid / f"{wnid}_{number}.JPEG").symlink_to(photo)
    (tmp_path / "three.txt").write_text("n02012849\nn03126707\nn12267677\n")
    return plan(root, tmp_path / "three.txt", tmp_path / "out", missing="skip", splits=("train",))


def test_small_classes_and_equal_names_are_found(uneven: BuildPlan) -> None:
    balance = Balance.of(uneven)
    spread = balance.spreads["train"]
    assert (spread.fewest, spread.median, spread.most) == (2, 10.0, 20)
    assert [each.image_class.wnid for each in balance.small] == ["n02012849"]
    assert [c.wnid for c in balance.equal_names["crane"]] == ["n02012849", "n03126707"]
    assert list(balance.equal_names) == ["crane"]
    assert balance.few_val == [], "val isn't built"


def test_classes_short_of_per_class_and_of_val_are_found(uneven: BuildPlan, tree: Path) -> None:
    fewer = plan(
        Path(uneven.options.data_dir), Path(uneven.options.subset_name), uneven.output.folder,
        missing="skip", splits=("train",), per_class=15,
    )  # fmt: skip
    assert [e.counts["train"] for e in Balance.of(fewer).short] == [2, 10]
    few = replace(uneven, options=replace(uneven.options, splits=("train", "val")))
    assert len(Balance.of(few).few_val) == 3


def test_labels_of_several_classes_are_counted_too(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text(f"a: {' '.join(DEMO_WNIDS[:3])}\nb: {DEMO_WNIDS[3]}\n")
    balance = Balance.of(plan(tree, tmp_path / "two.txt", tmp_path))
    spread = balance.label_spreads["train"]
    assert (spread.fewest, spread.most) == (20, 60)
    assert not Balance.of(plan(tree, tmp_path / "two.txt", tmp_path)).small


def test_a_thousand_classes_fit_a_screen(cli, tree: Path, tmp_path: Path) -> None:
    from imagenet_subset.ilsvrc.classes import class_table

    photo = next((tree / "train/n12267677").iterdir())
    for wnid in class_table():
        (tmp_path / "photos/train" / wnid).mkdir(parents=True)
        (tmp_path / f"photos/train/{wnid}/{wnid}_1.JPEG").symlink_to(photo)
    words = ["--subset_name", "imagenet1k", "--data_dir", "photos", "--missing", "skip"]
    words += ["--splits", "train", "--dry_run", "--pipeline", "pillow"]
    lines = cli(*words).stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) < 40
    assert "990 others, which --json lists" in "\n".join(lines)
    report = json.loads(cli(*words, "--json").stdout)
    assert len(report["classes"]) == 1000
    assert report["equal_names"].keys() == {"crane", "maillot"}


def test_no_type_of_numpys_is_in_the_report(tree: Path, subset_file: Path, tmp_path: Path) -> None:
    def leaves(value: object) -> Iterator[object]:
        if isinstance(value, dict):
            for key, inside in value.items():
                yield key
                yield from leaves(inside)
        elif isinstance(value, list):
            for inside in value:
                yield from leaves(inside)
        else:
            yield value

    todo = plan(tree, subset_file, tmp_path)
    outlook = looked_ahead(todo).to_dict()
    result = carried_out(todo).to_dict()
    for report in (outlook, result):
        assert {type(leaf) for leaf in leaves(report)} <= {str, int, float, bool, type(None)}
        assert re.match(r"/.*five_cls\.npz", report["npz"])
