"""What no rearrangement of the code may change; see ``tests/golden/make_fixed_points.py``."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tests.golden.make_fixed_points as fixed

HASHES = json.loads(fixed.HASHES.read_text())


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return fixed.write_tree(tmp_path_factory.mktemp("fixed") / "ILSVRC")


def build(tree: tuple[Path, Path], out: Path, pipeline: str) -> tuple[str, str]:
    """SHA-256 of what a build makes, and what it prints."""
    done = subprocess.run(
        fixed.command(*tree, out, pipeline), capture_output=True, text=True, check=True
    )
    return fixed.without_versions((out / "two_cls.npz").read_bytes()), done.stdout


@pytest.mark.parametrize("pipeline", fixed.PIPELINES)
def test_a_build_gives_the_bytes_of_the_first_version(
    tree: tuple[Path, Path], tmp_path: Path, pipeline: str
) -> None:
    if pipeline == "turbo":
        pytest.importorskip("simplejpeg")
    assert build(tree, tmp_path, pipeline)[0] == HASHES[pipeline]


def test_a_build_that_an_earlier_version_began_is_resumed(
    tree: tuple[Path, Path], tmp_path: Path
) -> None:
    from pipelines.pillow import versions

    with zipfile.ZipFile(fixed.BEGUN) as archive:
        (tmp_path / "two_cls.npz.partial").write_bytes(archive.read("two_cls.npz.partial"))
        journal = fixed.journal_for(archive.read("two_cls.npz.journal.json"), versions())
    (tmp_path / "two_cls.npz.journal").write_bytes(journal)
    sha256, stdout = build(tree, tmp_path, "pillow")
    assert "15 were done already" in stdout
    assert sha256 == HASHES["pillow"]


@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="argparse lays out help otherwise from 3.13 on"
)
def test_the_help_texts_are_these() -> None:
    assert fixed.help_texts() == fixed.HELP.read_text()
