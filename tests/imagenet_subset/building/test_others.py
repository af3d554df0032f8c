"""Other programs and other runs at a build's files: each removes and publishes only its own."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagenet_subset.building import output
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.building.run import BuildResult
from imagenet_subset.errors import LockedError, OutputError
from pipelines.rule import DEFAULT
from tests.harness import sabotage
from tests.harness.builds import Build, end_of, two_classes
from tests.harness.planned import carried_out, planned
from tests.harness.processes import wait_until_stopped
from tests.harness.tiers import thorough

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="stops processes by signals"),
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 photos: 20 of train, 100 of val."""
    root = tmp_path_factory.mktemp("photos") / "ILSVRC"
    return two_classes(root, 10)


@pytest.fixture(scope="module")
def expected(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return Build(photos, tmp_path_factory.mktemp("whole")).sha256()


def plan(photos: Path, out: Path) -> BuildPlan:
    return planned(photos / "two.txt", photos, out, device="cpu", pipeline="pillow")


def built(todo: BuildPlan) -> BuildResult:
    with ThreadPoolExecutor(1) as executor:
        return carried_out(todo, executor=executor)


def all_done(todo: BuildPlan) -> BuildPlan:
    """A build that stopped with every row done and its file not sealed."""
    fault = f"fsync:4:{errno.EIO}"
    saboteur = sabotage.Sabotage(fault, str(todo.output.folder), f"{todo.output.folder}-fired")
    saboteur.install()
    try:
        with pytest.raises(OutputError):
            built(todo)
    finally:
        saboteur.remove()
    return todo


def sealed(todo: BuildPlan, disturb: Callable[[int], object], *, full_check: bool = False) -> None:
    with output.unfinished(todo.target, overwrite=False) as (fd, journal):
        assert journal.done.all()
        with open(todo.output.partial, "r+b") as file:
            disturb(file.fileno())
        output.seal(fd, todo.target, journal.crcs, full_check=full_check)


def overwritten(todo: BuildPlan, row: int) -> Callable[[int], object]:
    """Another program that writes into a row of train."""
    return lambda fd: os.pwrite(fd, b"other", todo.layout.rows.offset_of("train", row) + 1000)


def cut(size: int) -> Callable[[int], object]:
    return lambda fd: os.ftruncate(fd, size)


def zeroed(todo: BuildPlan) -> Callable[[int], object]:
    """A file that was cut short and got its size back."""

    def disturb(fd: int) -> None:
        os.ftruncate(fd, 30 * DEFAULT.nbytes)
        os.ftruncate(fd, todo.layout.size)

    return disturb


@pytest.mark.parametrize(
    ("disturb", "full_check", "says"),
    [
        (lambda todo: overwritten(todo, 0), False, "1 of 5 rows .* the first row 0 of X_train"),
        (lambda todo: overwritten(todo, 19), False, "1 of 5 rows .* the first row 19 of X_train"),
        (lambda todo: overwritten(todo, 7), True, "1 of 120 rows .* the first row 7 of X_train"),
        (zeroed, False, r"2 of 5 rows read back differ"),
        (lambda _: cut(1_000_000), False, "it was cut short to 1000000 bytes"),
        (lambda _: cut(0), True, "it was cut short to 0 bytes"),
    ],
)
def test_a_file_that_another_program_changed_gets_no_final_name_and_is_mended_by_a_rerun(
    photos, expected, tmp_path, disturb, full_check, says
) -> None:
    todo = all_done(plan(photos, tmp_path / "out"))
    with pytest.raises(OutputError, match=says) as caught:
        sealed(todo, disturb(todo), full_check=full_check)
    assert str(caught.value).isprintable()
    assert not todo.output.npz.exists()
    result = built(todo)
    assert result.decoded > 0
    assert result.decoded + result.kept == 120
    assert hashlib.sha256(todo.output.npz.read_bytes()).hexdigest() == expected


def test_only_the_changed_row_is_decoded_again(photos, tmp_path) -> None:
    todo = all_done(plan(photos, tmp_path / "out"))
    with pytest.raises(OutputError):
        sealed(todo, overwritten(todo, 0))
    result = built(todo)
    assert (result.decoded, result.kept) == (1, 119)


@pytest.mark.parametrize("full_check", [False, True])
def test_a_file_that_nobody_touched_or_that_only_grew_is_sealed(
    photos, expected, tmp_path, full_check
) -> None:
    todo = all_done(plan(photos, tmp_path / "out"))
    sealed(todo, lambda fd: os.pwrite(fd, b"more", todo.layout.size), full_check=full_check)
    assert hashlib.sha256(todo.output.npz.read_bytes()).hexdigest() == expected
    assert not todo.output.journal.exists()


def test_a_full_check_is_of_the_file_that_has_the_name(photos, tmp_path) -> None:
    todo = all_done(plan(photos, tmp_path / "out"))

    def exchange(_fd: int) -> None:
        other = todo.output.folder / "other"
        other.write_bytes(todo.output.partial.read_bytes())
        other.replace(todo.output.partial)

    with pytest.raises(OutputError, match="was removed or replaced"):
        sealed(todo, exchange, full_check=True)
    assert not todo.output.npz.exists()


# What the system refuses


@pytest.fixture
def without_powers() -> list[str]:
    """Begin of a command line whose program can't read and write whatever it likes."""
    if os.getuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root reads everything, and there is no setpriv")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ESTALE, errno.EMFILE])
def test_a_finished_file_that_can_t_be_read_may_be_complete(photos, tmp_path, code) -> None:
    todo = plan(photos, tmp_path / "out")
    built(todo)
    fault = f"builtins.open:1:{code}"
    saboteur = sabotage.Sabotage(fault, str(todo.output.folder), str(tmp_path / "fired"))
    saboteur.install()
    try:
        with pytest.raises(OutputError) as caught:
            built(todo)
    finally:
        saboteur.remove()
    npz = todo.output.npz
    assert str(caught.value) == (
        f"{npz} exists, and whether it is complete is unknown: can't read {npz}: "
        f"{os.strerror(code)}; put that right and try again, or choose another --out_dir"
    )
    assert built(todo).already_complete


@thorough("has two runs at one output, or root's rights taken")
def test_a_finished_file_that_one_may_not_read_is_not_to_be_overwritten(
    photos, expected, tmp_path, without_powers
) -> None:
    build = Build(photos, tmp_path / "out")
    build.sha256()
    build.npz.chmod(0)
    build.command = [*without_powers, *build.command]
    done = build.run()
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "whether it is complete is unknown" in done.stderr
    assert "Permission denied" in done.stderr
    assert "--overwrite" not in done.stderr
    build.npz.chmod(0o644)
    assert build.sha256() == expected


@thorough("has two runs at one output, or root's rights taken")
def test_a_folder_that_one_may_write_and_not_read_can_be_built_in(
    photos, expected, tmp_path, without_powers
) -> None:
    build = Build(photos, tmp_path / "out")
    build.out.mkdir(mode=0o300)
    build.command = [*without_powers, *build.command]
    listing = subprocess.run([*without_powers, "ls", build.out], capture_output=True, text=True)
    assert "Permission denied" in listing.stderr
    done = build.run()
    build.out.chmod(0o755)
    assert (done.returncode, done.stderr) == (0, "")
    assert build.sha256() == expected


# A second run of the command, while the first one is between the rename and its end

STOPS = """
import os, signal

def stopping(source, target, true=os.replace, **kwargs):
    ours = str(target).endswith(".npz")
    if ours and os.environ["STOPS"] == "before":
        os.kill(os.getpid(), signal.SIGSTOP)
    true(source, target, **kwargs)
    if ours and os.environ["STOPS"] == "after":
        os.kill(os.getpid(), signal.SIGSTOP)

os.replace = stopping
"""


@pytest.fixture
def stopping(photos, tmp_path) -> Callable[..., Build]:
    """A build that stops itself right before or after it gives its file the final name."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(STOPS)

    def build(when: str, *more: str) -> Build:
        env = {"PYTHONPATH": str(tmp_path / "hook"), "STOPS": when}
        return Build(photos, tmp_path / "out", *more, env=env)

    return build


def test_a_second_run_that_tidies_up_takes_nothing_from_the_first(
    photos, expected, stopping
) -> None:
    build = stopping("after")
    with build.begun() as first:
        wait_until_stopped(first)
        assert list(build.out.glob("*.journal"))
        assert Build(photos, build.out).sha256() == expected
        os.kill(first.pid, signal.SIGCONT)
        assert end_of(first) == (0, "")
    assert Build(photos, build.out).sha256() == expected


@thorough("has two runs at one output, or root's rights taken")
def test_the_journal_of_a_run_that_begins_again_is_left_to_it(photos, expected, stopping) -> None:
    build, second = stopping("after"), stopping("before", "--overwrite")
    with build.begun() as first:
        wait_until_stopped(first)
        with second.begun() as again:
            wait_until_stopped(again)
            os.kill(first.pid, signal.SIGCONT)
            assert end_of(first) == (0, "")
            assert second.rows_done() == 120
            again.kill()
    assert Build(photos, build.out, "--overwrite").sha256() == expected


def test_tidying_leaves_the_journal_of_an_unfinished_build(photos, tmp_path) -> None:
    todo = plan(photos, tmp_path / "out")
    built(todo)
    todo.output.partial.write_bytes(b"another build's")
    todo.output.journal.write_bytes(b"another build's")
    assert built(todo).already_complete
    assert todo.output.journal.exists()


def test_what_another_run_finished_meanwhile_is_not_built_again(photos, tmp_path) -> None:
    todo = plan(photos, tmp_path / "out")
    built(todo)
    with (
        pytest.raises(LockedError, match="another build has just finished"),
        output.unfinished(todo.target, overwrite=False),
    ):
        pass
    assert not todo.output.partial.exists()
    assert built(todo).already_complete
