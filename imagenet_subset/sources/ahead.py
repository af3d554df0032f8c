"""Reads photos before they are asked for where that pays: a slow disk answers several at a time."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from imagenet_subset.columns import Location
from imagenet_subset.sources.base import PhotoReader
from imagenet_subset.sources.patience import Patience

_THREADS = 8
_MOST_NBYTES = 1 << 28
"""About so many bytes may be read before they are asked for, however many photos that are."""
_PIECE = 8
"""Photos that a thread hands over at a time."""
_SLOW = 1e-4
"""Seconds for a photo, in the median of as many. A file that is in memory takes a third of that,
and then threads cost more than they bring: they and the pipeline's thread wait for each other."""


def read_ahead(
    reader: PhotoReader, locations: Sequence[Location], window: int
) -> Generator[bytes | OSError]:
    """As `imagenet_subset.sources.patience.read_each`; from a slow disk with threads.

    Close it: the threads have ended when that returns, each after the photo that it reads.

    Parameters
    ----------
    window
        Photos that may be read before they are asked for.
    """
    patience, took = Patience(), deque[float](maxlen=_PIECE)
    for done, location in enumerate(locations, 1):
        start = time.perf_counter()
        data = patience.read(reader, location)
        took.append(time.perf_counter() - start)
        yield data
        if len(took) == _PIECE and sorted(took)[_PIECE // 2] > _SLOW:
            yield from _read_by_threads(reader, locations[done:], window, patience)
            return


def _read_by_threads(
    reader: PhotoReader, locations: Sequence[Location], window: int, patience: Patience
) -> Generator[bytes | OSError]:
    given_up = threading.Event()

    def read(piece: Sequence[Location]) -> list[bytes | OSError]:
        return [patience.read(reader, at) for at in piece if not given_up.is_set()]

    size = max(1, min(_PIECE, window // _THREADS))
    pieces = (locations[k : k + size] for k in range(0, len(locations), size))
    under_way: deque[Future[list[bytes | OSError]]] = deque()
    handed, nbytes = 0, 0
    pool = ThreadPoolExecutor(_THREADS, "imagenet-subset-read")
    try:
        more = min(_THREADS, max(1, window // size))
        under_way.extend(pool.submit(read, piece) for piece in itertools.islice(pieces, more))
        while under_way:
            photos = under_way.popleft().result()
            handed += len(photos)
            nbytes += sum(len(data) for data in photos if isinstance(data, bytes))
            # The next ones are taken to be as large as those so far.
            most = min(window, _MOST_NBYTES * handed // max(1, nbytes)) // size
            more = max(1, most) - len(under_way)
            under_way.extend(
                pool.submit(read, piece) for piece in itertools.islice(pieces, max(0, more))
            )
            yield from photos
    finally:
        given_up.set()
        pool.shutdown(cancel_futures=True)
