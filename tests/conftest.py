"""What all tests share: a small ILSVRC tree, and the program as its user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, settings

from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree

# A machine that is slow, or busy with other things, is no reason to fail.
settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any")

ROOT = Path(__file__).parents[1]
# No test may depend on the machine's speed.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")
Cli = Callable[..., subprocess.CompletedProcess[str]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the long tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--long"):
        skip = pytest.mark.skip(reason="long; run with --long")
        for item in items:
            if "long" in item.keywords:
                item.add_marker(skip)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``Data/CLS-LOC`` of the demo tree; not to be written to."""
    return write_demo_tree(tmp_path_factory.mktemp("ilsvrc") / "ILSVRC")


@pytest.fixture(scope="session")
def subset_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Subset file of five of the demo tree's classes, in an order of its own."""
    path = tmp_path_factory.mktemp("subset") / "five.txt"
    path.write_text("\n".join(DEMO_WNIDS[::2]) + "\n")
    return path


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run ``imagenet-subset`` in an empty folder; its exit code, stdout and stderr."""

    def run(
        *arguments: object,
        under: Sequence[str] = (),
        env: Mapping[str, str] = MappingProxyType({}),
        **options: object,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*under, sys.executable, "-m", "imagenet_subset", *map(str, arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONWARNINGS": "error", **env},
            capture_output=True,
            text=True,
            timeout=120,
            **options,
        )

    return run
