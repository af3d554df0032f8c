"""What a build says when a worker died or a GPU failed for good: why, and over which photos."""

from __future__ import annotations

from collections.abc import Sequence

from imagenet_subset.errors import WorkerDiedError, WorkerError
from imagenet_subset.execution.runner import WorkerDied
from pipelines.driver import Gpu

_NAMED = 4
"""Photos that the line names one by one; a batch of a GPU has hundreds."""


def lost_device(cause: str, photos: Sequence[str]) -> WorkerError:
    """The error that ends the build; all photos are in its notes, which ``--debug`` shows.

    Parameters
    ----------
    photos
        Paths of those that the GPU had in hand, for people, in the order in which it got them.
    """
    had = f" while it had {photos_in_hand(photos)} in hand" if photos else ""
    error = WorkerError(
        f"{cause.removesuffix('.')}{had}; what is done is kept: run the same command again to go on"
    )
    if photos:
        error.add_note("\n  ".join(["in hand:", *photos]))
    return error


def worker_died(died: WorkerDied, in_hand: str, card: Gpu | None = None) -> WorkerDiedError:
    """The error that ends a build whose worker died.

    Parameters
    ----------
    in_hand
        The photos that it had in hand; empty if unknown.
    card
        The GPU that it had.
    """
    where = f"on {card}" if card else ""
    doing = died.having.format(in_hand) if in_hand else ""
    told = died.told(" ".join(filter(None, (where, doing))))
    return WorkerDiedError(f"{told}; what is done is kept: {died.again} to go on")


def photos_in_hand(photos: Sequence[str]) -> str:
    """Photos in a few words.

    Examples
    --------
    >>> photos_in_hand("a"), photos_in_hand("abcd"), photos_in_hand("abcdef")
    ('a', 'a, b, c and d', '6 photos, a to f,')
    """
    if len(photos) > _NAMED:
        return f"{len(photos):,} photos, {photos[0]} to {photos[-1]},"
    *others, last = photos
    return f"{', '.join(others)} and {last}" if others else last
