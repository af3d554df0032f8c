"""The core of the program on stand-ins for Windows and macOS: see `other_systems`."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.builds import SIGNAL_AT_FIRST_ROWS, Build, two_classes
from tests.harness.processes import HARNESS, wait_until_stopped
from tests.harness.tiers import first_quick, thorough

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pretends to be elsewhere"),
]
STAND_INS = "takes stand-ins for other systems"
PRETENDS = """
import os, other_systems
other_systems.pretend(os.environ["PRETEND"])
"""


@pytest.fixture(params=first_quick(["win32", "darwin"], STAND_INS))
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Environment that lets Python pretend."""
    return hook(tmp_path / "hook", request.param, PRETENDS)


def hook(folder: Path, system: str, text: str) -> dict[str, str]:
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(text)
    return {"PYTHONPATH": f"{folder}{os.pathsep}{HARNESS}", "PRETEND": system}


def python(env: dict[str, str], code: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_stand_in_lacks_what_it_should(elsewhere) -> None:
    code = "import os, sys; print(sys.platform, hasattr(os, 'fork'), hasattr(os, 'preadv'))"
    found = python(elsewhere, code).split()
    assert found == [elsewhere["PRETEND"], str(elsewhere["PRETEND"] == "darwin"), "False"]
    code = "import os, subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    child = python(elsewhere, code, "import sys; print(sys.platform)")
    assert child == f"{elsewhere['PRETEND']}\n"


def test_an_open_file_is_not_removed_on_the_stand_in_for_windows(tmp_path) -> None:
    env = hook(tmp_path / "hook", "win32", PRETENDS)
    code = """
import os, sys
file = open(sys.argv[1], "w")
try:
    os.unlink(sys.argv[1])
except PermissionError:
    file.close()
    os.unlink(sys.argv[1])
    print("refused")
"""
    assert python(env, code, tmp_path / "file") == "refused\n"


def test_a_build_has_the_same_bytes(photos, expected, tmp_path, elsewhere) -> None:
    build = Build(photos, tmp_path / "out", env=elsewhere)
    assert build.sha256() == expected
    assert build.sha256() == expected, "already complete"
    assert Build(photos, tmp_path / "out", "--overwrite", env=elsewhere).sha256() == expected


@thorough(STAND_INS)
def test_a_build_that_is_killed_is_taken_up_again(photos, expected, tmp_path, elsewhere) -> None:
    kills = hook(tmp_path / "kills", elsewhere["PRETEND"], PRETENDS + SIGNAL_AT_FIRST_ROWS)
    build = Build(photos, tmp_path / "out", env={**kills, "SIGNAL": str(int(signal.SIGKILL))})
    with build.begun() as process:
        assert process.wait(300) == -signal.SIGKILL
    done = build.rows_done()
    assert 0 < done < 200
    build.env = elsewhere
    assert build.sha256() == expected


@thorough(STAND_INS)
def test_a_second_build_is_refused(photos, expected, tmp_path, elsewhere) -> None:
    stops = hook(tmp_path / "stops", elsewhere["PRETEND"], PRETENDS + SIGNAL_AT_FIRST_ROWS)
    build = Build(photos, tmp_path / "out", env={**stops, "SIGNAL": str(int(signal.SIGSTOP))})
    with build.begun() as process:
        wait_until_stopped(process)
        second = Build(photos, tmp_path / "out", env=elsewhere).run()
        assert second.returncode == 1
        assert second.stderr.startswith("imagenet-subset: another build is writing")
    build.env = elsewhere
    assert build.sha256() == expected


@thorough(STAND_INS)
def test_what_can_not_be_decoded_is_left_out(tmp_path, elsewhere) -> None:
    data = two_classes(tmp_path / "ILSVRC", 4, damaged=2)
    hashes = []
    here: dict[str, str] = {}
    for env in (here, elsewhere):
        build = Build(data, tmp_path / f"out{len(env)}", "--skip_undecodable", env=env)
        done = build.run()
        assert (done.returncode, done.stderr) == (0, "")
        assert (build.out / "two_cls_failures.csv").exists()
        assert not list(build.out.glob("*.npz.*"))
        hashes.append(hashlib.sha256(build.npz.read_bytes()).hexdigest())
    assert hashes[0] == hashes[1]


@thorough(STAND_INS)
def test_a_finished_file_is_verified_opened_and_shown(photos, tmp_path, elsewhere, cli) -> None:
    build = Build(photos, tmp_path / "out", env=elsewhere)
    build.sha256()
    for arguments, says in (
        (["verify", build.npz, "--data_dir", photos, "--all", "--workers", "2"], "is sound\n"),
        (["inspect", build.npz, "--stats"], "mean"),
        (["preview", build.npz, "--out", "s.png", "--html", "p.html"], "s.png\np.html\n"),
        (["locate", build.npz, "--split", "train", "--row", "3"], "train"),
    ):
        done = cli(*arguments, env=elsewhere)
        assert (done.returncode, done.stderr) == (0, "")
        assert says in done.stdout
    code = """
import sys
from imagenet_subset import open_subset
subset = open_subset(sys.argv[1])
image, label = subset.dataset("train")[-1]
print(len(subset), image.shape, int(image.sum()), label)
"""
    assert python(elsewhere, code, build.npz) == python({}, code, build.npz)


@thorough(STAND_INS)
def test_the_demo_runs(tmp_path, elsewhere, cli) -> None:
    done = cli("demo", env=elsewhere)
    assert done.returncode == 0, done.stderr
