"""Photos that one worker reads together."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from imagenet_subset.columns import Locations
from imagenet_subset.sources.base import Store


def divided(
    store: Store, locations: Locations, size: int | Callable[[int], int]
) -> Iterator[list[int]]:
    """Indices of photos, in parts; a group of the store that is larger than a part is one.

    Parameters
    ----------
    size
        How many photos a part has at most; or what says it of the next part, by the number of
        those in the parts before.

    Raises
    ------
    ValueError
        The store's groups don't have each photo once.
    """
    count = len(locations)
    if not count:
        return
    seen, given = np.zeros(count, np.bool_), 0
    part: list[int] = []
    most = size if isinstance(size, int) else size(0)
    for group in itertools.chain(store.groups(locations), [()]):
        if part and (not len(group) or len(part) + len(group) > most):
            if not 0 <= min(part) <= max(part) < count:
                raise _wrong(store)
            seen[part] = True
            given += len(part)
            yield part
            part = []
            most = size if isinstance(size, int) else size(given)
        part.extend(map(int, group))
    if given != count or not seen.all():
        raise _wrong(store)


def _wrong(store: Store) -> ValueError:
    return ValueError(f"{type(store).__name__}.groups doesn't have each photo once")
