"""Each operation on the output made to fail, one by one: nothing false gets a final name."""

from __future__ import annotations

import errno
import hashlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from imagenet_subset.building.journal import opened
from imagenet_subset.building.plan import BuildPlan
from imagenet_subset.errors import ImagenetSubsetError, UndecodableError
from imagenet_subset.ilsvrc.numbering import rank_key
from tests.harness import sabotage
from tests.harness.builds import Build, two_classes
from tests.harness.planned import carried_out, planned
from tests.harness.processes import HARNESS
from tests.harness.tiers import first_quick

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="tells files by /proc/self/fd"
)

EACH = "makes each operation fail, one by one"
FINAL = ("two_cls.npz", "two_cls_metadata.csv")


def names(quick: str) -> list[Any]:
    """All operations that can fail, of which one is quick to try."""
    return first_quick([quick, *(name for name in sabotage.NAMES if name != quick)], EACH)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos") / "ILSVRC"
    return two_classes(root, 4, odd=False)


def plan(photos: Path, out: Path) -> BuildPlan:
    return planned(
        photos / "two.txt", photos, out, device="cpu", pipeline="pillow", splits=["train"]
    )


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 by name of the files that have their final name."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for name in FINAL
        if (path := folder / name).exists()
    }


@pytest.fixture(scope="module")
def expected(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return hashes(built(plan(photos, tmp_path_factory.mktemp("whole"))))


def built(todo: BuildPlan, **options: Any) -> Path:
    """Build in this process, so that hundreds of builds take seconds."""
    with ThreadPoolExecutor(1) as executor:
        carried_out(todo, executor=executor, **options)
    return todo.output.folder


def failing(
    todo: BuildPlan, fault: str, fired: Path, **options: bool
) -> tuple[bool, ImagenetSubsetError | None]:
    """Build with a fault; whether it was reached, and what the build said of it."""
    saboteur = sabotage.Sabotage(fault, str(todo.output.folder), str(fired))
    saboteur.install()
    try:
        built(todo, **options)
    except ImagenetSubsetError as error:
        return fired.exists(), error
    finally:
        saboteur.remove()
    return fired.exists(), None


def every_fault(name: str, code: int) -> Iterator[tuple[int, str]]:
    for n in range(1, 200):
        yield n, f"{name}:{n}:{code}"
    pytest.fail("a small build has fewer operations")


# Calls of which at least so many are known to happen in a build: the test sees them all.
AT_LEAST = {
    **{"pwrite": 10, "pwritev": 1, "fsync": 4, "fdatasync": 1, "fsync folder": 3, "replace": 3},
    **{"open": 4, "builtins.open": 2, "write": 2, "preadv": 14},
}


@pytest.mark.parametrize(
    "code",
    [
        errno.EIO,
        *[
            pytest.param(code, marks=pytest.mark.long)
            for code in (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.ESTALE, errno.EACCES)
        ],
    ],
)
@pytest.mark.parametrize("name", names("pwrite"))
def test_a_build_with_any_one_operation_failing_is_taken_up_again(
    photos, expected, tmp_path, name, code
) -> None:
    for n, fault in every_fault(name, code):
        todo = plan(photos, tmp_path / f"out{n}")
        reached, error = failing(todo, fault, tmp_path / f"fired{n}")
        assert hashes(todo.output.folder).items() <= expected.items()
        if error is None:
            assert hashes(todo.output.folder) == expected
        else:
            assert reached
            assert "\n" not in str(error)
            assert "Errno" not in str(error)
        assert hashes(built(todo)) == expected
        assert sorted(p.name for p in todo.output.folder.iterdir()) == sorted(FINAL)
        if not reached:
            break
    assert n > AT_LEAST.get(name, 0)


@pytest.mark.parametrize("name", names("fsync"))
def test_a_resume_with_any_one_operation_failing_is_taken_up_again(
    photos, expected, tmp_path, name
) -> None:
    for n, fault in every_fault(name, errno.EIO):
        todo = plan(photos, tmp_path / f"out{n}")
        _, error = failing(todo, f"fsync:2:{errno.EIO}", tmp_path / f"first{n}")
        assert error is not None
        reached, error = failing(todo, fault, tmp_path / f"fired{n}")
        assert hashes(todo.output.folder).items() <= expected.items()
        assert hashes(built(todo)) == expected
        if not reached:
            break


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_can_t_sync_a_folder_can_be_built_on(
    photos, expected, tmp_path, code
) -> None:
    todo = plan(photos, tmp_path / "out")
    reached, error = failing(todo, f"fsync folder:0:{code}", tmp_path / "fired")
    assert reached
    assert error is None
    assert hashes(todo.output.folder) == expected


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_folder_that_fails_to_sync_for_another_reason_is_reported(
    photos, expected, tmp_path, n
) -> None:
    todo = plan(photos, tmp_path / "out")
    reached, error = failing(todo, f"fsync folder:{n}:{errno.EIO}", tmp_path / "fired")
    assert reached
    assert "Input/output error" in str(error)
    assert hashes(built(todo)) == expected


@pytest.mark.parametrize("name", names("replace"))
def test_leaving_out_damaged_photos_with_any_one_operation_failing_is_taken_up_again(
    photos, tmp_path, name
) -> None:
    data = two_classes(tmp_path / "ILSVRC", 4, odd=False, damaged=2)
    expected = hashes(built(plan(data, tmp_path / "whole"), skip_undecodable=True))
    for n, fault in every_fault(name, errno.EIO):
        todo = plan(data, tmp_path / f"out{n}")
        reached, _ = failing(todo, fault, tmp_path / f"fired{n}", skip_undecodable=True)
        assert hashes(todo.output.folder).items() <= expected.items()
        if n % 2 and "two_cls.npz" not in hashes(todo.output.folder):
            with pytest.raises(UndecodableError):
                built(todo)
        assert hashes(built(todo, skip_undecodable=True)) == expected
        if not reached:
            break


def test_rows_that_were_moving_up_go_back_and_are_not_decoded_again(photos, tmp_path) -> None:
    data = two_classes(tmp_path / "ILSVRC", 4, odd=False)
    bad = sorted(data.glob("train/*/*.JPEG"), key=lambda path: rank_key(path.stem))[1]
    bad.write_bytes(b"bad")
    expected = hashes(built(plan(data, tmp_path / "whole"), skip_undecodable=True))
    moved = set()
    for n, fault in every_fault("pwrite", errno.EIO):
        todo = plan(data, tmp_path / f"out{n}")
        with pytest.raises(UndecodableError):
            built(todo)
        reached, _ = failing(todo, fault, tmp_path / f"fired{n}", skip_undecodable=True)
        if not reached:
            break
        with opened(todo.output.journal, 8) as journal:
            moved.add(journal.moved)
        with ThreadPoolExecutor(1) as executor:
            result = carried_out(todo, skip_undecodable=True, executor=executor)
        assert (result.kept, result.decoded) == (7, 0)
        assert hashes(todo.output.folder) == expected
    assert moved == {0, *range(2, 8)}, "all rows behind the damaged one"


SITECUSTOMIZE = """
import sys
if {worker} != ("-m imagenet_subset" in " ".join(sys.orig_argv)):
    import sabotage
    sabotage.install_from_environment()
"""
IN_PARENT = [f"{name}:{n}" for name, n in (
    ("flock", 1), ("fallocate", 1), ("builtins.open", 1), ("pwrite", 1), ("pwrite", 4),
    ("fsync", 2), ("fsync folder", 3), ("replace", 2), ("replace", 3), ("unlink", 1),
)]  # fmt: skip
IN_WORKER = ["open:1", "preadv:1", "pwritev:1"]


@pytest.mark.processes
@pytest.mark.parametrize(
    ("worker", "fault"),
    first_quick(
        [*((True, fault) for fault in IN_WORKER), *((False, fault) for fault in IN_PARENT)],
        EACH,
        quick=2,
    ),
)
def test_a_fault_ends_the_command_in_one_line(
    photos, expected, tmp_path, monkeypatch, worker, fault
) -> None:
    (tmp_path / "sitecustomize.py").write_text(SITECUSTOMIZE.format(worker=worker))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{HARNESS}")
    monkeypatch.setenv("FAULT", f"{fault}:{errno.EIO}")
    monkeypatch.setenv("FAULT_FOLDER", str(tmp_path / "out"))
    monkeypatch.setenv("FAULT_FIRED", str(tmp_path / "fired"))
    build = Build(photos, tmp_path / "out", splits="train")
    done = build.run()
    assert (tmp_path / "fired").exists()
    assert done.returncode == 1
    assert done.stderr.startswith("imagenet-subset: can't write")
    assert done.stderr.endswith("run the same command again\n")
    assert done.stderr.count("\n") == 1
    assert build.sha256() == expected["two_cls.npz"]
