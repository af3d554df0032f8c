"""The choice of train photos in a provenance: the field ``choice``, which is only there if one was.

Examples
--------
>>> fields = {"per_class": 10, "seed": 3}
>>> all(right for _, right in choice_types(fields)), str(read_choice(fields)[0])
(True, '10 of each class, seed 3')
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from imagenet_subset.selection.choice import Listed, Names, PerClass, Recorded, Share

_WAYS = ("per_class", "fraction", "photo_list")


def choice_fields(choice: Recorded, chosen_from: Names | None) -> dict[str, Any]:
    """The field ``choice`` of a provenance."""
    return {**choice.fields, **({"from": chosen_from.fields} if chosen_from else {})}


def read_choice(fields: Mapping[str, Any]) -> tuple[Recorded, Names | None]:
    """The choice, and the names that it was made from if they aren't ILSVRC's whole classes.

    Parameters
    ----------
    fields
        For which `choice_types` finds no fault.
    """
    found = fields.get("from")
    chosen_from = None if found is None else Names(found["photos"], found["sha256"])
    if "per_class" in fields:
        return PerClass(fields["per_class"], fields["seed"]), chosen_from
    if "fraction" in fields:
        return Share(fields["fraction"], fields["seed"]), chosen_from
    listed = fields["photo_list"]
    return Listed(listed["name"], Names(listed["photos"], listed["sha256"])), chosen_from


def choice_types(fields: Any) -> Iterator[tuple[str, bool]]:
    """Each field of a choice, and whether it has its type, the outer ones before the inner."""
    yield "choice", isinstance(fields, dict) and sum(way in fields for way in _WAYS) == 1
    if "photo_list" in fields:
        yield from _names_types("choice.photo_list", fields["photo_list"])
        yield "choice.photo_list", isinstance(fields["photo_list"].get("name"), str)
    else:
        seed, count, share = (fields.get(k) for k in ("seed", "per_class", "fraction"))
        yield "choice.seed", type(seed) is int and seed >= 0
        if "per_class" in fields:
            yield "choice.per_class", type(count) is int and count >= 1
        else:
            yield "choice.fraction", type(share) is float and 0 < share <= 1
    if "from" in fields:
        yield from _names_types("choice.from", fields["from"])


def _names_types(where: str, fields: Any) -> Iterator[tuple[str, bool]]:
    yield where, isinstance(fields, dict)
    yield where, type(fields.get("photos")) is int and fields["photos"] >= 0
    yield where, isinstance(fields.get("sha256"), str)
