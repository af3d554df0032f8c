"""The lists of classes that ship: whose they are, what they are called, where they come from."""

from __future__ import annotations

import difflib
import functools
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from imagenet_subset.ilsvrc.classes import AUX_FILES

_MOST = 3
"""Names that are proposed when none is the one that was meant but for its spelling."""


@dataclass(frozen=True, slots=True)
class NamedSubset:
    """What is known of a list."""

    name: str
    """Its file's, without ``.txt``."""
    called: str
    """What papers call it."""
    whose: str
    order: str
    """What decides which class has which label."""
    citations: tuple[str, ...]
    source: str | None
    """Repository and path that it was taken from; None if that isn't known."""
    licence: str | None
    """Licence of the source, where it states one."""
    note: str | None
    """What to know before use."""
    aliases: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Its file."""
        return AUX_FILES / f"{self.name}.txt"

    @property
    def lines(self) -> list[str]:
        """Lines of its file; each is a label."""
        return self.path.read_text(encoding="ascii").splitlines()

    @property
    def wnids(self) -> list[str]:
        """WordNet IDs in the order of the file."""
        return [w for line in self.lines for w in line.rpartition(":")[2].split()]

    def to_dict(self) -> dict[str, Any]:
        """What is known of it as JSON takes it, ``labels`` being their number."""
        return {
            "name": self.name,
            "called": self.called,
            "whose": self.whose,
            "labels": len(self.lines),
            "WNIDs": self.wnids,
            "order": self.order,
            "citations": list(self.citations),
            "source": self.source,
            "licence": self.licence,
            "note": self.note,
            "aliases": list(self.aliases),
        }


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A list that shares its name with one that ships, and doesn't ship itself."""

    called: str
    whose: str
    citation: str
    source: str
    reason: str
    """Why it doesn't ship."""


@functools.cache
def named_subsets() -> Mapping[str, NamedSubset]:
    """All lists that ship, by name.

    Examples
    --------
    >>> named_subsets()["imagenet100"].called, len(named_subsets()["imagenet9"].wnids)
    ('ImageNet-100', 370)
    """
    return MappingProxyType({subset.name: subset for subset in _read()})


@functools.cache
def elsewhere() -> tuple[Elsewhere, ...]:
    """Lists that don't ship, though they share a name with one that does."""
    tables = _tables()
    return tuple(
        Elsewhere(citation=tables["papers"][facts.pop("paper")], **facts)
        for facts in map(dict, tables["elsewhere"])
    )


def shared_names() -> list[str]:
    """What more than one list is called, most lists first.

    Examples
    --------
    >>> shared_names()
    ['ImageNet-100', 'ImageNet-10', 'miniImageNet']
    """
    called = [each.called for each in _all()]
    shared = [name for name in dict.fromkeys(called) if called.count(name) > 1]
    return sorted(shared, key=called.count, reverse=True)


def of_name(called: str) -> list[NamedSubset | Elsewhere]:
    """Lists that are called so, those that ship first.

    Examples
    --------
    >>> [each.whose for each in of_name("miniImageNet")]
    ['Ravi and Larochelle', 'Vinyals et al.']
    """
    return [each for each in _all() if each.called == called]


def _all() -> tuple[NamedSubset | Elsewhere, ...]:
    return (*named_subsets().values(), *elsewhere())


def resolve(name: str) -> str | None:
    """Name of the list that has this name or alias, to the letter; None if none has.

    "ImageNet-100" is nobody's: which of its lists is meant must be said.

    Examples
    --------
    >>> resolve("living17"), resolve("ImageNet-100")
    ('breeds_living17', None)
    """
    return _by_alias().get(name)


def near(name: str) -> list[str]:
    """Names of the lists that were probably meant by a name that no list has.

    Examples
    --------
    >>> near("tiny-imagenet"), near("woof")
    (['tinyimagenet200'], ['imagewoof'])
    >>> near("ImageNet-10")
    ['imagenet10', 'mcm_imagenet10']
    """
    key = _key(name)
    spelled = [(_key(alias), own) for alias, own in _by_alias().items()]
    called = [(_key(each.called), each.name) for each in named_subsets().values()]
    same = [own for known, own in (*spelled, *called) if known == key]
    if same:
        return list(dict.fromkeys(same))
    shortest = sorted(spelled, key=lambda pair: len(pair[0]))
    parts = [own for known, own in shortest if len(key) > 2 and key in known]
    close = difflib.get_close_matches(key, dict(spelled), n=_MOST)
    found = parts or [dict(spelled)[known] for known in close]
    return list(dict.fromkeys(found))[:_MOST]


def _key(name: str) -> str:
    """Name in the form in which spellings are compared."""
    return re.sub(r"[-_\s]", "", name.lower())


@functools.cache
def _by_alias() -> Mapping[str, str]:
    """Names by name and by alias."""
    own = {name: name for name in named_subsets()}
    return own | {alias: s.name for s in named_subsets().values() for alias in s.aliases}


@functools.cache
def _tables() -> dict[str, Any]:
    with open(AUX_FILES / "subsets.toml", "rb") as file:
        return tomllib.load(file)


def _read() -> Iterator[NamedSubset]:
    """Lists in the order of the file, each before its parts."""
    for name, facts in _tables()["lists"].items():
        yield _subset(name, facts)
        for part, order in facts.get("parts", {}).items():
            aliases = [f"{alias}_{part}" for alias in facts.get("aliases", ())]
            called = f"{facts['called']} {part}"
            changed = {"called": called, "order": order, "aliases": aliases}
            yield _subset(f"{name}_{part}", facts | changed)


def _subset(name: str, facts: Mapping[str, Any]) -> NamedSubset:
    papers = [facts["paper"], *facts.get("also", ())]
    return NamedSubset(
        name,
        facts["called"],
        facts["whose"],
        facts["order"],
        tuple(_tables()["papers"][paper] for paper in papers),
        facts.get("source"),
        facts.get("licence"),
        facts.get("note"),
        tuple(facts.get("aliases", ())),
    )
