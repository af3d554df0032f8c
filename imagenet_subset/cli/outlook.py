"""What ``--dry_run`` prints: the classes, and what the build would do, make and take."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from imagenet_subset.ilsvrc.classes import VAL_IMAGES
from imagenet_subset.records import SPLITS, Split
from imagenet_subset.system.text import counted, duration, gigabytes, printable

if TYPE_CHECKING:
    from imagenet_subset.building.balance import Balance, ClassImages, Spread
    from imagenet_subset.building.outlook import Outlook
    from imagenet_subset.building.plan import BuildPlan
    from imagenet_subset.building.sample import Sample

_ALL_SHOWN = 100
"""Up to so many classes all have a line; of more, the first and the last `_ENDS`."""
_ENDS = 5
_NAMED = 6
"""Classes that a line names; the others are counted."""
_WIDTH = 100


def outlook_lines(outlook: Outlook) -> Iterator[str]:
    """The lines, the classes first and what stands in the way last."""
    yield from _classes(outlook)
    for name, text in _facts(outlook):
        yield textwrap.fill(
            f"{name:9} {text}",
            _WIDTH,
            subsequent_indent=" " * 10,
            break_on_hyphens=False,
            break_long_words=False,
        )


def _facts(outlook: Outlook) -> Iterator[tuple[str, str]]:
    """What there is to say, each with a word before it."""
    plan = outlook.plan
    yield "file", _file(outlook)
    yield "output", _there(outlook)
    yield from _balance(outlook.balance)
    yield "pipeline", plan.config.why
    if outlook.sample:
        yield "time", _time(outlook, outlook.sample)
        yield from _tried(plan, outlook.sample)
    for note in outlook.notes:
        yield "note", note
    for problem in outlook.problems:
        yield "PROBLEM", problem


def _classes(outlook: Outlook) -> Iterator[str]:
    classes, names = outlook.balance.classes, outlook.plan.subset.names
    titles = [
        f"{names[each.label]}: {each.image_class.title}"
        if names[each.label]
        else each.image_class.title
        for each in classes
    ]
    shown = list(range(len(classes)))
    if len(classes) > _ALL_SHOWN:
        shown = [*shown[:_ENDS], *shown[-_ENDS:]]
    width = max(28, *(len(titles[place]) for place in shown))
    yield f"{'label':>5}  {'WNID':9}  {'class':{width}}  {'train':>9}  {'val':>6}"
    for before, place in zip([-1, *shown], shown, strict=False):
        if place > before + 1:
            yield f"{'...':>5}  {place - before - 1:,} others, which --json lists"
        each = classes[place]
        counts = "  ".join(f"{each.counts[s]:{w}}" for s, w in zip(SPLITS, (9, 6), strict=True))
        yield f"{each.label:5}  {each.image_class.wnid}  {titles[place]:{width}}  {counts}"
    rows = outlook.plan.rows
    yield f"{'':5}  {'':9}  {'together':{width}}  {rows['train']:9}  {rows['val']:6}"


def _file(outlook: Outlook) -> str:
    room, npz = outlook.room, printable(outlook.plan.output.npz)
    size = gigabytes(room.size)
    if room.free is None:
        return f"{npz}, {size}; what is free is unknown ({room.unknown})"
    fits = "too little" if room.size > room.free else "enough"
    limit = f"; files of {gigabytes(room.limit)} at most" if room.limit is not None else ""
    return f"{npz}, {size}; {gigabytes(room.free)} are free, which is {fits}{limit}"


def _there(outlook: Outlook) -> str:
    standing, total = outlook.standing, sum(outlook.plan.rows.values())
    if standing.act == "nothing":
        return "the finished file, complete: nothing to do"
    if standing.act == "refuse":
        return "the build would refuse, see below"
    if standing.act == "go_on":
        return (
            f"an unfinished file: {standing.done:,} of {counted(total, 'image')} are done, and the "
            "build goes on with it"
        )
    what = "a finished file, which --overwrite replaces" if standing.act == "replace" else ""
    if standing.discards:
        what += f"{' and ' if what else ''}an unfinished one of another build, which it discards"
    return what or "nothing yet"


def _balance(balance: Balance) -> Iterator[tuple[str, str]]:
    of = [
        (name, spreads)
        for name, spreads in (("class", balance.spreads), ("label", balance.label_spreads))
        if spreads
    ]
    for name, spreads in of:
        texts = (f"{split} {_spread(spread)}" for split, spread in spreads.items())
        yield f"per {name}", "; ".join(texts)
    few: tuple[tuple[str, list[ClassImages], Split, str], ...] = (
        ("small", balance.small, "train", "less than half of the median's train images"),
        ("short", balance.short, "train", f"fewer train images than {balance.wanted}"),
        ("few val", balance.few_val, "val", f"fewer than the {VAL_IMAGES} val images of ILSVRC"),
    )
    for word, classes, split, what in few:
        if classes:
            yield word, _named(classes, split, what)
    for name, same in balance.equal_names.items():
        which = " and of ".join(f"{c.wnid}, {c.title}" for c in same)
        yield "names", f"{name!r} is the human_label of {which}"


def _spread(spread: Spread) -> str:
    if spread.fewest == spread.most:
        return f"{spread.most:,}"
    return f"{spread.fewest:,} to {spread.most:,}, median {spread.median:,.10g}"


def _named(classes: Sequence[ClassImages], split: Split, what: str) -> str:
    """How many classes have what, and the images of each, a few by name."""
    named = [
        f"{each.image_class.wnid} ({each.image_class.title}) {each.counts[split]:,}"
        for each in classes[:_NAMED]
    ]
    more = [f"{len(classes) - _NAMED:,} more"] if len(classes) > _NAMED else []
    how_many = counted(len(classes), "class has", "classes have")
    return f"{how_many} {what}: {', '.join([*named, *more])}"


def _time(outlook: Outlook, sample: Sample) -> str:
    if sample.problem:
        return "unknown, see below"
    if sample.rate is None:
        return "unknown: none of the photos that were tried was decoded"
    left = counted(outlook.left, "image")
    if outlook.here:
        who = counted(sample.workers, "worker")
        rate = f"{who} read and decoded {sample.rate:,.0f} images/s"
        rate += " together" if sample.workers > 1 else ""
    else:
        rate = f"a worker of the executor read and decoded {sample.rate:,.0f} images/s alone"
    if outlook.seconds is None:
        one = duration(math.ceil(outlook.left / sample.rate))
        return f"{one} for one worker, an estimate: {rate}; how many there are is unknown"
    time = f"{duration(math.ceil(outlook.seconds))} for {left}"
    if outlook.here:
        return f"about {time}, an estimate: {rate} after a start of {duration(sample.start)}"
    if outlook.workers == 1:
        return f"about {time}, an estimate: {rate}"
    return (
        f"{time} at least, if the {outlook.workers:,} workers don't hinder one another, an "
        f"estimate: {rate}"
    )


def _tried(plan: BuildPlan, sample: Sample) -> Iterator[tuple[str, str]]:
    for what, photos in (("decoded", sample.undecodable), ("read", sample.unreadable)):
        if photos:
            record, reason = photos[0]
            yield (
                "tried",
                (
                    f"{len(photos):,} of {counted(sample.photos, 'photo')} can't be {what}: "
                    f"{plan.path(record)} ({reason})" + (", ..." if len(photos) > 1 else "")
                ),
            )
