"""What all tests share: the tiers, a small ILSVRC tree, and the program as its user runs it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree

with contextlib.suppress(ModuleNotFoundError):  # the tests for GPUs need none
    from hypothesis import HealthCheck, settings

    # No test may depend on the machine's speed.
    settings.register_profile("any", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any")

# A shell's background job ignores Ctrl-C, and so would every build that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Cli = Callable[..., subprocess.CompletedProcess[str]]

# The tiers

TIERS = {"thorough": "--all", "long": "--long"}
"""Option that selects the tests with a marker; without it they are deselected."""

SKIPS_THAT_CI_MAY_HAVE = {
    "no GPU": r"CuPy not installed|there is no (CUDA )?GPU",
    "no root, or no rights of root's": r"mounts file systems|drops root's rights|^mount |bindfs "
    r"-o|no control group can be made|no cgroup with a CPU quota can be made",
    "the kernel": r"this kernel can't simulate a failing disk",
    "what is too large for the test extra": r"the datasets library isn't installed",
    "another Python": r"argparse lays out help otherwise from 3\.13 on",
}
"""Patterns of the reasons for which a test may be skipped under ``--ci``."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tiers")
    group.addoption("--all", action="store_true", help="also run the thorough tests, as CI does")
    group.addoption("--long", action="store_true", help="also run the long tests, for people")
    group.addoption(
        "--ci", action="store_true", help="fail if a test is skipped for a reason not foreseen"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("thorough"):
            if not mark.args:
                raise pytest.UsageError(f"{item.nodeid}: thorough(reason) lacks its reason")
    kept: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        needs = [tier for tier in TIERS if item.get_closest_marker(tier)]
        missing = [tier for tier in needs if not config.getoption(TIERS[tier])]
        (others if missing else kept).append(item)
    if others:
        items[:] = kept
        config.hook.pytest_deselected(items=others)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for tier, option in TIERS.items():
        if not config.getoption(option):
            terminalreporter.write_line(f"{tier} tests were left out; {option} runs them too")
    for reason in unforeseen_skips(terminalreporter, config):
        terminalreporter.write_line(f"CI must not skip this: {reason}", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if unforeseen_skips(reporter, session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def unforeseen_skips(terminalreporter: Any, config: pytest.Config) -> list[str]:
    """Under ``--ci``, the skips that have no reason of `SKIPS_THAT_CI_MAY_HAVE`."""
    if not config.getoption("--ci"):
        return []
    told = {str(report.longrepr[2]) for report in terminalreporter.stats.get("skipped", [])}
    reasons = {reason.removeprefix("Skipped: ") for reason in told}
    foreseen = re.compile("|".join(SKIPS_THAT_CI_MAY_HAVE.values()))
    return sorted(reason for reason in reasons if not foreseen.search(reason))


# Fixtures


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
        **options: Any,
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
