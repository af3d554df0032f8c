"""Builds that are killed and stopped at any moment: nothing is lost, nobody is left behind."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.packages import installed
from tests.harness.builds import Build, end_of, sent, two_classes
from tests.harness.planned import planned
from tests.harness.processes import NURSERY, catches, members, nurseries, wait_for, workers
from tests.harness.tiers import first_quick, thorough

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(
        not sys.platform.startswith("linux"), reason="looks for processes and signals in /proc"
    ),
]

AT_MANY_POINTS = "disturbs builds at many points"
HOW_TO_GO_ON = r"(\d+) of (\d+) images are done and kept: run the same command again to go on"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes that take two workers about a second; not to be written to."""
    root = tmp_path_factory.mktemp("photos") / "ILSVRC"
    return two_classes(root, 150)


@pytest.fixture(scope="module")
def large_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of 6000x4000, of which a core decodes a few a second."""
    data = two_classes(tmp_path_factory.mktemp("large") / "ILSVRC", 100)
    stripes = np.arange(6000, dtype=np.uint8)[None, :, None] + np.zeros((4000, 1, 3), np.uint8)
    Image.fromarray(stripes).save(first := data / "large.JPEG", quality=90)
    for path in (data / "train").glob("*/*.JPEG"):
        path.unlink()
        path.hardlink_to(first)
    return data


@pytest.fixture(scope="module")
def expected(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return Build(photos, tmp_path_factory.mktemp("whole") / "out").sha256()


def killed_and_resumed(photos: Path, out: Path, expected: str, seed: int) -> None:
    """Kill a build, and its resumes, up to three times, then let it end."""
    chance = random.Random(seed)
    build = Build(photos, out)
    for _ in range(chance.randint(1, 3)):
        rows, begin = chance.choice([0, chance.randint(1, 300)]), time.monotonic()
        moment = begin + chance.uniform(0, 0.4)

        def is_time(_pid: int, rows: int = rows, moment: float = moment) -> bool:
            return build.rows_done() >= rows and (rows > 0 or time.monotonic() >= moment)

        with build.halted_when(is_time) as process:
            assert sent(process, signal.SIGKILL)[0] == -signal.SIGKILL
        assert not build.npz.exists()
    assert build.sha256() == expected


@pytest.mark.parametrize("seed", first_quick(range(4), AT_MANY_POINTS))
def test_killed_at_any_moment_and_resumed_gives_the_same_bytes(
    photos, expected, tmp_path, seed
) -> None:
    killed_and_resumed(photos, tmp_path / "out", expected, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 150))
def test_killed_at_50_moments_and_resumed_gives_the_same_bytes(
    photos, expected, tmp_path, seed
) -> None:
    killed_and_resumed(photos, tmp_path / "out", expected, seed)


def to_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    os.killpg(process.pid, number)


def to_parent(process: subprocess.Popen[str], number: signal.Signals) -> None:
    os.kill(process.pid, number)


def to_group_three_times(process: subprocess.Popen[str], number: signal.Signals) -> None:
    for _ in range(3):
        os.killpg(process.pid, number)
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("send", "number", "code"),
    first_quick(
        [
            (to_group, signal.SIGINT, 130),  # a terminal's Ctrl-C
            (to_parent, signal.SIGTERM, 143),
            (to_group_three_times, signal.SIGINT, 130),
            (to_group, signal.SIGTERM, 143),  # Slurm, before the time limit
        ],
        AT_MANY_POINTS,
        quick=2,
    ),
)
def test_a_build_that_is_stopped_keeps_its_rows_and_says_how_to_go_on(
    photos, expected, tmp_path, send, number, code
) -> None:
    build = Build(photos, tmp_path / "out")
    with build.halted_when(lambda _: build.rows_done()) as process:
        os.killpg(process.pid, signal.SIGCONT)
        send(process, number)
        found, stderr = end_of(process)
    assert found == code
    stopped = "stopped by SIGTERM" if number == signal.SIGTERM else "stopped"
    match = re.fullmatch(f"imagenet-subset: {stopped}; {HOW_TO_GO_ON}\n", stderr)
    assert match, stderr
    assert 0 < int(match[1]) == build.rows_done() < int(match[2]) == 400
    assert build.sha256() == expected


@thorough(AT_MANY_POINTS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_waits_for_the_photos_in_hand_and_not_for_their_shards(
    large_photos, tmp_path, number
) -> None:
    build = Build(large_photos, tmp_path / "out", splits="train")
    todo = planned(
        large_photos / "two.txt", large_photos, tmp_path, splits=["train"], device="cpu",
        pipeline="pillow",
    )  # fmt: skip
    first_row = todo.layout.rows.offset_of("train", 0)

    def has_a_row(_pid: int) -> bool:
        with contextlib.suppress(FileNotFoundError), open(f"{build.npz}.partial", "rb") as file:
            file.seek(first_row)
            return any(file.read(1000))
        return False

    with build.halted_when(has_a_row) as process:
        code, stderr = sent(process, number)
    assert code == 128 + number
    match = re.search(HOW_TO_GO_ON, stderr)
    assert match
    assert 0 < int(match[1]) < 64, "a shard takes longer, but its rows count one by one"
    assert stderr.count("\n") == 1


@pytest.mark.parametrize("number", first_quick([signal.SIGINT, signal.SIGTERM], AT_MANY_POINTS))
@pytest.mark.parametrize(
    "delay", first_quick([0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0, 1.3], AT_MANY_POINTS)
)
def test_a_build_that_is_stopped_as_it_starts_prints_one_line(
    photos, tmp_path, number, delay
) -> None:
    stopped_after(photos, tmp_path, number, delay)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", np.arange(0, 1.5, 0.02))
def test_a_build_that_is_stopped_in_any_moment_of_its_start_prints_one_line(
    photos, tmp_path, number, delay
) -> None:
    stopped_after(photos, tmp_path, number, delay)


def stopped_after(photos: Path, tmp_path: Path, number: signal.Signals, delay: float) -> None:
    build = Build(photos, tmp_path / "out")
    with build.begun() as process:
        wait_for(lambda: catches(process.pid, signal.SIGTERM))
        time.sleep(delay)
        to_group(process, number)
        code, stderr = end_of(process)
    if code == 0:
        assert stderr == ""
        return
    assert code == 128 + number, stderr
    assert re.fullmatch(r"imagenet-subset: stopped.*\n", stderr), stderr


STOPPED_IN_AN_EXEC = """
import sys

