"""The tree that most tests of a build's course share, and what becomes of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.harness.builds import Build, two_classes


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """200 photos of two classes, in more than two shards; not to be written to.

    Two workers note the first of them long before they have begun the last.
    """
    return two_classes(tmp_path_factory.mktemp("photos") / "ILSVRC", 50)


@pytest.fixture(scope="session")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """A build of `photos` that nothing disturbed."""
    build = Build(photos, tmp_path_factory.mktemp("whole"))
    build.sha256()
    return build


@pytest.fixture(scope="session")
def expected(whole: Build) -> str:
    """SHA-256 of what every build of `photos` must make."""
    return hashlib.sha256(whole.npz.read_bytes()).hexdigest()
