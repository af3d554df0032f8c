"""Which module imports which: down only, in no circle, and as ARCHITECTURE.md draws it.

``python tests/project/layers.py`` prints what is wrong, a line each, and ends with 1; it prints the
drawing too where ARCHITECTURE.md has another one. Nothing of the program is imported for it.

The rooms of ``imagenet_subset`` are its packages and modules, with ``pipelines`` as one more; the
rooms of ``pipelines`` are its own. An import counts wherever it is: in a function, and under
``TYPE_CHECKING``. What is loaded by a name in a string doesn't: that is how `cli.usage` finds the
commands, of which it knows nothing else.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("imagenet_subset", "pipelines")
MOST_FLOORS = 10

Imports = Mapping[str, set[str]]
"""What each module, or room, imports of the others."""


def read_imports(root: Path = ROOT) -> dict[str, set[str]]:
    """What each module of the two packages imports of them."""
    files = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    paths = {_name(path.relative_to(root)): path for path in files}
    return {
        module: set(_imported(module, path, paths)) - {module} for module, path in paths.items()
    }


def _name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def _imported(module: str, path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
            yield from (name if name in modules else base for name in names if base in modules)


def rooms_of(imports: Imports, package: str) -> dict[str, set[str]]:
    """Imports between the rooms of a package; another package is one room, if it is imported."""
    rooms: dict[str, set[str]] = {}
    for module, imported in imports.items():
        if module.split(".")[0] == package:
            room = _room(module, package)
            rooms.setdefault(room, set()).update({_room(i, package) for i in imported} - {room})
    for others in set().union(*rooms.values()) - rooms.keys():
        rooms[others] = set()
    return rooms


def _room(module: str, package: str) -> str:
    first, *below = module.split(".")
    if first != package:
        return first
    return below[0] if below else "__init__"


def circles(imports: Imports) -> list[list[str]]:
    """Groups that import each other, each by name: Tarjan's strongly connected components."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        numbers[name] = lowest[name] = len(numbers)
        path.append(name)
        for other in sorted(imports[name]):
            if other not in numbers:
                visit(other)
            if other in path:
                lowest[name] = min(lowest[name], lowest[other])
        if lowest[name] == numbers[name]:
            at = path.index(name)
            found.append(sorted(path[at:]))
            del path[at:]

    for name in sorted(imports):
        if name not in numbers:
            visit(name)
    return [group for group in found if len(group) > 1]


def floors(imports: Imports) -> list[list[str]]:
    """Rooms by floor, from the ground up: each on the lowest floor above all that it imports."""
    level: dict[str, int] = {}

    def of(room: str) -> int:
        if room not in level:
            level[room] = 1 + max((of(other) for other in imports[room]), default=-1)
        return level[room]

    drawn: list[list[str]] = [[] for _ in range(1 + max(map(of, imports), default=-1))]
    for room in sorted(imports):
        drawn[of(room)].append(room)
    return drawn


def draw(drawn: list[list[str]]) -> str:
    """The floors as text, the highest first."""
    lines = [f"{floor}  {'  '.join(rooms)}" for floor, rooms in enumerate(drawn)]
    return "\n".join(reversed(lines))


def drawings(text: str) -> list[str]:
    """The drawings in a document: its text blocks whose every line begins with a floor."""
    blocks = re.findall(r"```text\n(.*?)\n```", text, re.S)
    return [b for b in blocks if all(re.match(r"[0-9]+  ", line) for line in b.splitlines())]


def faults(imports: Imports, architecture: str) -> list[str]:
    """What is wrong, a line each; nothing where all is well."""
    found = [f"modules import each other in a circle: {' '.join(c)}" for c in circles(imports)]
    for module in sorted(imports):
        if "imagenet_subset" in imports[module]:
            found.append(f"{module} imports the package imagenet_subset, not a module of it")
        of_ours = [other for other in imports[module] if other.startswith("imagenet_subset")]
        if module.startswith("pipelines") and of_ours:
            found.append(f"{module} imports {min(of_ours)}; pipelines knows nothing of ImageNet")
    for package in PACKAGES:
        found += _faults_of_rooms(package, rooms_of(imports, package), drawings(architecture))
    return found


def _faults_of_rooms(package: str, rooms: Imports, shown: list[str]) -> list[str]:
    if turning := circles(rooms):
        return [f"rooms of {package} import each other: {' '.join(c)}" for c in turning]
    drawn = floors(rooms)
    found = []
    if len(drawn) > MOST_FLOORS:
        found.append(f"{package} has {len(drawn)} floors; expected {MOST_FLOORS} at most")
    if draw(drawn) not in shown:
        found.append(f"ARCHITECTURE.md doesn't draw {package} as it is:\n\n{draw(drawn)}\n")
    return found


if __name__ == "__main__":
    wrong = faults(read_imports(), (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    print("\n".join(wrong) or "imports go down only, as ARCHITECTURE.md draws them")
    sys.exit(bool(wrong))