def hook(event, args):
    if event == "import" and args[0] == "imagenet_subset.building.plan":
        exec("import os; os.kill(os.getpid(), int(os.environ['SIGNAL']))")

sys.addaudithook(hook)
"""


STOPPED_IN_A_CLASS = """
import dataclasses, os

set_name = dataclasses.Field.__set_name__

def stopped(field, owner, name):
    if owner.__name__ == os.environ["OWNER"]:
        os.kill(os.getpid(), int(os.environ["SIGNAL"]))
    set_name(field, owner, name)

dataclasses.Field.__set_name__ = stopped
"""


@pytest.mark.parametrize("owner", ["Kind", "BuildResult"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_a_class_gets_its_fields_is_a_stop(
    photos, tmp_path, monkeypatch, number, owner
) -> None:
    (tmp_path / "sitecustomize.py").write_text(STOPPED_IN_A_CLASS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SIGNAL", str(int(number)))
    monkeypatch.setenv("OWNER", owner)
    done = Build(photos, tmp_path / "out").run()
    assert done.returncode == 128 + number
    assert re.fullmatch(r"imagenet-subset: stopped.*\n", done.stderr), done.stderr


@pytest.mark.parametrize("number", first_quick([signal.SIGINT, signal.SIGTERM], AT_MANY_POINTS))
def test_a_stop_while_a_dataclass_is_made_has_the_exit_code_of_any_other(
    photos, tmp_path, monkeypatch, number
) -> None:
    (tmp_path / "sitecustomize.py").write_text(STOPPED_IN_AN_EXEC)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SIGNAL", str(int(number)))
    done = Build(photos, tmp_path / "out").run()
    assert done.returncode == 128 + number
    assert re.fullmatch(r"imagenet-subset: stopped.*\n", done.stderr), done.stderr


def test_workers_whose_parent_is_killed_end_by_themselves(photos, tmp_path) -> None:
    build = Build(photos, tmp_path / "out")
    with build.halted_when(lambda _: build.rows_done()) as process:
        assert len(workers(process.pid)) == 2
        os.killpg(process.pid, signal.SIGCONT)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        wait_for(lambda: not members(process.pid))


DYING = f"""
import os, sys
is_worker = {NURSERY!r} in " ".join(sys.orig_argv)
if is_worker and not os.path.exists(os.environ["DIED"]):
    from PIL import Image
    true_open = Image.open

    def open_or_die(file, *args, **kwargs):
        if b"deadly" in file.getvalue():
            with open(os.environ["DIED"], "w"):
                os.kill(os.getpid(), int(os.environ["SIGNAL"]))
        return true_open(file, *args, **kwargs)

    Image.open = open_or_die
