"""How many rows a shard has."""

from __future__ import annotations


def rows_of_next(given: int, count: int, workers: int, least: int, most: int) -> int:
    """Rows of the next shard for the workers of this machine.

    The first shards are small, so that there is something to show and to keep soon, and the last
    ones too: when one worker has none left, the others are done soon.

    Parameters
    ----------
    given, count
        Rows that were given out before, and of the whole build.
    least, most
        What a shard has at least, as far as there are so many rows left, and at most.

    Examples
    --------
    >>> shards = []
    >>> while sum(shards) < 350:
    ...     shards.append(min(350 - sum(shards), rows_of_next(sum(shards), 350, 2, 16, 64)))
    >>> shards
    [16, 24, 36, 54, 55, 41, 31, 23, 17, 16, 16, 16, 5]
    """
    growing, shrinking = least + given // workers, (count - given) // (2 * workers)
    return max(least, min(most, growing, shrinking))


def rows_per_shard(size: int, rows: int, workers: int) -> int:
    """Rows of a shard for the workers of an engine.

    A shard costs Dask's client, scheduler and worker some milliseconds whatever its size, and MPI
    two that a worker waits for its next one. So there are up to 256 rows, if each worker still has
    16 shards: the last ones keep others waiting. With more workers than that the process that leads
    is the limit, and a shard has as many rows as there are workers, up to 512, if each still has 4
    of them. See ``benchmarks/README.md``.

    Parameters
    ----------
    size
        What suits the pipeline.
    rows
        Of the whole build.
    workers
        How many there are; 0 if unknown.

    Examples
    --------
    >>> [rows_per_shard(64, 1_331_167, workers) for workers in (0, 2, 100, 400, 5000)]
    [64, 256, 256, 512, 64]
    >>> [rows_per_shard(64, rows, 2) for rows in (900, 4_500, 12_000)]
    [64, 128, 256]
    """
    while workers and 2 * size <= (512 if size < workers else 256):
        shards = 4 if size < workers else 16
        if rows < shards * workers * 2 * size:
            break
        size *= 2
    return size
