"""docs/subsets.md: its commands run, and its table is that of the lists that ship."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_subset.cli.usage import parse
from imagenet_subset.ilsvrc.named_subsets import NamedSubset, named_subsets
from tests.harness.tiers import thorough

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/subsets.md").read_text()
LINES = [
    line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S) for line in block.splitlines()
]
COMMANDS = [line for line in LINES if line.startswith("imagenet-subset ")]
OPTIONS = (
    "--out_name", "--per_class", "--fraction", "--seed", "--photo_list", "--resize", "--crop",
    "--interpolation",
)  # fmt: skip


def row(subset: NamedSubset) -> str:
    """Row of a list in the page's table."""
    labels, wnids = len(subset.lines), len(subset.wnids)
    number = f"{labels:,}" if labels == wnids else f"{labels} of {wnids}"
    cite = "; ".join(subset.citations)
    return f"| `{subset.name}` | {number} | {subset.called} | {subset.whose} | {cite} |"


def test_it_is_short_and_the_readme_leads_to_it() -> None:
    assert len(PAGE.splitlines()) < 200
    assert "(docs/subsets.md)" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("subset", named_subsets().values(), ids=lambda subset: subset.name)
def test_its_table_has_each_list_as_it_is(subset: NamedSubset) -> None:
    assert row(subset) in PAGE


def test_its_table_has_no_other_lists() -> None:
    table = PAGE.partition("| name | labels |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \| ", table, re.M) == list(named_subsets())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_program_takes_its_commands(command: str) -> None:
    assert parse(shlex.split(command)[1:]).run


@pytest.mark.parametrize("option", OPTIONS)
def test_it_shows_each_option_at_work(option: str) -> None:
    assert any(option in shlex.split(command) for command in COMMANDS)


def test_its_links_lead_to_its_headings() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.M)
    anchors = {heading.lower().replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(#(.*?)\)", PAGE)
    assert links
    assert set(links) <= anchors


@thorough("runs what the page shows")
def test_what_it_shows_runs(tmp_path: Path) -> None:
    program = f"{shlex.quote(sys.executable)} -m imagenet_subset"
    here = [line for line in LINES if "~/imagenet" not in line]
    assert len(here) > 12
    script = "\n".join(["imagenet-subset demo", *here])
    text = re.sub("^imagenet-subset", program, script, flags=re.M)
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(["sh", "-ec", text], cwd=tmp_path, env=env, check=True, capture_output=True)
    (python,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    subprocess.run([sys.executable, "-Wignore", "-c", python], cwd=tmp_path, env=env, check=True)
    made = {path.name for path in (tmp_path / "out_files").glob("*.npz")}
    assert made == {
        "demo5_cls.npz", "two_cls.npz", "groups_cls.npz", "ten_cls.npz", "tenth_cls.npz",
        "listed_cls.npz", "demo5_cls_64.npz",
    }  # fmt: skip
