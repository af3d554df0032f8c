"""Each page is short, is found, and is true: its commands and snippets run as they are shown."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import tomllib
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from imagenet_subset.cli.usage import parse
from tests.harness.pages import (
    DATA,
    ON_THE_DEMO,
    README,
    ROOT,
    Block,
    blocks,
    headings,
    invocations,
    pages,
    run,
    text_of,
    without_speed,
)
from tests.harness.tiers import thorough

PAGES = pages()
BLOCKS = [block for page in PAGES for block in blocks(page)]


@dataclass(frozen=True, slots=True)
class NotHere:
    """Commands or snippets that can't run in this test."""

    page: str
    pattern: str
    """Is found in each of these commands, or in the snippet."""
    why: str


CLUSTERS, GPU, SOURCES = "docs/clusters.md", "docs/gpu.md", "docs/sources.md"
NOT_HERE = (
    NotHere(README, r"^pip install", "installs; .ci/run runs this very line"),
    NotHere(README, r"^uvx|^pipx|^uv run", "installs; test_readme.py runs it in a fresh clone"),
    NotHere(README, r"--data_dir \.\./ILSVRC", "needs ImageNet's photos of 30 classes"),
    NotHere(README, r"gpu", "needs a GPU"),
    NotHere(CLUSTERS, r"", "test_clusters_page.py runs them where their engines are"),
    NotHere(GPU, r"^(?!docker)", "needs a GPU"),
    NotHere(GPU, r"^docker", "needs Docker"),
    NotHere(SOURCES, r"", "test_sources_page.py runs them on each form of ImageNet"),
    NotHere("docs/subsets.md", r"~/imagenet", "needs ImageNet's photos"),
    NotHere("docs/faq.md", r"~/imagenet", "needs ImageNet's photos"),
)
"""Each is needed, as a test below says."""
BEFORE = {
    ("docs/reading.md", "Models of all 1,000 classes"): """import torch
model = lambda images: torch.eye(1000)[988].repeat(len(images), 1)
prepare = lambda images, train: images
""",
}
"""What the snippets below a heading leave to their reader. This model sees an acorn in each photo,
of which the demo's val has 50."""
AFTER = {
    (README, "Using it"): "assert images.shape[1:] == (3, 224, 224) and images.max() <= 1",
    ("docs/reading.md", "Models of all 1,000 classes"): "assert right == 50",
    ("docs/subsets.md", "Labels and names"): "assert len(val.classes) == len(subset.classes) == 5",
}
"""What must be true when they have run."""
NEEDS = ("torch", "jax", "tensorflow")
"""Packages that snippets import and the program doesn't need."""


def not_here(block: Block, what: str) -> list[NotHere]:
    return [n for n in NOT_HERE if n.page == block.page and re.search(n.pattern, what)]


def runs(block: Block) -> list[str]:
    """Commands or snippet of a block, without what can't run here."""
    if block.language in DATA:
        return []
    whole = [block.text] if block.language == "python" else block.commands
    return [what for what in whole if not not_here(block, what)]


SHELL = [b for b in BLOCKS if b.language in ("sh", "console")]
CONSOLE = [b for b in BLOCKS if b.language == "console" and runs(b)]
SNIPPETS = {
    f"{page} {heading}": [b.text for b in some]
    for (page, heading), some in groupby(
        (b for b in BLOCKS if b.language == "python" and runs(b)), lambda b: (b.page, b.heading)
    )
}


@pytest.mark.parametrize("page", [p for p in PAGES if p != "docs/api.md"])
def test_a_page_is_short_enough_to_be_read(page: str) -> None:
    assert len(text_of(page).splitlines()) < 200


def test_the_readme_leads_to_each_page() -> None:
    lead = text_of(README) + text_of("docs/README.md")
    missing = [p for p in PAGES if f"({p})" not in lead and f"({p[5:]})" not in lead]
    assert set(missing) <= {README, "docs/README.md"}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page: str) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text_of(page)):
        file, _, anchor = link.partition("#")
        there = (ROOT / page).parent / file if file else ROOT / page
        assert there.exists(), link
        if anchor:
            assert anchor in headings(os.path.relpath(there, ROOT)), link


