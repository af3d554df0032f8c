"""Imports go down only, in no circle, and as ARCHITECTURE.md draws them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import layers

TWO = "```text\n1  a\n0  b\n```\n\n```text\n0  pure\n```"


def test_imports_go_down_only_as_the_architecture_draws_them() -> None:
    text = (layers.ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert layers.faults(layers.read_imports(), text) == []


def test_each_room_has_a_line_that_says_what_happens_in_it() -> None:
    text = (layers.ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    cells = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", text, re.M)
    described = [room for cell in cells for room in re.findall(r"\w+", cell)]
    assert sorted(described) == sorted(layers.rooms_of(layers.read_imports(), "imagenet_subset"))


def test_as_a_script_it_says_what_is_wrong_by_its_exit_code(tmp_path: Path) -> None:
    script = Path(layers.__file__)
    elsewhere = tmp_path / "tests/project" / script.name
    elsewhere.parent.mkdir(parents=True)
    elsewhere.write_text(script.read_text(encoding="utf-8"))
    (tmp_path / "ARCHITECTURE.md").write_text("nothing drawn")
    write(tmp_path, "imagenet_subset/a.py", "")
    write(tmp_path, "pipelines/pure.py", "")
    done = subprocess.run([sys.executable, elsewhere], capture_output=True, text=True)
    assert done.returncode == 1
    assert "doesn't draw imagenet_subset as it is:\n\n0  a\n" in done.stdout


def write(root: Path, path: str, code: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(code)


@pytest.mark.parametrize(
    "code",
    [
        "import imagenet_subset.b",
        "from imagenet_subset.b import name",
        "from imagenet_subset import b",
        "from .b import name",
        "from . import b",
        "def f():\n    from imagenet_subset.b import name",
        "if TYPE_CHECKING:\n    from imagenet_subset.b import name",
        "try:\n    import imagenet_subset.b as other\nexcept ImportError:\n    pass",
    ],
)
def test_an_import_counts_wherever_and_however_it_is_written(tmp_path: Path, code: str) -> None:
    write(tmp_path, "imagenet_subset/__init__.py", "")
    write(tmp_path, "imagenet_subset/a.py", f"import os\n{code}\n")
    write(tmp_path, "imagenet_subset/b.py", "")
    assert layers.read_imports(tmp_path)["imagenet_subset.a"] == {"imagenet_subset.b"}


def test_a_package_of_a_room_is_told_from_its_modules(tmp_path: Path) -> None:
    write(tmp_path, "imagenet_subset/room/__init__.py", "from .inner import name")
    write(tmp_path, "imagenet_subset/room/inner.py", "from ..below import name")
    write(tmp_path, "imagenet_subset/below.py", "")
    write(tmp_path, "imagenet_subset/a.py", "from imagenet_subset.room import name")
    assert layers.read_imports(tmp_path) == {
        "imagenet_subset.room": {"imagenet_subset.room.inner"},
        "imagenet_subset.room.inner": {"imagenet_subset.below"},
        "imagenet_subset.below": set(),
        "imagenet_subset.a": {"imagenet_subset.room"},
    }


def imports(**of_ours: set[str]) -> dict[str, set[str]]:
    """Modules of imagenet_subset and what they import of it; and one of pipelines."""
    named = {
        f"imagenet_subset.{name.replace('__', '.')}": {f"imagenet_subset.{o}" for o in others}
        for name, others in of_ours.items()
    }
    return {**named, "pipelines.pure": set()}


def test_what_is_drawn_as_it_is_has_no_fault() -> None:
    assert layers.faults(imports(a={"b"}, b=set()), TWO) == []


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        (imports(a=set(), b={"a"}), "doesn't draw imagenet_subset"),  # upside down
        (imports(a=set(), b=set()), "doesn't draw imagenet_subset"),  # higher than it has to be
        (imports(a={"b"}, b=set(), c=set()), "doesn't draw imagenet_subset"),  # a room forgotten
        (imports(a=set()), "doesn't draw imagenet_subset"),  # a room that has gone
        (imports(a={"b"}, b={"a"}), "in a circle: imagenet_subset.a imagenet_subset.b"),
        (imports(a={"b.x"}, b__x=set(), b__y={"a"}), "rooms of imagenet_subset import each other"),
        (
            imports(**{f"r{k}": {f"r{k - 1}"} if k else set() for k in range(11)}),
            "imagenet_subset has 11 floors; expected 10 at most",
        ),
        (
            {**imports(a={"b"}, b=set()), "pipelines.pure": {"imagenet_subset.b"}},
            "pipelines.pure imports imagenet_subset.b",
        ),
        (
            {
                **imports(a={"b"}),
                "imagenet_subset.b": {"imagenet_subset"},
                "imagenet_subset": set(),
            },
            "imagenet_subset.b imports the package imagenet_subset",
        ),
    ],
)
def test_what_goes_up_turns_in_a_circle_or_is_not_drawn_is_found(
    changed: dict[str, set[str]], fault: str
) -> None:
    assert fault in "\n".join(layers.faults(changed, TWO))
