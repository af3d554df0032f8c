"""numba's cache helps, and never stands in the way: whatever is wrong with it, turbo starts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("numba", reason="the turbo extra isn't installed")
pytest.importorskip("simplejpeg", reason="the turbo extra isn't installed")

import pipelines
from tests.harness.tiers import first_quick, thorough

CODE = (
    "import logging; logging.basicConfig(format='%(message)s')\n"
    "from pipelines.choice import resolve\n"
    "from pipelines.request import PipelineRequest\n"
    "pipeline = resolve(PipelineRequest('cpu', {pipeline!r}), 1).open()\n"
    "print(type(pipeline).__name__)"
)
COMPILED = "compiled the turbo pipeline in "


def start(*, pipeline: str = "auto", before: str = "", **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", before + CODE.format(pipeline=pipeline)],
        env={**os.environ, "PYTHONWARNINGS": "error", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def opened(process: subprocess.Popen[str]) -> str:
    """What the process says on stderr, in at most a line, while it opens turbo."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert out == "TurboPipeline\n"
    assert err.count("\n") <= 1, err
    return err.strip()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound cache; not to be written to."""
    folder = tmp_path_factory.mktemp("cache")
    assert opened(start(NUMBA_CACHE_DIR=str(folder))).endswith(
        "later runs find it in numba's cache"
    )
    assert opened(start(NUMBA_CACHE_DIR=str(folder))) == ""
    return folder


@pytest.fixture
def cache(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "cache"))


def files(cache: Path, suffix: str) -> list[Path]:
    found = list(cache.glob(f"*/*{suffix}"))
    assert found
    return found


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "zeroed": lambda data: bytes(len(data)),
    "zeroed in part": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
}


COMPILES = "compiles numba's kernels again and again"


@pytest.mark.parametrize("suffix", first_quick([".nbi", ".nbc"], COMPILES))
@pytest.mark.parametrize("damage", first_quick(DAMAGES, COMPILES))
def test_a_damaged_cache_is_made_anew(cache: Path, suffix: str, damage: str) -> None:
    for path in files(cache, suffix):
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    told = opened(start(NUMBA_CACHE_DIR=str(cache)))
    assert told.startswith(COMPILED)
    assert told.endswith("later runs find it in numba's cache")
    assert opened(start(NUMBA_CACHE_DIR=str(cache))) == ""


@thorough("compiles anew")
@pytest.mark.parametrize("suffix", first_quick([".nbc", ".sha256"], COMPILES))
def test_a_cache_that_has_lost_a_file_is_made_anew(cache: Path, suffix: str) -> None:
    for path in files(cache, suffix):
        path.unlink()
    assert opened(start(NUMBA_CACHE_DIR=str(cache))).startswith(COMPILED)
    assert opened(start(NUMBA_CACHE_DIR=str(cache))) == ""


@thorough(COMPILES)
def test_processes_that_find_the_same_damage_at_once_all_start(cache: Path) -> None:
    for path in files(cache, ".nb[ci]"):
        path.write_bytes(bytes(path.stat().st_size))
    for process in [start(NUMBA_CACHE_DIR=str(cache)) for _ in range(3)]:
        opened(process)
    told = opened(start(NUMBA_CACHE_DIR=str(cache)))
    assert not told or told.endswith("later runs find it in numba's cache")


@thorough(COMPILES)
@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
@pytest.mark.parametrize("nbytes", [0, 50_000], ids=["not even the index", "the index fits"])
def test_a_full_disk_keeps_nothing_from_starting(tmp_path: Path, nbytes: int) -> None:
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({nbytes}, {nbytes}))\n"
    for _ in range(2):
        told = opened(start(before=limit, NUMBA_CACHE_DIR=str(tmp_path)))
        assert told.startswith(COMPILED)
        assert "each run will, as numba's cache can't be written (" in told
    assert opened(start(NUMBA_CACHE_DIR=str(tmp_path))).startswith(COMPILED)


@thorough("compiles anew")
@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no folders")
def test_without_a_folder_for_the_cache_each_run_compiles(tmp_path: Path) -> None:
    """As for a uid without a home, where root has installed the package."""
    package = tmp_path / "pipelines"
    shutil.copytree(Path(pipelines.__file__).parent, package, ignore=_no_caches)
    (package / "turbo" / "__pycache__").write_text("a file, so that no folder can be made here")
    env = {"HOME": "/proc", "XDG_CACHE_HOME": "/proc", "PYTHONPATH": str(tmp_path)}
    told = opened(start(NUMBA_CACHE_DIR="", **env))
    assert told.startswith(COMPILED)
    assert told.endswith(
        "each run will, as numba finds no folder for its cache; "
        "set NUMBA_CACHE_DIR to a folder that can be written to"
    )


def _no_caches(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__"]


def test_where_numba_may_not_compile_pillow_decodes() -> None:
    process = start(NUMBA_DISABLE_JIT="1")
    out, err = process.communicate()
    assert out == "PillowPipeline\n"
    assert err == (
        "the turbo pipeline: NUMBA_DISABLE_JIT is set, and numba compiles nothing; "
        "--pipeline pillow works without; Pillow decodes instead: the same pixels, but slower\n"
    )


def test_where_numba_may_not_compile_turbo_is_refused_if_asked_for() -> None:
    process = start(pipeline="turbo", NUMBA_DISABLE_JIT="1")
    _, err = process.communicate()
    assert err.splitlines()[-1] == (
        "pipelines.base.PipelineUnavailableError: the turbo pipeline: "
        "NUMBA_DISABLE_JIT is set, and numba compiles nothing; --pipeline pillow works without"
    )


@pytest.mark.parametrize("package", ["simplejpeg", "numba"])
@pytest.mark.parametrize("error", ["ImportError", "OSError", "ValueError"])
def test_a_package_that_cannot_be_imported_is_told_with_its_own_words(
    tmp_path: Path, package: str, error: str
) -> None:
    (tmp_path / f"{package}.py").write_text(f"raise {error}('it was made for another one')")
    process = start(
        before="import pipelines.turbo.imports, pipelines.turbo.kernel_imports\n",
        PYTHONPATH=str(tmp_path),
    )
    out, err = process.communicate()
    assert out == "PillowPipeline\n", err
    assert err == (
        "the turbo pipeline: it was made for another one; --pipeline pillow works without; "
        "Pillow decodes instead: the same pixels, but slower\n"
    )