def test_each_block_says_what_it_is() -> None:
    unknown = [str(b) for b in BLOCKS if b.language not in DATA | {"sh", "console", "python"}]
    assert unknown == []


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_the_program_takes_each_command(block: Block) -> None:
    for command in block.commands:
        for arguments in invocations(command):
            assert parse(arguments).run


def test_the_extras_that_are_named_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {
        extra
        for page in PAGES
        for names in re.findall(r'"?\.\[([\w,-]+)\]"?', text_of(page))
        for extra in names.split(",")
    }
    assert named
    assert named <= project["optional-dependencies"].keys()


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "python"], ids=str)
def test_what_a_snippet_imports_of_the_program_is_there(block: Block) -> None:
    compile(block.text, str(block), "exec")
    for line in re.findall(
        r"^ *(from imagenet_subset.*|import imagenet_subset.*)$", block.text, re.M
    ):
        exec(line, {})


@pytest.mark.parametrize("entry", NOT_HERE, ids=lambda n: f"{n.page} {n.pattern}")
def test_what_is_not_run_is_there_and_has_one_reason(entry: NotHere) -> None:
    found = [
        (what, not_here(b, what))
        for b in BLOCKS
        if b.page == entry.page and b.language not in DATA
        for what in ([b.text] if b.language == "python" else b.commands)
    ]
    assert [what for what, why in found if why == [entry]], "no longer needed"


@pytest.mark.parametrize("page", sorted({b.page for b in BLOCKS if "demo/" in b.text}))
def test_a_page_that_uses_the_demo_says_how_to_make_it(page: str) -> None:
    assert "imagenet-subset demo" in text_of(page)


def test_what_is_added_to_snippets_is_added_to_some() -> None:
    assert {f"{page} {heading}" for page, heading in [*BEFORE, *AFTER]} <= SNIPPETS.keys()
    code = "\n".join(block.text for block in BLOCKS if block.language == "python")
    assert all(real in code for real in ON_THE_DEMO)


# What they show runs


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    run(["imagenet-subset", "demo"], folder)
    return folder


@pytest.fixture
def folder(demo: Path, tmp_path: Path) -> Path:
    """As a reader's who has run the demo, and nothing else."""
    if sys.platform == "win32":
        pytest.skip("the pages are for a POSIX shell")
    shutil.copytree(demo, tmp_path, dirs_exist_ok=True)
    return tmp_path


@thorough("runs what the pages show")
@pytest.mark.parametrize("page", sorted({b.page for b in SHELL if b.language == "sh" and runs(b)}))
def test_the_commands_of_a_page_run_one_after_the_other(folder: Path, page: str) -> None:
    commands = [c for b in SHELL if b.page == page and b.language == "sh" for c in runs(b)]
    run(["bash", "-ec", "\n".join(commands)], folder)


@thorough("runs what the pages show")
@pytest.mark.parametrize("block", CONSOLE, ids=str)
def test_a_command_prints_what_is_shown_below_it(folder: Path, block: Block) -> None:
    for command, shown in block.output:
        if command not in runs(block):
            continue
        shutil.rmtree(folder / "out_files", ignore_errors=True)
        printed = run(["bash", "-ec", command], folder)
        assert without_speed(printed) == without_speed(shown)


@thorough("runs what the pages show")
@pytest.mark.parametrize("name", SNIPPETS)
def test_the_snippets_below_a_heading_run_as_one_program(folder: Path, name: str) -> None:
    page, _, heading = name.partition(" ")
    code = "\n".join(
        [BEFORE.get((page, heading), ""), *SNIPPETS[name], AFTER.get((page, heading), "")]
    )
    for real, here in ON_THE_DEMO.items():
        code = code.replace(real, here)
    for package in NEEDS:
        if re.search(rf"^ *(import|from) {package}\b", code, re.M) and not importlib.util.find_spec(
            package
        ):
            pytest.skip(f"{package} isn't installed")
    above = [b for b in SHELL if (b.page, b.heading) == (page, heading)]
    run(["bash", "-ec", "\n".join(c for b in above for c in runs(b))], folder)
    (folder / "snippet.py").write_text(code)
    printed = run(["python", "-Wignore", "snippet.py"], folder)
    assert printed == "".join(f"{line}\n" for line in re.findall(r"print\(.*\)  # (.*)", code))
