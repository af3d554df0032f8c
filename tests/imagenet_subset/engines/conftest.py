"""The photos that the tests of engines share, and what becomes of them without an engine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.builds import Build, two_classes
from tests.harness.engines import Cluster


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """900 photos of two classes, in fifteen shards; not to be written to."""
    return two_classes(tmp_path_factory.mktemp("photos") / "ILSVRC", 400)


@pytest.fixture(scope="session")
def expected(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """SHA-256 of what every build of `photos` must make."""
    return Build(photos, tmp_path_factory.mktemp("whole")).sha256()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers that nobody disturbs."""
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster.with_workers(2)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def assert_told_once(stderr: str) -> None:
    """Of a build of `photos` on two workers, one of which may be late: one process speaks."""
    pipeline, photos_there, start, *states, end = stderr.splitlines()
    assert all(line.startswith("two: ") for line in states)  # on a slow machine
    assert pipeline == "cpu (pillow): as asked"
    assert photos_there == "train_cls.txt has 800 of ILSVRC's 2,600 train photos of these classes"
    assert start.startswith("two: builds 900 images of 2 classes into ")
    assert start.endswith(("; cpu (pillow), 2 workers", "; cpu (pillow), 1 worker"))
    assert end.startswith("two: 900 of 900 images (100%) in ")
