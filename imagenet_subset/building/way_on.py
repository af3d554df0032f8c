"""Which flags have a command go on with what another one began, or find complete what it made.

What is there says how it was made. That is turned into options of a build; with these the build is
planned once more, and only where that plan fits what is there, its flags are named.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from imagenet_subset.building.options import BuildOptions
from imagenet_subset.building.plan import BuildPlan, plan_build
from imagenet_subset.building.resolution import Resolved, resolve_here
from imagenet_subset.errors import ImagenetSubsetError, ReadError
from imagenet_subset.npz.comment import encode_comment
from imagenet_subset.npz.differences import compare
from imagenet_subset.npz.provenance import Provenance
from imagenet_subset.selection.choice import Listed, PerClass, Share
from imagenet_subset.system.text import printable
from pipelines.base import PipelineUnavailableError
from pipelines.choice import PipelineConfig

Changes = dict[str, Any]
"""Options of a build that are to be others, by their names in `BuildOptions`."""

_OF_PIPELINE = {"pipeline", "device", "gpu", "dali_processes", "rule"}
"""Options that have no influence on which images there are."""


class NoWayError(Exception):
    """No flag is known that will do; the text says why, in a clause."""


def on_with_journal(plan: BuildPlan, there: Mapping[str, Any]) -> str:
    """How to go on with an unfinished file, in a part of a sentence.

    Parameters
    ----------
    there
        Fingerprint in its journal.
    """
    now = ""
    try:
        made = _read(there.get("provenance"))
        if plan.options.device == "auto" and (made.pipeline, made.device) != (
            plan.config.name,
            plan.config.device,
        ):
            now = f"now it would be {plan.config.why}; "
        flags = flags_for(plan, made, lambda other: not compare(there, other.fingerprint))
    except NoWayError as error:
        return f"{now}no flag is known to go on with it: {error}"
    return f"{now}the same command {flags} goes on with it"


def flags_for(plan: BuildPlan, made: Provenance, fits: Callable[[BuildPlan], bool]) -> str:
    """Flags by which a command plans what has this provenance: ``with --pipeline pillow``.

    Parameters
    ----------
    plan
        What it plans now.
    fits
        Whether a plan with these flags is of what is there.

    Raises
    ------
    NoWayError
        None will do.
    """
    changes = {**_pixels(plan, made), **_images(plan, made)}
    try:
        changes |= _pipeline(plan, made, changes)
        if not plan.resolved_here and changes.keys() & {"pipeline", "device"}:
            return f"{_text(plan.options, changes)}, where workers have what made it,"
        other = _planned(plan, changes)
    except (ImagenetSubsetError, PipelineUnavailableError, ValueError) as error:
        raise NoWayError(f"what made it can't be had here: {error}") from error
    if not changes or not fits(other):
        raise NoWayError(_why_not(made, other))
    return _text(plan.options, changes)


def _read(fields: object) -> Provenance:
    """The provenance in a journal; each field that is used has its type."""
    try:
        made = Provenance.from_comment(Path("journal"), encode_comment(dict(fields)))  # type: ignore[call-overload]
    except (ReadError, TypeError, ValueError, RecursionError) as error:
        raise NoWayError("another version of the program began it") from error
    if made is None:
        raise NoWayError("another version of the program began it")
    return made


def _pixels(plan: BuildPlan, made: Provenance) -> Changes:
    return {"rule": made.rule} if made.rule and made.rule != plan.options.rule else {}


def _images(plan: BuildPlan, made: Provenance) -> Changes:
    options, changes = plan.options, Changes()
    if made.splits != options.ordered_splits:
        changes["splits"] = made.splits
    if made.missing and options.missing == "error":
        changes["missing"] = "skip"
    if made.undecodable and not options.skip_undecodable:
        changes["skip_undecodable"] = True
    if made.by_name and options.train_list and not plan.provenance.by_name:
        changes["train_list"] = None
    if made.choice != plan.choice:
        changes |= _choice(made)
    return _differing(options, changes)


def _differing(options: BuildOptions, changes: Changes) -> Changes:
    return {name: value for name, value in changes.items() if value != getattr(options, name)}


def _choice(made: Provenance) -> Changes:
    changes: Changes = {"per_class": None, "fraction": None, "photo_list": None, "seed": 0}
    match made.choice:
        case PerClass(count, seed):
            return {**changes, "per_class": count, "seed": seed}
        case Share(fraction, seed):
            return {**changes, "fraction": fraction, "seed": seed}
        case Listed(name, _):
            list_ = printable(name)
            raise NoWayError(f"its photos are those of the list {list_}, which --photo_list takes")
    return changes


def _pipeline(plan: BuildPlan, made: Provenance, changes: Changes) -> Changes:
    """What has the pipeline chosen that made it; as little as will do.

    Raises
    ------
    pipelines.base.PipelineUnavailableError
        It can't be had here.
    """
    wanted = made.pipeline, made.device
    if (plan.config.name, plan.config.device) == wanted and not (
        plan.resolved_here and "rule" in changes
    ):
        return {}
    by_name = {"pipeline": made.pipeline}
    by_both = {**by_name, "device": made.device}
    if not plan.resolved_here:
        return _differing(plan.options, by_both)
    refused: PipelineUnavailableError | None = None
    for more in ({}, by_name, by_both, {**by_both, "gpu": None, "dali_processes": None}):
        try:
            config = _resolved(plan, {**changes, **more})
        except PipelineUnavailableError as error:
            refused = error
        else:
            if (config.name, config.device) == wanted:
                return _differing(plan.options, more)
    raise refused or PipelineUnavailableError(f"{made.device} ({made.pipeline}) isn't known here")


def _resolved(plan: BuildPlan, changes: Changes) -> PipelineConfig:
    options = replace(plan.options, **changes)
    return resolve_here(options.request, options.workers)


def _planned(plan: BuildPlan, changes: Changes) -> BuildPlan:
    """The plan with other options; images are looked for again only if they may be others."""
    options, resolved = replace(plan.options, **changes), Resolved(plan.config, plan.versions)
    if plan.resolved_here and changes.keys() & _OF_PIPELINE:
        config = _resolved(plan, changes)
        resolved = Resolved(config, config.versions())
    elif "rule" in changes:
        resolved = Resolved(replace(plan.config, rule=options.rule), plan.versions)
    if changes.keys() <= _OF_PIPELINE:
        return replace(plan, options=options, config=resolved.config, versions=resolved.versions)
    return plan_build(options, resolved)


def _why_not(made: Provenance, other: BuildPlan) -> str:
    """Why even the nearest plan isn't of what is there."""
    differing = compare(made.to_dict(), other.provenance.to_dict())
    paths = [difference.path for difference in differing]
    for name, why in (
        ("program_version", "another version of the program began it"),
        ("subset", "its classes are others"),
    ):
        if any(path[0] == name for path in paths):
            return why
    versions = [d for d in differing if d.path[:2] == ("pipeline", "versions")]
    if versions:
        first = versions[0]
        return printable(f"it was made by {first.path[-1]} {first.there}, and here is {first.here}")
    return "its photos are others, or their order or numbering is"


def _text(options: BuildOptions, changes: Changes) -> str:
    """Options as flags: those to add, or to give another value, and those to leave out."""
    given, left_out = [], []
    for name, value in _as_flags(options, changes):
        if value is None:
            left_out.append(f"--{name}")
        elif value is True:
            given.append(f"--{name}")
        else:
            given.append(f"--{name} {shlex.quote(str(value))}")
    parts = [("with", given), ("without", left_out)]
    return " and ".join(f"{word} {' '.join(flags)}" for word, flags in parts if flags)


def _as_flags(options: BuildOptions, changes: Changes) -> Iterator[tuple[str, Any]]:
    for name, value in changes.items():
        if name == "rule":
            for part in ("resize", "crop", "interpolation"):
                if getattr(value, part) != getattr(options.rule, part):
                    yield part, getattr(value, part)
        elif name == "splits":
            yield name, ",".join(value)
        elif name == "seed":
            ways = (changes.get(way, getattr(options, way)) for way in ("per_class", "fraction"))
            yield name, value if any(ways) else None
        else:
            yield name, value
