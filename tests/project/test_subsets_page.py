"""docs/subsets.md: its table is that of the lists that ship, and it shows each option."""

from __future__ import annotations

import re
import shlex

import pytest

from imagenet_subset.ilsvrc.named_subsets import NamedSubset, named_subsets
from tests.harness.pages import blocks, text_of

PAGE = text_of("docs/subsets.md")
COMMANDS = [command for block in blocks("docs/subsets.md") for command in block.commands]
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


@pytest.mark.parametrize("subset", named_subsets().values(), ids=lambda subset: subset.name)
def test_its_table_has_each_list_as_it_is(subset: NamedSubset) -> None:
    assert row(subset) in PAGE


def test_its_table_has_no_other_lists() -> None:
    table = PAGE.partition("| name | labels |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)` \| ", table, re.M) == list(named_subsets())


@pytest.mark.parametrize("option", OPTIONS)
def test_it_shows_each_option_at_work(option: str) -> None:
    assert any(option in shlex.split(command) for command in COMMANDS)
