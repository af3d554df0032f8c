"""The README begins with the commands that CI begins with; test_pages.py runs the others."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_it_has_a_command_for_the_demo_and_one_for_the_tests_and_ci_runs_them() -> None:
    ci = (ROOT / ".ci/run").read_text()
    for command in ('pip install -e ".[test]" && imagenet-subset demo', "pytest"):
        assert f"```sh\n{command}\n```" in README
        assert f"\n{command}" in ci
