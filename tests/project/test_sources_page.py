"""docs/sources.md: its commands are the program's, and its links lead somewhere."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

from imagenet_subset.cli.usage import parse

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/sources.md").read_text()


def lines_of_shell() -> list[str]:
    return [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.S)
            for line in block.splitlines()]  # fmt: skip


def test_it_is_short_and_the_readme_leads_to_it() -> None:
    assert len(PAGE.splitlines()) < 150
    assert "(docs/sources.md)" in (ROOT / "README.md").read_text()


def test_the_program_takes_its_commands() -> None:
    commands = [line for line in lines_of_shell() if line.startswith("imagenet-subset ")]
    assert len(commands) == 7
    for command in commands:
        asked = parse(shlex.split(command)[1:])
        assert asked.subset_name == "imagenet30"
        assert asked.data_dir


def test_the_extra_that_it_names_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (line,) = (line for line in lines_of_shell() if line.startswith("pip install"))
    assert re.findall(r"\[(.*)\]", line)[0] in project["optional-dependencies"]


def test_its_links_lead_to_its_headings() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.M)
    anchors = {re.sub(r"[^a-z ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(#(.*?)\)", PAGE)
    assert links
    assert set(links) <= anchors
