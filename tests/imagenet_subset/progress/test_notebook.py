"""Progress in a real notebook, with widgets and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.harness.tiers import thorough

CODE = """
import threading, warnings
warnings.simplefilter("error")
before = threading.active_count()
from imagenet_subset import build, verify
made = build({subset!r}, {data!r}, {out!r}, device="cpu", pipeline="pillow", progress=True)
assert verify(made.npz, {data!r}, progress=True).ok
assert threading.active_count() == before, threading.enumerate()
"""


def outputs(tmp_path: Path, code: str, before: str) -> list[Any]:
    """What a notebook shows below a cell that runs this code."""
    why = "nbclient, ipykernel and ipywidgets aren't installed"
    for package in ("ipykernel", "ipywidgets"):
        pytest.importorskip(package, reason=why)
    nbformat = pytest.importorskip("nbformat", reason=why)
    nbclient = pytest.importorskip("nbclient", reason=why)
    cells = [nbformat.v4.new_code_cell(text) for text in (before, code)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    found: list[Any] = notebook.cells[-1].outputs
    return found


@thorough("starts notebooks")
@pytest.mark.filterwarnings("ignore")  # of the libraries that run the notebook
@pytest.mark.parametrize("widgets", [True, False])
def test_a_notebook_has_bars_and_no_warning_with_widgets_and_without(
    tree: Path, subset_file: Path, tmp_path: Path, widgets: bool
) -> None:
    code = CODE.format(subset=str(subset_file), data=str(tree), out=str(tmp_path / "out"))
    before = "" if widgets else "import sys; sys.modules['ipywidgets'] = None"
    shown = outputs(tmp_path, code, before)
    drawn = [output["data"]["text/plain"] for output in shown if "data" in output]
    written = "".join(output.get("text", "") for output in shown)
    assert [text.partition(":")[0] for text in drawn] == (
        ["five", "checksums", "pixels"] if widgets else []
    )
    assert ("five: 100%" in written) != widgets
    assert "Warning" not in written
