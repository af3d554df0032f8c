"""The kernel that is kept on disk helps, and never stands in the way: turbo starts in any case."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("llvmlite", reason="the turbo extra isn't installed")
pytest.importorskip("simplejpeg", reason="the turbo extra isn't installed")

import pipelines
from pipelines.packages import TURBO_INSTALL
from tests.harness.tiers import first_quick

CODE = (
    "import logging, sys; logging.basicConfig(format='%(message)s')\n"
    "from pipelines.choice import resolve\n"
    "from pipelines.request import PipelineRequest\n"
    "pipeline = resolve(PipelineRequest('cpu', {pipeline!r}), 1).open()\n"
    "print(type(pipeline).__name__)\n"
    "print('compiled' if 'pipelines.turbo.kernel_code' in sys.modules else 'found')"
)
FOLDER = "IMAGENET_SUBSET_CACHE_DIR"


def start(*, pipeline: str = "auto", before: str = "", **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", before + CODE.format(pipeline=pipeline)],
        env={**os.environ, "PYTHONWARNINGS": "error", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def opened(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Whether the kernel was compiled or found, and the line on stderr, if there is one."""
    out, err = process.communicate()
    assert process.returncode == 0, err
    name, how = out.split()
    assert name == "TurboPipeline"
    assert err.count("\n") <= 1, err
    return how, err.strip()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a sound kernel; not to be written to."""
    folder = tmp_path_factory.mktemp("cache")
    assert opened(start(**{FOLDER: str(folder)})) == ("compiled", "")
    return folder


@pytest.fixture
def cache(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "cache"))


def kept(cache: Path) -> Path:
    (file,) = cache.iterdir()
    return file


def test_a_kernel_that_is_kept_is_found_and_nothing_that_makes_it_is_imported(made: Path) -> None:
    assert opened(start(**{FOLDER: str(made)})) == ("found", "")


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "zeroed in part": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "zeroed": lambda data: bytes(len(data)),
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "longer": lambda data: data + b"\0",
    "another hash": lambda data: bytes(32) + data[32:],
}


@pytest.mark.parametrize("damage", first_quick(DAMAGES, "starts Python again and again"))
def test_a_damaged_kernel_is_made_anew(cache: Path, damage: str) -> None:
    whole = kept(cache).read_bytes()
    kept(cache).write_bytes(DAMAGES[damage](whole))
    assert opened(start(**{FOLDER: str(cache)})) == ("compiled", "")
    assert kept(cache).read_bytes() == whole
    assert opened(start(**{FOLDER: str(cache)})) == ("found", "")


def test_a_kernel_of_another_llvm_is_not_loaded_under_the_name_of_this_one(cache: Path) -> None:
    name = kept(cache).name
    kept(cache).unlink()
    other = "import llvmlite; llvmlite.__version__ = 'another'\n"
    assert opened(start(before=other, **{FOLDER: str(cache)})) == ("compiled", "")
    assert kept(cache).name != name
    kept(cache).rename(cache / name)
    assert opened(start(**{FOLDER: str(cache)})) == ("compiled", "")


def test_all_that_the_kernel_is_made_of_is_in_the_name_of_its_file() -> None:
    from pipelines.turbo.kernel import SOURCES

    (code,) = (path for path in SOURCES if path.name == "kernel_code.py")
    imports = re.findall(r"^from (pipelines\S*)", code.read_text(), re.MULTILINE)
    assert {f"{name.rpartition('.')[2]}.py" for name in imports} < {path.name for path in SOURCES}


def test_processes_that_find_the_same_damage_at_once_all_start(cache: Path) -> None:
    kept(cache).write_bytes(bytes(kept(cache).stat().st_size))
    for process in [start(**{FOLDER: str(cache)}) for _ in range(3)]:
        assert opened(process)[1] == ""
    assert opened(start(**{FOLDER: str(cache)})) == ("found", "")
    kept(cache)  # no other file is left


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
@pytest.mark.parametrize("nbytes", [0, 1000])
def test_a_full_disk_keeps_nothing_from_starting(tmp_path: Path, nbytes: int) -> None:
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({nbytes}, {nbytes}))\n"
    how, told = opened(start(before=limit, **{FOLDER: str(tmp_path)}))
    assert how == "compiled"
    assert told.startswith(f"each run compiles turbo's kernel: {tmp_path} can't be written (")
    assert told.endswith(f"; set {FOLDER} to a folder that can be written to")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a named pipe is a file on POSIX only")
def test_a_pipe_in_the_kernels_place_is_not_waited_for(cache: Path) -> None:
    whole, path = kept(cache).read_bytes(), kept(cache)
    path.unlink()
    os.mkfifo(path)
    assert opened(start(**{FOLDER: str(cache)})) == ("compiled", "")
    assert path.read_bytes() == whole


@pytest.mark.skipif(sys.platform == "win32", reason="files have owners on POSIX only")
def test_a_kernel_of_another_user_is_not_loaded_but_replaced(cache: Path) -> None:
    """It is made to look so: only root can give a file away."""
    another = "import os; (uid := os.getuid()); os.getuid = lambda: uid + 1\n"
    if os.getuid() == 0:
        os.chown(kept(cache), 4711, -1)
        another = ""
    inode = kept(cache).stat().st_ino
    how, _ = opened(start(before=another, **{FOLDER: str(cache)}))
    assert how == "compiled"
    assert kept(cache).stat().st_ino != inode


@pytest.mark.skipif(sys.platform == "win32", reason="files have owners on POSIX only")
def test_a_kernel_of_root_is_loaded_by_every_user(made: Path) -> None:
    """Or of this user, where the tests aren't root's."""
    other = "import os; os.getuid = lambda: 4711\n" if os.getuid() == 0 else ""
    assert opened(start(before=other, **{FOLDER: str(made)})) == ("found", "")


def test_a_folder_may_be_named_from_the_home_on(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    assert opened(start(**home, **{FOLDER: str(Path("~", "kernels"))})) == ("compiled", "")
    assert kept(tmp_path / "kernels").suffix == ".kernel"


def copied(tmp_path: Path) -> Path:
    """Copy of the package, so that what is kept beside it is seen."""
    package = tmp_path / "pipelines"
    shutil.copytree(Path(pipelines.__file__).parent, package, ignore=_no_caches)
    return package


def _no_caches(_folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name == "__pycache__"]


def test_the_kernel_is_kept_beside_the_source(tmp_path: Path) -> None:
    package = copied(tmp_path)
    env = {FOLDER: "", "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    assert opened(start(**env)) == ("compiled", "")
    assert kept(package / "turbo" / "__pycache__").suffix == ".kernel"
    assert opened(start(**env)) == ("found", "")


def test_else_the_kernel_is_kept_in_the_users_cache(tmp_path: Path) -> None:
    package = copied(tmp_path)
    (package / "turbo" / "__pycache__").write_text("a file, so that no folder can be made here")
    home = tmp_path / "home"
    names = ("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA")
    env = {FOLDER: "", "PYTHONPATH": str(tmp_path), **dict.fromkeys(names, str(home))}
    assert opened(start(**env)) == ("compiled", "")
    assert len(list(home.rglob("imagenet-subset/*.kernel"))) == 1
    assert opened(start(**env)) == ("found", "")


@pytest.mark.skipif(sys.platform != "linux", reason="/proc takes no folders")
def test_without_a_folder_to_keep_it_in_each_run_compiles(tmp_path: Path) -> None:
    """As for a uid without a home, where root has installed the package."""
    (copied(tmp_path) / "turbo" / "__pycache__").write_text("a file")
    env = {"HOME": "/proc", "XDG_CACHE_HOME": "/proc", "PYTHONPATH": str(tmp_path), FOLDER: ""}
    how, told = opened(start(**env))
    assert how == "compiled"
    assert told.startswith(
        "each run compiles turbo's kernel: /proc/imagenet-subset can't be written"
    )
    assert told.endswith(f"; set {FOLDER} to a folder that can be written to")


NO_TARGET = (
    "import llvmlite.binding as llvm\n"
    "def refuse(): raise RuntimeError('this machine is not known')\n"
    "llvm.Target.from_default_triple = refuse\n"
)
NO_MACHINE = "the turbo pipeline: this machine is not known; --pipeline pillow works without"


def test_where_llvm_refuses_the_machine_pillow_decodes() -> None:
    out, err = start(before=NO_TARGET).communicate()
    assert out.startswith("PillowPipeline\n"), err
    assert err == f"{NO_MACHINE}; Pillow decodes instead: the same pixels, but slower\n"


def test_where_llvm_refuses_the_machine_turbo_is_refused_if_asked_for() -> None:
    _, err = start(pipeline="turbo", before=NO_TARGET).communicate()
    assert err.splitlines()[-1] == f"pipelines.base.PipelineUnavailableError: {NO_MACHINE}"


WRONG = {
    "the kernel": (
        "import pipelines.turbo.lanes as lanes\n"
        "arranged = lanes.arranged\n"
        "lanes.arranged = lambda weights: arranged(weights // 2)\n",
        "the machine code that LLVM makes gives other pixels than Pillow here",
    ),
    "a step from group to group": (
        "import pipelines.turbo.kernel_code as code\ncode._GROUP_NBYTES -= 3\n",
        "the machine code that LLVM makes gives other pixels than Pillow here",
    ),
    "the decoder": (
        "import simplejpeg, functools\n"
        "simplejpeg.decode_jpeg = functools.partial(simplejpeg.decode_jpeg, fastdct=True)\n",
        "decodes 4:4:4 otherwise than Pillow here",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_gives_other_pixels_than_pillow_is_not_used(what: str, tmp_path: Path) -> None:
    before, line = WRONG[what]
    out, err = start(before=before, **{FOLDER: str(tmp_path)}).communicate()
    assert out.startswith("PillowPipeline\n"), err
    assert line in err


@pytest.mark.parametrize("package", ["simplejpeg", "llvmlite"])
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
    assert out.startswith("PillowPipeline\n"), err
    assert err == (
        "the turbo pipeline: it was made for another one; --pipeline pillow works without; "
        "Pillow decodes instead: the same pixels, but slower\n"
    )


def distribution(folder: Path, name: str, version: str) -> None:
    """What pip writes of an installed package."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_a_package_that_is_too_old_is_told_with_what_is_needed(tmp_path: Path) -> None:
    distribution(tmp_path, "llvmlite", "0.43.0")
    before = (  # as in that version
        "from llvmlite import ir; load = ir.IRBuilder.load\n"
        "ir.IRBuilder.load = lambda self, ptr, name='', align=None: load(self, ptr, name, align)\n"
    )
    env = {"PYTHONPATH": str(tmp_path), FOLDER: str(tmp_path / "cache")}
    _, err = start(before=before, **env).communicate()
    assert err == (
        "the turbo pipeline: llvmlite 0.43.0 is installed, and it needs 0.44 or later; "
        f"{TURBO_INSTALL}; Pillow decodes instead: the same pixels, but slower\n"
    )


@pytest.mark.parametrize("version", ["0.46.0", ""])
def test_a_package_of_which_a_part_is_missing_is_installed_anew(
    tmp_path: Path, version: str
) -> None:
    (tmp_path / "llvmlite").mkdir()
    (tmp_path / "llvmlite" / "__init__.py").touch()
    distribution(tmp_path, "llvmlite", version or "0.46.0")
    before = (
        ""
        if version
        else (
            "from importlib import metadata; found = metadata.version\n"
            "def version(name):\n"
            "    if name == 'llvmlite': raise metadata.PackageNotFoundError(name)\n"
            "    return found(name)\n"
            "metadata.version = version\n"
        )
    )
    _, err = start(before=before, PYTHONPATH=str(tmp_path)).communicate()
    missing = "No module named 'llvmlite.binding'"
    told = f"llvmlite {version} is installed in part: {missing}" if version else missing
    remedy = TURBO_INSTALL
    if version:
        remedy = remedy.replace("pip install", "pip install --force-reinstall")
    assert err == (
        f"the turbo pipeline: {told}; {remedy}; "
        "Pillow decodes instead: the same pixels, but slower\n"
    )
