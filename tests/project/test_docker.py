"""The Dockerfile, as far as it can be tried without Docker: files, packages, a read-only root."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from imagenet_subset.reading.subset import open_subset
from tests.harness.tiers import thorough

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PAGE = (ROOT / "docs/gpu.md").read_text()
ONLY_READS = "+dac_read_search"
"""The user of a test may be unable to read Python's own files, where they are root's."""
READ_ONLY = """
mount --make-rprivate /
mount -t tmpfs -o "$2,mode=1777" tmpfs "$1/tmp"
mount --bind "$1/out" "$1/out"
mount -o remount,bind,ro /
cd "$1/out"
shift 2
exec "$@"
"""
"""Runs a command below a folder with ``out`` and ``tmp`` in it, the latter ``rw`` or ``ro``."""


def instructions(name: str) -> list[str]:
    return re.findall(rf"^{name} +(.*)$", DOCKERFILE, re.M)


def copied() -> dict[str, str]:
    """What the image has of the clone: path in the clone, and below the image's root."""
    found: dict[str, str] = {}
    for words in map(str.split, instructions("COPY")):
        *sources, target = words
        found |= {name: f"{target}{name}" if target.endswith("/") else target for name in sources}
    return found


def packages(folder: Path) -> list[str]:
    """What the image installs before the program, as its own lines of Python find it there."""
    (code,) = re.findall(r"python3 -c '(.*?)'", DOCKERFILE)
    done = subprocess.run(
        [sys.executable, "-Xutf8", "-c", code.replace("/src", str(folder))],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def settings() -> dict[str, str]:
    (line,) = instructions("ENV")
    return dict(word.split("=", 1) for word in shlex.split(line))


def test_its_files_are_those_that_dockerignore_lets_through() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == set(copied())
    assert all((ROOT / name).exists() for name in copied())


def test_its_version_is_the_program_s() -> None:
    assert f'image.version="{PROJECT["version"]}"' in DOCKERFILE
    assert f'image.licenses="{PROJECT["license"]}"' in DOCKERFILE


def test_it_runs_the_program_as_somebody_who_is_not_root() -> None:
    (program,), (user,) = instructions("ENTRYPOINT"), instructions("USER")
    assert json.loads(program)[0] in PROJECT["scripts"]
    assert int(user.partition(":")[0]) > 0


def test_the_page_s_commands_give_it_the_user_photos_and_a_place_for_results() -> None:
    commands = re.findall(r"^docker run (.*?[^\\])$", PAGE, re.M | re.S)
    assert len(commands) == 2
    for command in commands:
        words = shlex.split(command)
        assert {"--rm", "--read-only", "--user"} <= set(words)
        assert words[words.index("--tmpfs") + 1] == settings()["HOME"]
        assert any(word.endswith(":/out") for word in words)
        assert "imagenet-subset" in words


def test_its_packages_are_those_of_the_extras_that_it_says() -> None:
    # MPI has to be the cluster's; the rest are another CUDA's, or for who works on the program.
    left_out = {"gpu-cuda13", "mpi", "test", "docs", "bench", "dev"}
    extras = PROJECT["optional-dependencies"]
    assert set(packages(ROOT)) == {
        "hatchling",
        *PROJECT["dependencies"],
        *(package for extra in extras.keys() - left_out for package in extras[extra]),
    }
    for extra in extras.keys() - left_out:
        assert f"`{extra}`" in PAGE


def test_a_change_of_the_source_installs_no_package_anew() -> None:
    layers = re.findall(r"^(COPY|RUN) +(.*)$", DOCKERFILE, re.M)
    (first,) = [n for n, (_, text) in enumerate(layers) if "--requirement" in text]
    copied_before = [text for name, text in layers[:first] if name == "COPY"]
    assert copied_before == ["pyproject.toml /src/"]
    (program,) = [text for _, text in layers[first + 1 :] if "pip install" in text]
    assert {"--no-deps", "--no-build-isolation", "/src"} <= set(program.split())


@thorough("builds a wheel")
def test_the_files_that_it_copies_make_a_wheel(tmp_path: Path) -> None:
    for name, target in copied().items():
        place = tmp_path / target.strip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, place)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", tmp_path, tmp_path / "src"], check=True)
    assert list(tmp_path.glob("imagenet_subset-*.whl"))


@thorough("asks the package registry for all that the image installs")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the image is Linux's")
def test_all_that_it_installs_can_be_had() -> None:
    pip = [sys.executable, "-m", "pip", "install", "-q", "--ignore-installed", "--dry-run"]
    done = subprocess.run(
        [*pip, "--report", "-", *packages(ROOT)], cwd=ROOT, capture_output=True, text=True
    )
    if "No matching distribution found" in done.stderr:
        pytest.skip("there is no package registry here")
    assert done.returncode == 0, done.stderr
    names = {entry["metadata"]["name"] for entry in json.loads(done.stdout)["install"]}
    assert {"nvidia-dali-cuda120", "cupy-cuda12x", "llvmlite", "simplejpeg", "pyarrow"} <= names


@thorough("mounts file systems")
@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="mounts file systems"
)
@pytest.mark.parametrize("tmp", ["rw", "ro"])
def test_a_build_writes_nowhere_but_into_out_and_tmp_if_there_is_one(tmp_path, tmp) -> None:
    # As by docker run --read-only, for a user without rights and without a name.
    (tmp_path / "out").mkdir()
    (tmp_path / "tmp").mkdir()
    os.chown(tmp_path / "out", 12_345, 12_345)
    (tmp_path / "enter").write_text(READ_ONLY)
    environment = {k: v.replace("/tmp", f"{tmp_path}/tmp") for k, v in settings().items()}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["unshare", "-m", "sh", "-eu", tmp_path / "enter", tmp_path, tmp,
         "setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups",
         f"--inh-caps={ONLY_READS}", f"--ambient-caps={ONLY_READS}",
         f"--bounding-set=-all,{ONLY_READS}",
         "sh", "-c", "! touch /tmp/here 2>/dev/null && exec imagenet-subset demo"],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    made = open_subset(tmp_path / "out/demo/out_files/demo5_cls.npz")
    assert made.X_train.shape == (100, 224, 224, 3)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["demo"]