"""


@pytest.mark.parametrize(
    ("number", "how"),
    first_quick(
        [
            (signal.SIGKILL, r"was killed \(SIGKILL\)"),
            (signal.SIGSEGV, r"crashed \(SIGSEGV\)"),
        ],
        AT_MANY_POINTS,
    ),
)
def test_a_worker_that_dies_is_told_with_the_photo_it_had_in_hand(
    tmp_path, monkeypatch, number, how
) -> None:
    data = two_classes(tmp_path / "ILSVRC", 80)
    deadly = sorted(data.glob("train/*/*.JPEG"))[-1]
    with open(deadly, "ab") as file:
        file.write(b"deadly")
    expected = Build(data, tmp_path / "whole").sha256()
    (tmp_path / "sitecustomize.py").write_text(DYING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("DIED", str(tmp_path / "died"))
    monkeypatch.setenv("SIGNAL", str(int(number)))
    build = Build(data, tmp_path / "out")
    with build.begun() as process:
        code, stderr = end_of(process)
    assert code == 1
    assert re.fullmatch(
        f"imagenet-subset: a worker process {how} while it had {deadly} in hand; "
        "((?!memory).)*run the same command again to go on\n",
        stderr,
    ), stderr
    assert build.rows_done() > 0
    assert build.sha256() == expected


DYING_AS_IT_READS = f"""
import os, signal, sys

def hook(event, args):
    if event == "open" and str(args[0]).endswith(os.environ["DEADLY"]):
        os.kill(os.getpid(), signal.SIGKILL)

if {NURSERY!r} in " ".join(sys.orig_argv):
    sys.addaudithook(hook)
"""


@thorough(AT_MANY_POINTS)
@pytest.mark.skipif(not installed("nvidia.dali"), reason="DALI isn't installed")
def test_a_dali_worker_that_dies_had_several_photos_in_hand(photos, tmp_path, monkeypatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(DYING_AS_IT_READS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("DEADLY", sorted(photos.glob("train/*/*.JPEG"))[-1].name)
    build = Build(photos, tmp_path / "out", "--pipeline", "dali", "--batch_size", "4")
    with build.begun() as process:
        code, stderr = end_of(process)
    assert code == 1
    assert re.fullmatch(
        r"imagenet-subset: a worker process was killed \(SIGKILL\) while it had the photos up to "
        rf"{photos}/\S+\.JPEG in hand; by whom is unknown; .*run the same command again to go on\n",
        stderr,
    ), stderr


@thorough(AT_MANY_POINTS)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_leaving_out_a_photo_may_be_stopped_while_rows_move(tmp_path, number) -> None:
    data = two_classes(tmp_path / "ILSVRC", 150)
    sorted(data.glob("train/*/*.JPEG"))[0].write_bytes(b"bad")
    expected = Build(data, tmp_path / "whole", "--skip_undecodable")
    assert expected.run().returncode == 0
    build = Build(data, tmp_path / "out", "--skip_undecodable")
    journal = build.out / "two_cls.npz.journal"
    with build.halted_when(
        lambda _: journal.exists() and any(journal.read_bytes()[-8:])
    ) as process:
        code, stderr = sent(process, number)
    if number == signal.SIGKILL:
        assert code == -number
    else:
        assert code == 128 + number
        assert "399 of 400 images are done and kept" in stderr
    again = subprocess.run(
        [word for word in build.command if word != "--quiet"], capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    assert re.search(
        "nothing was left to decode; 399 were done already|"
        "1 image in .*; 398 were done already",  # a row may be torn, by a kill alone
        again.stdout,
    ), again.stdout
    assert build.npz.read_bytes() == expected.npz.read_bytes()


@pytest.mark.parametrize("delay", first_quick([0.0, 0.05, 0.1, 0.2, 0.5], AT_MANY_POINTS))
def test_the_nursery_may_die_at_any_moment(photos, tmp_path, delay) -> None:
    build = Build(photos, tmp_path / "out")
    with build.begun() as process:
        wait_for(lambda: nurseries(process.pid))
        time.sleep(delay)
        for pid in nurseries(process.pid):
            os.kill(pid, signal.SIGKILL)
        code, stderr = end_of(process)
    if code == 0:  # its workers were there already
        assert stderr == ""
        return
    assert code == 1
    assert re.fullmatch(
        r"imagenet-subset: worker processes can't start: one was killed \(SIGKILL\); .*\n", stderr
    )


def test_a_worker_that_dies_as_it_starts_is_no_hang(photos, tmp_path) -> None:
    build = Build(photos, tmp_path / "out")
    with build.halted_when(workers) as process:
        os.kill(workers(process.pid)[0], signal.SIGKILL)
        code, stderr = sent(process, signal.SIGCONT)
    assert code == 1
    assert re.fullmatch(
        "imagenet-subset: (a worker process|worker processes can't start: one) "
        r"was killed \(SIGKILL\).*\n",
        stderr,
    ), stderr


@thorough("two whole builds")
def test_a_second_build_of_the_same_output_is_refused_and_the_first_unharmed(
    photos, expected, tmp_path
) -> None:
    build = Build(photos, tmp_path / "out")
    with build.halted_when(workers) as first:
        for more in ([], ["--overwrite"]):
            second = Build(photos, tmp_path / "out", *more).run()
            assert second.returncode == 1
            assert re.fullmatch("imagenet-subset: another build is writing .*\n", second.stderr)
        assert sent(first, signal.SIGCONT) == (0, "")
    assert build.sha256() == expected
