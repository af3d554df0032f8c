"""``imagenet-subset subsets``: the lists of classes that ship, and whose they are."""

from __future__ import annotations

import argparse
import textwrap
from typing import TYPE_CHECKING

from imagenet_subset.cli.printing import add_json, print_json
from imagenet_subset.errors import SubsetError
from imagenet_subset.system.text import printable

if TYPE_CHECKING:
    from imagenet_subset.ilsvrc.named_subsets import Elsewhere, NamedSubset

HELP = "list the subset files that ship: classes, whose they are, what to cite"

_WIDTH = 100
_NUMBERS = {2: "Two", 3: "Three", 4: "Four", 5: "Five", 6: "Six", 7: "Seven", 8: "Eight"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``subsets``."""
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="one of them: all that is known of it"
    )
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--wnids_only",
        action="store_true",
        help="print the list of NAME itself: lines to redirect into a subset file",
    )
    add_json(how, "print it, or all of them, as JSON")


def check(args: argparse.Namespace) -> str:
    """Say which arguments don't go together; empty if all do."""
    if args.name is None and args.wnids_only:
        return "--wnids_only: say which list, as in imagenet-subset subsets imagenette"
    return ""


def run(args: argparse.Namespace) -> int:
    """Print the table, what is known of a list, or the list."""
    if args.json:
        _print_json(args.name)
    elif args.name is None:
        _print_table()
    elif args.wnids_only:
        print("\n".join(_find(args.name).lines))
    else:
        _print_facts(_find(args.name))
    return 0


def _print_json(name: str | None) -> None:
    from imagenet_subset.ilsvrc.named_subsets import named_subsets

    print_json(list(named_subsets().values()) if name is None else _find(name))


def _find(name: str) -> NamedSubset:
    from imagenet_subset.ilsvrc.named_subsets import named_subsets, near, resolve

    found = resolve(name)
    if found is None:
        nearest = near(name)
        hint = f"did you mean {', '.join(nearest)}? " if nearest else ""
        raise SubsetError(
            f"no list named '{printable(name[:60])}' comes with the program; {hint}"
            "`imagenet-subset subsets` lists them"
        )
    return named_subsets()[found]


def _print_table() -> None:
    from imagenet_subset.ilsvrc.named_subsets import named_subsets, of_name, shared_names

    subsets = named_subsets().values()
    shared = shared_names()
    width = max(len(s.name) for s in subsets)
    print(f"{'name':{width}}  {'labels':>6}  {'WNIDs':>5}  whose (*: others share its name)")
    for s in subsets:
        star = "*" if s.called in shared else " "
        print(f"{s.name:{width}}  {len(s.lines):6}  {len(s.wnids):5} {star}{s.whose}")
    for called in shared:
        sets = of_name(called)
        which = "; ".join(map(_which, sets))
        text = f'{_NUMBERS[len(sets)]} different sets go by "{called}": {which}.'
        print("\n" + textwrap.fill(text, _WIDTH, break_on_hyphens=False))


def _which(each: NamedSubset | Elsewhere) -> str:
    """Name and whose it is, for people who meet its namesake."""
    from imagenet_subset.ilsvrc.named_subsets import Elsewhere

    if isinstance(each, Elsewhere):
        return f"that of {each.whose}, which doesn't ship ({each.reason})"
    return f"{each.name} ({each.whose.partition(';')[0]})"


def _print_facts(subset: NamedSubset) -> None:
    from imagenet_subset.ilsvrc.named_subsets import of_name

    others = [each for each in of_name(subset.called) if each != subset]
    number, wnids = len(subset.lines), len(subset.wnids)
    labels = (
        f"{number}, a WNID each" if number == wnids else f"{number} superclasses of {wnids} WNIDs"
    )
    licence = f"; licence there: {subset.licence}" if subset.licence else ""
    print(subset.name)
    _print_fact("called", subset.called)
    _print_fact("whose", subset.whose)
    _print_fact("labels", labels)
    _print_fact("order", subset.order)
    _print_fact("source", f"{subset.source}{licence}" if subset.source else "")
    for citation in subset.citations:
        _print_fact("cite", citation)
    for each in others:
        _print_fact("not", f"{_which(each)}, also called {subset.called}")
    _print_fact("also as", ", ".join(subset.aliases))
    _print_fact("note", subset.note or "")
    print(f"  {'build':8}imagenet-subset --subset_name {subset.name} --data_dir DIR")


def _print_fact(what: str, text: str) -> None:
    if text:
        lines = textwrap.wrap(text, _WIDTH - 10, break_on_hyphens=False, break_long_words=False)
        print(f"  {what:8}" + f"\n{'':10}".join(lines))
