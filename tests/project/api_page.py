"""``docs/api.md``, made of the docstrings.

::

    $ python tests/project/api_page.py      # writes it anew
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/api.md"
COMMAND = "python tests/project/api_page.py"
_WIDTH = 100
_SECTION = re.compile(r"^(\w+)\n-+\n", re.M)


def page() -> str:
    """The whole page."""
    import imagenet_subset
    from imagenet_subset import errors
    from imagenet_subset.reading.dataset import SplitDataset
    from pipelines.base import PipelineUnavailableError

    public = {name: getattr(imagenet_subset, name) for name in imagenet_subset.__all__}
    functions = {name: f for name, f in public.items() if inspect.isfunction(f)}
    classes = {
        name: c for name, c in public.items() if inspect.isclass(c) and not issubclass(c, Exception)
    }
    parts = [
        f"# The API\n\nIt is made of the docstrings; after a change of one run `{COMMAND}`.",
        f"`imagenet_subset.__version__` is the version of the program. {_lead(functions, classes)}",
        *(part for name, f in functions.items() for part in _function(name, f, "##")),
        *(part for name, c in classes.items() for part in _class(name, c)),
        *_class("SplitDataset", SplitDataset),
        f"## ImagenetSubsetError\n\n{_paragraphs(inspect.getdoc(errors) or '')}",
        f"## {PipelineUnavailableError.__name__}\n\nIn `{PipelineUnavailableError.__module__}`. "
        + _paragraphs(inspect.getdoc(PipelineUnavailableError) or ""),
    ]
    return "\n\n".join(parts) + "\n"


def _lead(functions: dict[str, Any], classes: dict[str, Any]) -> str:
    links = [f"[`{name}`](#{name.lower()})" for name in [*functions, *classes, "SplitDataset"]]
    return f"{', '.join(links)}, and what is raised: [`ImagenetSubsetError`](#imagenetsubseterror)."


def _function(name: str, function: Callable[..., Any], level: str) -> Iterator[str]:
    yield f"{level} {name}"
    yield f"```text\n{_signature(name, function)}\n```"
    yield from _described(inspect.getdoc(function) or "")


def _class(name: str, cls: type) -> Iterator[str]:
    yield f"## {name}"
    if cls.__module__.startswith("imagenet_subset.reading.dataset"):
        yield "What `ImagenetSubset.dataset` returns."
    yield from _described(inspect.getdoc(cls) or "")
    fields = list(_fields(cls))
    properties = [_property(n, v) for n, v in vars(cls).items() if _is_value(n, v)]
    yield "**Attributes**" if fields else "**Properties**"
    yield "\n".join([*fields, *properties])
    for member, value in vars(cls).items():
        function = value.__func__ if isinstance(value, classmethod) else value
        if inspect.isfunction(function) and not member.startswith("_"):
            yield from _function(f"{name}.{member}", getattr(cls, member), "###")


def _is_value(name: str, value: object) -> bool:
    return not name.startswith("_") and isinstance(value, property) | hasattr(value, "attrname")


def _property(name: str, value: Any) -> str:
    getter = value.fget if isinstance(value, property) else value.func
    return _attribute(name, getter.__annotations__["return"], inspect.getdoc(getter) or "")


def _attribute(name: str, kind: str, doc: str) -> str:
    return f"- `{name}`: `{kind}`. {_inline(doc)}".rstrip()


def _fields(cls: type) -> Iterator[str]:
    """Fields of a dataclass, with the docstrings below them."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(tree, ast.ClassDef)
    body = [*tree.body, ast.Pass()]
    for node, below in pairwise(body):
        if isinstance(node, ast.AnnAssign):
            said = ""
            if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                said = inspect.cleandoc(str(below.value.value))
            yield _attribute(ast.unparse(node.target), ast.unparse(node.annotation), said)


def _signature(name: str, function: Callable[..., Any]) -> str:
    signature = inspect.signature(function)
    shown = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    words = [_parameter(p) for p in shown]
    first_keyword = next((k for k, p in enumerate(shown) if p.kind is p.KEYWORD_ONLY), None)
    if first_keyword is not None:
        words.insert(first_keyword, "*")
    returns = signature.return_annotation
    end = "" if returns is signature.empty else f" -> {returns}"
    line = f"{name}({', '.join(words)}){end}"
    if len(line) <= _WIDTH:
        return line
    return "\n".join([f"{name}(", *(f"    {word}," for word in words), f"){end}"])


def _parameter(parameter: inspect.Parameter) -> str:
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {parameter.annotation}{default}"


def _described(doc: str) -> Iterator[str]:
    """A docstring as Markdown: text, then each section of numpydoc."""
    text, *sections = _SECTION.split(doc)
    yield _paragraphs(text)
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        yield f"**{title}**"
        if title == "Examples":
            yield from _examples(body)
        else:
            yield "\n".join(f"- {_entry(title, entry)}" for entry in _entries(body))


def _entries(body: str) -> Iterator[str]:
    """Entries of a section: a line, and the indented ones below it."""
    yield from re.split(r"\n+(?=\S)", body.strip())


def _entry(title: str, entry: str) -> str:
    head, _, below = entry.partition("\n")
    names, _, kind = head.partition(" : ")
    shown = ", ".join(f"`{name}`" for name in names.split(", "))
    kind = f" `{kind}`." if kind else ""
    text = _inline(inspect.cleandoc(below)) if below.strip() else ""
    if title == "Raises":
        shown = shown.replace("imagenet_subset.errors.", "")
    return f"{shown}:{kind} {text}".strip().removesuffix(":")


def _examples(body: str) -> Iterator[str]:
    for part in re.split(r"\n\n+", body.strip()):
        yield f"```pycon\n{part}\n```" if part.startswith(">>>") else _inline(part)


def _paragraphs(text: str) -> str:
    """Text with each paragraph on one line; what is indented after ``::`` is shown as it is."""
    shown = []
    for part in re.split(r"\n\n+", text.strip()):
        if part.startswith("    "):
            shown.append(f"```text\n{textwrap.dedent(part)}\n```")
        elif part.strip() != "::":
            shown.append(_inline(part))
    return "\n\n".join(shown)


def _inline(doc: str) -> str:
    """A short docstring on one line, what it raises at its end."""
    text, *sections = _SECTION.split(doc)
    line = " ".join(text.split())
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        if title == "Raises":
            line += "".join(f" Raises {_entry(title, entry)}" for entry in _entries(body))
    return re.sub(r"``(.+?)``", r"`\1`", line)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    PAGE.write_text(page(), encoding="utf-8")
