"""A notebook as Jupyter runs it: its cells, and what it shows below them."""

from __future__ import annotations

from typing import Any

import pytest

from imagenet_subset.demo.tree import DEMO_WNIDS, write_demo_tree
from tests.harness.pages import ROOT
from tests.harness.tiers import thorough

CELLS = {
    "import": f"import os, sys; os.chdir(FOLDER); sys.path.insert(0, {str(ROOT)!r})\n"
    "from imagenet_subset import build, open_subset, verify",
    "build": "made = build(WNIDS, 'ILSVRC', 'out', out_name='two', device='cpu')\nmade",
    "subset": "subset = open_subset(made.npz)\nsubset",
    "iterate": "[(image.shape, label) for image, label in subset.dataset('train')][-1]",
    "dataset": "subset.dataset('val')",
    "verify": "verify(made.npz, 'ILSVRC').ok",
    "replaced": "made.csv.write_text('another file'); open_subset(made.npz)",
}
"""Code of each cell, by a name for the tests."""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What is shown below each cell, by its name and by MIME type; warnings as ``stderr``."""
    nbformat = pytest.importorskip("nbformat", reason="nbclient and ipykernel aren't installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient and ipykernel aren't installed")
    pytest.importorskip("ipykernel", reason="nbclient and ipykernel aren't installed")
    folder = tmp_path_factory.mktemp("notebook")
    write_demo_tree(folder / "ILSVRC", wnids=DEMO_WNIDS[:2], train_per_class=5)
    names = {"FOLDER": str(folder), "WNIDS": ",".join(DEMO_WNIDS[:2])}
    first = "\n".join(f"{name} = {value!r}" for name, value in names.items())
    code = [first, *CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text) for text in code])
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    return {name: below(cell) for name, cell in zip(CELLS, notebook.cells[1:], strict=True)}


def below(cell: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for output in cell.outputs:
        if output.output_type == "stream":
            found[output.name] = found.get(output.name, "") + output.text
        else:
            found |= output.data
    return found


@thorough("starts Jupyter's kernel")
def test_a_subset_is_shown_with_its_facts_and_images(shown: dict[str, dict[str, str]]) -> None:
    html = shown["subset"]["text/html"]
    assert "10 train and 100 val" in html
    assert html.count("data:image/jpeg") == 2
    assert shown["subset"]["text/plain"].startswith("<ImagenetSubset two: 10 train and 100 val")


@thorough("starts Jupyter's kernel")
def test_a_build_and_a_dataset_say_what_they_are(shown: dict[str, dict[str, str]]) -> None:
    assert shown["build"]["text/plain"].startswith("<BuildResult out/two_cls.npz: 10 train")
    assert shown["dataset"]["text/plain"].splitlines()[0] == "Dataset ImagenetSubset"
    assert shown["iterate"] == {"text/plain": "((224, 224, 3), 0)"}
    assert shown["verify"] == {"text/plain": "True"}


@thorough("starts Jupyter's kernel")
def test_what_cannot_be_shown_is_shown_as_plain_text(shown: dict[str, dict[str, str]]) -> None:
    assert shown["replaced"].keys() == {"text/plain"}
    assert shown["replaced"]["text/plain"].startswith("<ImagenetSubset two: 10 train")


@thorough("starts Jupyter's kernel")
def test_nothing_is_said_besides(shown: dict[str, dict[str, str]]) -> None:
    assert {name: cell.get("stderr") for name, cell in shown.items()} == dict.fromkeys(CELLS)
